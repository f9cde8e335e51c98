"""TensorFlow's own post-training quantization of an exported network: the baseline of ptq_against_tensorflow.py.

Run by it, in a process of its own: python tensorflow_ptq.py ONNX IMAGES.npy FOLDER
Writes FOLDER/float32.tflite and FOLDER/tensorflow.tflite from one SavedModel. IMAGES.npy: uint8, (N, height, width, 3).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from converters.tensorflow_worker import convert_saved_model, write_saved_model
from edge_deeplab.spec import Precision


def main() -> None:
    onnx, images, folder = map(Path, sys.argv[1:])
    saved_model = folder / "saved_model"
    write_saved_model(onnx, saved_model)
    (folder / "float32.tflite").write_bytes(convert_saved_model(saved_model, Precision.FLOAT32))

    def representative() -> Iterator[list[np.ndarray[Any, Any]]]:
        for pixels in np.load(images):
            yield [pixels[None].astype(np.float32) / 255]

    converter: Any = tf.lite.TFLiteConverter.from_saved_model(str(saved_model))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.uint8
    (folder / "tensorflow.tflite").write_bytes(converter.convert())


if __name__ == "__main__":
    main()
