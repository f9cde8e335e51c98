"""What onnx2tf must be told about the layout of an ONNX graph, in the words of its file of replaced parameters.

onnx2tf carries maps as NHWC. Its ``Add`` (1.29) compares the sum's shape with the ONNX graph's, takes the difference
between NHWC and NCHW for a broadcast that went wrong, and transposes both terms to NCHW. A convolution behind it
transposes back, and TensorFlow cancels the pair; but a depthwise convolution is recognized by the number of its input's
last axis, becomes a grouped one there, whose weights cannot be saved. So a sum that a depthwise convolution reads is
transposed back at once.
"""

from __future__ import annotations

from typing import Any

import onnx

_TO_NHWC = [0, 2, 3, 1]


def layout_replacements(model: onnx.ModelProto) -> dict[str, Any]:
    """The content of the JSON file that ``onnx2tf.convert`` takes as ``param_replacement_file``.

    Args:
        model: an ONNX graph of maps, NCHW, of static shapes.
    """
    shapes = {
        value.name: [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        for value in onnx.shape_inference.infer_shapes(model).graph.value_info
    }
    constants = {constant.name for constant in model.graph.initializer}
    reaching = _reaching_depthwise(model)
    return {
        "format_version": 1,
        "operations": [
            {
                "op_name": node.name,
                "param_target": "outputs",
                "param_name": node.output[0],
                "post_process_transpose_perm": _TO_NHWC,
            }
            for node in model.graph.node
            if node.op_type == "Add"
            and constants.isdisjoint(node.input)
            and node.output[0] in reaching
            and _differs(shapes.get(node.output[0], []))
        ],
    }


def _reaching_depthwise(model: onnx.ModelProto) -> set[str]:
    """The tensors that a grouped convolution reads, itself or through operators that keep the layout: all but
    convolutions without groups.
    """
    reaching: set[str] = set()
    for node in reversed(model.graph.node):  # they are in order of execution
        if node.op_type == "Conv":
            if any(attribute.name == "group" and attribute.i > 1 for attribute in node.attribute):
                reaching.add(node.input[0])
        elif not reaching.isdisjoint(node.output):
            reaching.update(node.input)
    return reaching


def _differs(shape: list[int]) -> bool:
    """NHWC is another shape than NCHW, so that onnx2tf transposes."""
    return len(shape) == len(_TO_NHWC) and shape != [shape[axis] for axis in _TO_NHWC]
