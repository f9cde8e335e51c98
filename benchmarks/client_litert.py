"""LiteRT's interpreter on pictures, as an app uses it: client_litert.py MODEL MODE PICTURES MASKS

Needs numpy, OpenCV and ai-edge-litert, and nothing of this project. The arguments and what is written are those of
client_mediapipe.py; the only mode is CPU, and there is no category mask.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("mode", choices=["CPU"])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("masks", type=Path)
    arguments = parser.parse_args()
    interpreter = Interpreter(str(arguments.model), num_threads=1)
    interpreter.allocate_tensors()
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    _, rows, columns, _ = source["shape"]
    masks, times = {}, []
    with np.load(arguments.pictures) as pictures:
        for name in pictures.files:
            picture = pictures[name]
            start = time.perf_counter()
            pixels = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA)
            if source["dtype"] == np.float32:
                pixels = pixels.astype(np.float32) / 255
            interpreter.set_tensor(source["index"], pixels[None])
            interpreter.invoke()
            values = interpreter.get_tensor(target["index"])[0, :, :, 0].astype(np.float32)
            if target["dtype"] != np.float32:
                scale, zero_point = target["quantization"]
                values = (values - zero_point) * np.float32(scale)
            masks[f"{name}.confidence"] = cv2.resize(values, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
            times.append(1000.0 * (time.perf_counter() - start))
    np.savez(arguments.masks, **masks)
    print(json.dumps({"version": version("ai-edge-litert"), "milliseconds": statistics.median(times)}))


if __name__ == "__main__":
    main()
