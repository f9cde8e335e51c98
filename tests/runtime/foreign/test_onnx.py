"""ONNX files from elsewhere, made by hand: what they answer is worked out from the picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from edge_deeplab.errors import ModelFileError
from edge_deeplab.runtime.foreign.adaptation import InputRange, OutputKind, Overrides
from edge_deeplab.runtime.foreign.session import ForeignSession

_TYPES = {"float": TensorProto.FLOAT, "half": TensorProto.FLOAT16, "uint8": TensorProto.UINT8}


def node(operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> NodeProto:
    return helper.make_node(operator, inputs, [output], **attributes)


def write(
    folder: Path,
    nodes: Sequence[NodeProto],
    shape: tuple[int | str, ...],
    out_shape: tuple[int | str, ...],
    *,
    type_: str = "float",
    out_type: int = TensorProto.FLOAT,
    constants: dict[str, NDArray[Any]] | None = None,
    inputs: int = 1,
) -> Path:
    """A file that computes ``out`` of ``image``."""
    ends = [helper.make_tensor_value_info(name, _TYPES[type_], shape) for name in ("image", "other")[:inputs]]
    graph = helper.make_graph(
        nodes,
        "graph",
        ends,
        [helper.make_tensor_value_info("out", out_type, out_shape)],
        [numpy_helper.from_array(values, name) for name, values in (constants or {}).items()],
    )
    path = folder / "model.onnx"
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()
    )
    return path


# Scores of two classes: the first is green, the second is red minus blue.
WEIGHTS = np.array([[0, 2, 0], [4, 0, -4]], np.float32)[:, :, None, None]
SCORES = node("Conv", ["image", "weights"], "scores")


@pytest.fixture
def picture() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)


def score(picture: NDArray[np.uint8], low: float = 0, high: float = 1) -> NDArray[np.float64]:
    """The second class's lead over the first."""
    return lead(low + picture / 255 * (high - low))


def lead(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return 4 * (values[:, :, 0:1] - values[:, :, 2:3]) - 2 * values[:, :, 1:2]


def sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-values))


@pytest.mark.parametrize(
    ("last", "kind"),
    [
        (node("Identity", ["scores"], "out"), OutputKind.LOGITS),
        (node("Softmax", ["scores"], "out", axis=1), OutputKind.PROBABILITIES),
    ],
    ids=["logits", "softmax"],
)
@pytest.mark.parametrize("batch", [1, "batch"])
def test_two_channels_first(
    tmp_path: Path, picture: NDArray[np.uint8], last: NodeProto, kind: OutputKind, batch: int | str
) -> None:
    path = write(tmp_path, [SCORES, last], (batch, 3, 8, 12), (batch, 2, 8, 12), constants={"weights": WEIGHTS})
    with ForeignSession(path, threads=1) as session:
        assert (session.height, session.width, session.classes) == (8, 12, ("person",))
        assert session.adaptation.output is kind
        np.testing.assert_allclose(session.run(picture), sigmoid(score(picture)), atol=1e-6)
    wide = Overrides(input_range=InputRange.uniform(-1, 1))
    with ForeignSession(path, threads=1, overrides=wide) as session:
        np.testing.assert_allclose(session.run(picture), sigmoid(score(picture, -1, 1)), atol=1e-6)
    with ForeignSession(path, threads=1, overrides=Overrides(bgr=True)) as session:
        np.testing.assert_allclose(session.run(picture), sigmoid(score(picture[:, :, ::-1])), atol=1e-6)


def test_mean_and_deviation_of_each_channel(tmp_path: Path, picture: NDArray[np.uint8]) -> None:
    mean, deviation = (10.0, 20.0, 30.0), (50.0, 60.0, 70.0)
    path = write(
        tmp_path,
        [SCORES, node("Identity", ["scores"], "out")],
        (1, 3, 8, 12),
        (1, 2, 8, 12),
        constants={"weights": WEIGHTS},
    )
    normalized = (picture - np.array(mean)) / np.array(deviation)
    expected = sigmoid(lead(normalized))
    overrides = Overrides(input_range=InputRange.normalized(mean, deviation))
    with ForeignSession(path, threads=1, overrides=overrides) as session:
        np.testing.assert_allclose(session.run(picture), expected, atol=1e-5)


