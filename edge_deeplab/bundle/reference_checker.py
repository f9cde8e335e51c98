"""Run the TFLite files of a bundle on its golden pictures, fed and read by contract.json alone: python check.py"""

import json
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter  # pip install ai-edge-litert numpy


def pixels(path: Path) -> Any:
    """A PNG of a bundle, uint8 HxWxC: 8 bits, rows without filters in one IDAT chunk, so that zlib is all it takes."""
    data = path.read_bytes()
    width, height, size = (int.from_bytes(data[place : place + 4], "big") for place in (16, 20, 33))
    rows = np.frombuffer(zlib.decompress(data[41 : 41 + size]), np.uint8).reshape(height, -1)
    return rows[:, 1:].reshape(height, width, -1)


def probability(interpreter: Any, model: Any, picture: Any) -> Any:
    """The person's probability, float HxW, of a picture, uint8 RGB HxWx3."""
    source, result = model["input"]["tensor"], model["output"]["tensor"]
    values = picture / 255 * (model["input"]["white"] - model["input"]["black"]) + model["input"]["black"]
    if source["scale"] is not None:
        values = np.rint(values / source["scale"]) + source["zero_point"]
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values.astype(source["type"])[None])
    interpreter.invoke()
    values = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0, :, :, model["output"]["person"]]
    return values if result["scale"] is None else (values.astype(float) - result["zero_point"]) * result["scale"]


def main(folder: Path) -> int:
    """Check every TFLite file of a bundle: a line for each picture; the number of those that failed."""
    contract, failed = json.loads((folder / "contract.json").read_text()), 0
    for model in (model for model in contract["models"] if model["path"].endswith(".tflite")):
        interpreter = Interpreter(str(folder / model["path"]))
        interpreter.allocate_tensors()
        for golden in contract["goldens"]:
            found = probability(interpreter, model, pixels(folder / golden["input"]))
            mask = pixels(folder / golden["masks"][model["path"]])[:, :, 0] / 255
            error, threshold = float(np.abs(found - mask).mean()), model["output"]["threshold"]
            agreement = float(((found >= threshold) == (mask >= threshold)).mean())
            demanded = model["tolerance"]
            passed = error <= demanded["mean_error"] and agreement >= demanded["mask_agreement"]
            failed += not passed
            verdict = f"mean error {error:.5f}, masks agree {agreement:.3%}: {'passed' if passed else 'FAILED'}"
            print(f"{model['path']}, {golden['name']}: {verdict}")
    return failed


if __name__ == "__main__":
    sys.exit(min(main(Path(__file__).parent), 1))
