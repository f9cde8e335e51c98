"""onnxruntime on pictures, as an app uses it: client_onnxruntime.py MODEL MODE PICTURES MASKS

Needs numpy, OpenCV and onnxruntime, and nothing of this project. The arguments and what is written are those of
client_mediapipe.py; the only mode is CPU, and there is no category mask.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import cv2
import numpy as np
import onnxruntime


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("mode", choices=["CPU"])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("masks", type=Path)
    arguments = parser.parse_args()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(arguments.model), options, providers=["CPUExecutionProvider"])
    (source,) = session.get_inputs()
    _, _, rows, columns = source.shape
    masks, times = {}, []
    with np.load(arguments.pictures) as pictures:
        for name in pictures.files:
            picture = pictures[name]
            start = time.perf_counter()
            pixels = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
            (values,) = session.run(None, {source.name: pixels.transpose(2, 0, 1)[None]})
            masks[f"{name}.confidence"] = cv2.resize(values[0, 0], picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
            times.append(1000.0 * (time.perf_counter() - start))
    np.savez(arguments.masks, **masks)
    print(json.dumps({"version": onnxruntime.__version__, "milliseconds": statistics.median(times)}))


if __name__ == "__main__":
    main()
