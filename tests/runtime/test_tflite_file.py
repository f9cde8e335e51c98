from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edge_deeplab.errors import ModelFileError
from edge_deeplab.runtime.tflite_file import inspect_tflite


def test_a_graph_is_read_as_it_was_written(write_tflite: Callable[..., Path]) -> None:
    graph = inspect_tflite(write_tflite("INT8", zero_point=-128, negate=True))
    assert [operator.name for operator in graph.operators] == ["SLICE", "NEG"]
    (source,), (target,) = graph.inputs, graph.outputs
    assert (source.name, source.type, source.shape) == ("image", "INT8", (1, 4, 6, 3))
    assert source.scales == pytest.approx((1 / 255,))
    assert source.zero_points == (-128,)
    assert (target.name, target.shape) == ("negative", (1, 4, 6, 1))
    assert [tensor.constant for tensor in graph.operators[0].inputs] == [False, True, True]
    assert graph.operators[1].inputs == graph.operators[0].outputs
    assert not any(tensor.is_float for operator in graph.operators for tensor in operator.outputs)


def test_a_float_tensor_is_seen(write_tflite: Callable[..., Path]) -> None:
    graph = inspect_tflite(write_tflite("FLOAT32"))
    assert graph.inputs[0].is_float
    assert graph.inputs[0].scales == ()
    assert not graph.operators[0].inputs[1].is_float


def test_what_is_no_flatbuffer_is_refused(write_tflite: Callable[..., Path], tmp_path: Path) -> None:
    path = tmp_path / "half.tflite"
    content = write_tflite().read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelFileError, match=r"half\.tflite is a truncated or damaged TFLite file"):
        inspect_tflite(path)
    with pytest.raises(ModelFileError, match="cannot be read: No such file"):
        inspect_tflite(tmp_path / "missing.tflite")