@pytest.mark.parametrize("out_type", [TensorProto.INT64, TensorProto.INT32, TensorProto.FLOAT])
def test_numbers_of_classes(tmp_path: Path, picture: NDArray[np.uint8], out_type: int) -> None:
    nodes = [
        SCORES,
        node("ArgMax", ["scores"], "numbers", axis=1, keepdims=0),
        node("Cast", ["numbers"], "out", to=out_type),
    ]
    path = write(
        tmp_path,
        nodes,
        (1, 3, 8, 12),
        (1, 8, 12),
        out_type=out_type,
        constants={"weights": WEIGHTS},
    )
    with ForeignSession(path, threads=1) as session:
        assert session.adaptation.output is OutputKind.CLASSES
        assert "class 1 of 2" in session.reasons[2]
        np.testing.assert_array_equal(session.run(picture), score(picture) > 0)


def test_channels_last_in_half_precision(tmp_path: Path, picture: NDArray[np.uint8]) -> None:
    nodes = [
        node("Slice", ["image", "begin", "end", "axis"], "red"),
        node("Sub", ["red", "half"], "centred"),
        node("Sigmoid", ["centred"], "out"),
    ]
    constants = {
        "begin": np.array([0]),
        "end": np.array([1]),
        "axis": np.array([3]),
        "half": np.array(0.5, np.float16),
    }
    path = write(
        tmp_path,
        nodes,
        (1, 8, 12, 3),
        (1, 8, 12, 1),
        type_="half",
        out_type=TensorProto.FLOAT16,
        constants=constants,
    )
    with ForeignSession(path, threads=1) as session:
        found = session.run(picture)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, sigmoid(picture[:, :, :1] / 255 - 0.5), atol=2e-3)


def test_bytes_without_quantization_are_taken_as_they_are(tmp_path: Path, picture: NDArray[np.uint8]) -> None:
    nodes = [
        node("Cast", ["image"], "floats", to=TensorProto.FLOAT),
        node("ReduceMean", ["floats", "axis"], "grey", keepdims=1),
        node("Clip", ["grey", "", "one"], "out"),
    ]
    constants = {"axis": np.array([1]), "one": np.array(1, np.float32)}
    path = write(tmp_path, nodes, (1, 3, 8, 12), (1, 1, 8, 12), type_="uint8", constants=constants)
    with ForeignSession(path, threads=1) as session:
        assert session.reasons[0] == "takes RGB in 0..255 (bytes as they are)"
        np.testing.assert_allclose(session.run(picture // 250), (picture // 250).mean(axis=2, keepdims=True), atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "out_shape", "inputs", "message"),
    [
        ((1, 3, "rows", "columns"), (1, 3, "rows", "columns"), 1, r"its input is float32 1x3x\?x\?, and must be"),
        ((2, 3, 8, 12), (2, 3, 8, 12), 1, "its input is float32 2x3x8x12, and must be"),
        ((1, 3, 8, 12), (1, 3, 8, 12), 2, r"has 2 inputs \(float32 1x3x8x12, float32 1x3x8x12\), and must have one"),
        ((1, 3, 8, 12), (1, 3, 8, 12), 1, "does not say which of its 3 classes is the person"),
    ],
    ids=["free size", "batch", "two inputs", "three classes"],
)
def test_no_segmentation_model(
    tmp_path: Path, shape: tuple[int | str, ...], out_shape: tuple[int | str, ...], inputs: int, message: str
) -> None:
    path = write(tmp_path, [node("Sigmoid", ["image"], "out")], shape, out_shape, inputs=inputs)
    with pytest.raises(ModelFileError, match=message):
        ForeignSession(path)


def test_a_vector_is_no_map(tmp_path: Path) -> None:
    nodes = [node("ReduceMean", ["image", "axes"], "out", keepdims=0)]
    path = write(tmp_path, nodes, (1, 3, 8, 12), (1, 3), constants={"axes": np.array([2, 3])})
    with pytest.raises(ModelFileError, match="its output is float32 1x3, and must be a map of 8x12 pixels"):
        ForeignSession(path)


def test_truncated_and_text_files_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, [node("Sigmoid", ["image"], "out")], (1, 3, 8, 12), (1, 3, 8, 12))
    content = path.read_bytes()
    for wrong in (content[: len(content) // 2], b"not a model", b""):
        path.write_bytes(wrong)
        with pytest.raises(ModelFileError, match=r"model\.onnx is no ONNX file, or is truncated"):
            ForeignSession(path)
