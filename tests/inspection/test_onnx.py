"""ONNX files: ours, those that onnxruntime quantizes, and small ones made by hand."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from edge_deeplab.errors import ModelFileError
from edge_deeplab.inspection.graph import Arithmetic
from edge_deeplab.inspection.onnx import summarize_onnx
from edge_deeplab.inspection.summary import ModelSummary
from edge_deeplab.inspection.verdict import Kind
from edge_deeplab.models.cost import count_cost
from edge_deeplab.models.deeplab import DeepLab


@pytest.fixture(scope="module")
def small_onnx_file(small_onnx: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "small.onnx"
    path.write_bytes(small_onnx)
    return path


@pytest.fixture(scope="module", params=["QUInt8", "QInt8"])
def quantized_by_onnxruntime(request: pytest.FixtureRequest, small_onnx_file: Path) -> Path:
    """The small network in QDQ form, by onnxruntime's own tool, with activations of either type."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            rng = np.random.default_rng(0)
            self._images = iter([{"image": rng.random((1, 3, 96, 96), np.float32)} for _ in range(2)])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self._images, None)

    out = small_onnx_file.with_name(f"{request.param}.onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        activations = {"quant_format": QuantFormat.QDQ, "activation_type": QuantType[request.param]}
        quantize_static(small_onnx_file, out, Reader(), per_channel=True, **activations)
    return out


def counted(summary: ModelSummary, arithmetic: Arithmetic, *operators: str) -> int:
    return sum(row.arithmetic.get(arithmetic, 0) for row in summary.operators if row.operator in operators)


def test_our_file_is_float_and_multiplies_as_often_as_the_network(
    small_onnx_file: Path, small_network: DeepLab
) -> None:
    summary = summarize_onnx(small_onnx_file)
    assert summary.kind is Kind.FLOAT
    assert summary.multiply_adds == count_cost(small_network, 96, 96).multiply_adds
    assert (summary.inputs[0].name, summary.inputs[0].shape, summary.inputs[0].layout) == (
        "image",
        (1, 3, 96, 96),
        "NCHW",
    )
    assert summary.facts["opset"] == {"ai.onnx": 18}
    assert counted(summary, Arithmetic.FLOAT, "Conv (depthwise)") == 22


def test_as_many_convolutions_are_integer_as_onnxruntime_makes_integer(
    quantized_by_onnxruntime: Path, small_network: DeepLab, tmp_path: Path
) -> None:
    summary = summarize_onnx(quantized_by_onnxruntime)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    onnxruntime.InferenceSession(quantized_by_onnxruntime, options, providers=["CPUExecutionProvider"])
    executed = [node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node]
    assert counted(summary, Arithmetic.INTEGER, "Conv", "Conv (depthwise)") == 66
    if quantized_by_onnxruntime.stem == "QUInt8":
        assert executed.count("QLinearConv") == 66
    else:  # the file "may", and onnxruntime 1.23 turns some of it into uint8: it has no kernel between the two types
        assert executed.count("QLinearConv") + executed.count("Conv") == 66
        assert executed.count("QLinearConv") > 40
    assert f"may execute them in {quantized_by_onnxruntime.stem[1:].lower()}" in summary.verdict
    assert summary.multiply_adds == count_cost(small_network, 96, 96).multiply_adds
    weights = [tensor for tensor in summary.quantized if tensor.constant and tensor.type == "int8"]
    assert len(weights) == 66
    assert {tensor.axis for tensor in weights if len(tensor.scales) > 1} == {0}


def write(
    path: Path,
    nodes: Sequence[NodeProto],
    *,
    shape: Sequence[int | str] = (1, 2, 4, 4),
    out: Sequence[int | str] | None = None,
) -> Path:
    """A model from "image" to "out", with constants for whatever the nodes read."""
    rng = np.random.default_rng(0)
    constants = {
        "scale": np.array(0.1, np.float32),
        "zero": np.array(0, np.int8),
        "scales": np.array([0.1, 0.2, 0.3], np.float32),
        "zeros": np.zeros(3, np.int8),
        "kernel": rng.random((3, 2, 3, 3), np.float32),
        "kernel8": rng.integers(-127, 127, (3, 2, 3, 3), np.int8),
        "low": np.array(0, np.float32),
        "high": np.array(6, np.float32),
    }
    made = {name for node in nodes for name in node.output}
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, out)],
        [numpy_helper.from_array(array, name) for name, array in constants.items() if name in used - made],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("ours", 1)], ir_version=10
    )
    path.write_bytes(model.SerializeToString())
    return path


def quantize(name: str, to: str) -> NodeProto:
    return helper.make_node("QuantizeLinear", [name, "scale", "zero"], [to])


def dequantize(name: str, to: str) -> NodeProto:
    return helper.make_node("DequantizeLinear", [name, "scale", "zero"], [to])


