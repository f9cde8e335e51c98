"""ONNX to TFLite, in a process of its own: ``python -m converters.tensorflow_worker ONNX FOLDER PRECISION...``

Writes FOLDER/float32.tflite and so on. TensorFlow, tf-keras and onnx2tf are loaded nowhere else: they take seconds to
import, print hundreds of lines, set global state, and a native crash of theirs must not take the caller along.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx as onnx_format
import onnx2tf.onnx2tf as onnx2tf
import tensorflow as tf

from converters.onnx2tf_layout import layout_replacements
from edge_deeplab.spec import Precision

INPUT, OUTPUT = "image", "probability"


def write_saved_model(onnx: Path, folder: Path) -> None:
    """Write an ONNX model, NCHW, as a SavedModel, NHWC, with a signature: image -> probability.

    The tensors inside keep the names that onnx2tf gives them.
    """
    # onnx2tf validates each operator with pictures that it downloads; it fails where there is no network.
    onnx2tf.download_test_image_data = lambda: np.random.default_rng(0).random((20, 128, 128, 3), np.float32)
    folder.mkdir()
    replacements = folder / "replacements.json"
    replacements.write_text(json.dumps(layout_replacements(onnx_format.load(onnx))))
    # Without onnxsim, which is a program that onnx2tf starts if it is on the PATH: the result must not depend on that.
    model = onnx2tf.convert(
        input_onnx_file_path=str(onnx),
        output_folder_path=str(folder),
        disable_model_save=True,
        not_use_onnxsim=True,
        param_replacement_file=str(replacements),
    )
    (image,) = model.inputs
    # The graph alone, without the Keras model that it came from: Keras would trace every layer once more and keep its
    # constants with each, which took over 19 GB for DeepLab V2 with ResNet-101, where 6.3 are enough.
    module = tf.Module()
    module.serve = tf.function(
        lambda image: {OUTPUT: model(image)}, input_signature=[tf.TensorSpec(image.shape, image.dtype, name=INPUT)]
    )
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serve})


def convert_saved_model(folder: Path, precision: Precision) -> bytes:
    """Convert a SavedModel to a TFLite flatbuffer of builtin operators with float input and output."""
    converter: Any = tf.lite.TFLiteConverter.from_saved_model(str(folder))
    match precision:
        case Precision.FLOAT32:
            pass
        case Precision.DYNAMIC:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        case _:
            raise ValueError(f"{precision} files are not made by TensorFlow")
    content: bytes = converter.convert()
    return content


def main() -> None:
    """Read the arguments and write the files."""
    parser = argparse.ArgumentParser()
    parser.add_argument("onnx", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("precision", type=Precision, nargs="+")
    arguments = parser.parse_args()
    saved_model = arguments.folder / "saved_model"
    write_saved_model(arguments.onnx, saved_model)
    for precision in arguments.precision:
        (arguments.folder / f"{precision}.tflite").write_bytes(convert_saved_model(saved_model, precision))


if __name__ == "__main__":
    main()
