"""Run a TFLite file on one picture and keep every tensor, by its index."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from converters.tflite_schema import read_model, write_model
from edge_deeplab.errors import ConversionError
from edge_deeplab.runtime.native_log import without_info_lines


def tensor_values(data: bytes, image: NDArray[Any]) -> dict[int, NDArray[Any]]:
    """Run a TFLite file on one image and keep every tensor that it computes.

    Run by XNNPACK, as on a device, in one go: each tensor is made an output of the graph.

    Args:
        data: the file.
        image: of its input's element type, HxWx3.

    Returns:
        Tensor index to values.

    Raises:
        ConversionError: the file does not run.
    """
    model = read_model(data)
    subgraph = model.subgraphs[0]
    computed = [int(index) for operator in subgraph.operators for index in operator.outputs]
    subgraph.outputs, model.signatureDefs = np.array(computed, np.int32), None
    try:
        with without_info_lines():
            interpreter = Interpreter(model_content=write_model(model))
            interpreter.allocate_tensors()
        (entry,) = interpreter.get_input_details()
        interpreter.set_tensor(entry["index"], image[None])
        interpreter.invoke()
        return {entry["index"]: image[None]} | {index: interpreter.get_tensor(index) for index in computed}
    except (ValueError, RuntimeError) as error:
        raise ConversionError(f"the TFLite file does not run ({error}): convert the checkpoint again") from error