WEIGHTS = helper.make_node("DequantizeLinear", ["kernel8", "scales", "zeros"], ["weights"], axis=0)
CONV = helper.make_node("Conv", ["x", "weights"], ["y"])
PIXELS = [quantize("image", "q"), dequantize("q", "x")]


def test_a_convolution_between_dequantize_and_quantize_is_integer_with_its_rectifier(tmp_path: Path) -> None:
    clip = helper.make_node("Clip", ["y", "low", "high"], ["z"])
    nodes = [*PIXELS, WEIGHTS, CONV, clip, quantize("z", "r"), dequantize("r", "out")]
    summary = summarize_onnx(write(tmp_path / "a.onnx", nodes))
    assert summary.kind is Kind.INTEGER
    assert summary.verdict == (
        "integer throughout, as QDQ: all 2 operators compute between DequantizeLinear and QuantizeLinear, where the "
        "runtime may execute them in int8"
    )
    assert summary.multiply_adds == 3 * 2 * 2 * 2 * 3 * 3  # output 1x3x2x2, kernel 3x2x3x3
    kernel = next(tensor for tensor in summary.quantized if tensor.constant)
    assert (kernel.name, kernel.axis, kernel.type) == ("kernel8", 0, "int8")
    assert kernel.scales == pytest.approx((0.1, 0.2, 0.3))
    assert (kernel.low, kernel.high) == pytest.approx((-38.4, 38.1))


FLOAT_OUTPUT = helper.make_node("Conv", ["x", "weights"], ["out"])
FLOAT_WEIGHTS = helper.make_node("Conv", ["x", "kernel"], ["y"])
END = [quantize("y", "r"), dequantize("r", "out")]
SOFTMAX = [quantize("y", "r"), dequantize("r", "s"), helper.make_node("Softmax", ["s"], ["out"])]


@pytest.mark.parametrize(
    ("nodes", "kind", "words"),
    [
        # Nothing quantizes the output, so that there is no integer kernel to fuse it into.
        ([*PIXELS, WEIGHTS, FLOAT_OUTPUT], Kind.HYBRID, "1 of 1 operators have integer weights"),
        ([WEIGHTS, helper.make_node("Conv", ["image", "weights"], ["out"])], Kind.HYBRID, "integer weights"),
        # Activations in integers, and weights in floats.
        ([*PIXELS, FLOAT_WEIGHTS, *END], Kind.FLOAT, "float throughout"),
        ([*PIXELS, WEIGHTS, CONV, *SOFTMAX], Kind.MIXED, "1 of 2 operators computes in float (Softmax)"),
    ],
)
def test_what_is_not_integer_is_called_what_it_is(
    tmp_path: Path, nodes: list[NodeProto], kind: Kind, words: str
) -> None:
    summary = summarize_onnx(write(tmp_path / "a.onnx", nodes))
    assert summary.kind is kind
    assert words in summary.verdict


def test_a_size_that_is_known_only_later_leaves_the_cost_unknown(tmp_path: Path) -> None:
    conv = helper.make_node("Conv", ["image", "kernel"], ["out"])
    summary = summarize_onnx(write(tmp_path / "a.onnx", [conv], shape=("batch", 2, "height", 4)))
    assert summary.inputs[0].shape == ("batch", 2, "height", 4)
    assert summary.activation_bytes is None
    assert "multiply-adds not counted: 1 Conv" in summary.notes


def test_a_foreign_operator_is_named(tmp_path: Path) -> None:
    node = helper.make_node("Magic", ["image"], ["out"], domain="ours")
    summary = summarize_onnx(write(tmp_path / "a.onnx", [node], out=(1, 2, 4, 4)))
    assert [(row.operator, row.custom, row.multiply_adds) for row in summary.operators] == [("Magic", True, None)]


def test_constants_are_no_operators(tmp_path: Path) -> None:
    constant = helper.make_node("Constant", [], ["one"], value_float=1.0)
    add = helper.make_node("Add", ["image", "one"], ["out"])
    summary = summarize_onnx(write(tmp_path / "a.onnx", [constant, add]))
    assert [row.operator for row in summary.operators] == ["Add"]
    assert summary.weights == {"float32": 4}


def test_a_model_without_operators_and_a_name_that_is_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(helper.make_model(helper.make_graph([], "empty", [], [])).SerializeToString())
    with pytest.raises(ModelFileError, match="holds no operator"):
        summarize_onnx(path)
    content = write(path, [helper.make_node("Magic", ["image"], ["out"], domain="ours")]).read_bytes()
    path.write_bytes(content.replace(b"Magic", b"Mag\xff\xfe"))
    with pytest.raises(ModelFileError, match="damaged ONNX file"):
        summarize_onnx(path)
