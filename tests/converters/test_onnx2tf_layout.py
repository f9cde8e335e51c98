"""Which sums onnx2tf must be told to leave channels last: of two maps, in front of a depthwise convolution."""

from __future__ import annotations

import onnx
import pytest
from onnx import TensorProto, helper

from converters.onnx2tf_layout import layout_replacements


def _sum(shape: list[int], *, constant: bool = False, groups: int = 8) -> onnx.ModelProto:
    """image -> Relu -> Add (of itself, or of a constant) -> Relu -> Conv."""
    image, result = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("image", "result"))
    nodes = [
        helper.make_node("Relu", ["image"], ["map"], name="first"),
        helper.make_node("Add", ["map", "one" if constant else "image"], ["total"], name="sum"),
        helper.make_node("Relu", ["total"], ["rectified"], name="last"),
        helper.make_node("Conv", ["rectified", "kernel"], ["result"], name="conv", group=groups),
    ]
    kernel = [shape[1], shape[1] // groups, 1, 1]
    constants = [helper.make_tensor("kernel", TensorProto.FLOAT, kernel, [1.0] * (shape[1] * kernel[1]))]
    if constant:
        constants.append(helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0]))
    return helper.make_model(helper.make_graph(nodes, "sum", [image], [result], constants))


def test_a_sum_of_two_maps_is_turned_back() -> None:
    assert layout_replacements(_sum([1, 8, 24, 24]))["operations"] == [
        {
            "op_name": "sum",
            "param_target": "outputs",
            "param_name": "total",
            "post_process_transpose_perm": [0, 2, 3, 1],
        }
    ]


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(_sum([1, 24, 24, 24], groups=24), id="NHWC and NCHW look the same, so that onnx2tf leaves it"),
        pytest.param(_sum([1, 8, 24, 24], constant=True), id="a bias"),
        pytest.param(_sum([1, 8, 24, 24], groups=1), id="in front of a dense convolution, which turns back itself"),
    ],
)
def test_other_sums_are_left(model: onnx.ModelProto) -> None:
    assert layout_replacements(model)["operations"] == []
