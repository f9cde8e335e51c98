"""Checkpoints whose weights are stored as integers: what comes back, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from edge_deeplab.checkpoint import IntegerWeight, load_checkpoint, save_checkpoint, stored_tensors
from edge_deeplab.errors import CheckpointError
from edge_deeplab.spec import ModelSpec

_INTEGERS = np.arange(-127, 128, dtype=np.int8).reshape(3, 85, 1, 1)
_SCALES = np.array([1e-3, 0.1, 3e-41], np.float32)  # the last is subnormal


def test_integers_come_back_as_float32_products_bit_for_bit(small_spec: ModelSpec, tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    weights = {
        "all": IntegerWeight(_INTEGERS, _SCALES),
        "many": IntegerWeight(
            random.integers(-127, 128, (500, 4, 3, 3), dtype=np.int8),
            np.exp(random.uniform(-20, 5, 500)).astype(np.float32),
        ),
        # Columns first in memory, as after a transposition.
        "transposed": IntegerWeight(np.asfortranarray(_INTEGERS[:, :, 0, 0]), _SCALES),
    }
    floats = {"float": np.array([[0.1]], np.float32), "bias": np.array([0.1], np.float32), "count": np.array(7)}
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, small_spec, weights | floats, half=True)
    back = load_checkpoint(path).weights
    assert back.keys() == weights.keys() | floats.keys()
    for name, weight in weights.items():
        assert back[name].dtype == np.float32
        for channel, integers in enumerate(weight.integers):
            expected = [np.float32(one) * weight.scales[channel] for one in integers.ravel()]
            assert back[name][channel].tobytes() == np.array(expected, np.float32).tobytes()
    assert back["float"][0, 0] == np.float32(np.float16(0.1))
    assert back["bias"][0] == np.float32(0.1)
    assert (back["count"].dtype, back["count"].shape, int(back["count"])) == (np.int64, (), 7)

    stored = stored_tensors(path)
    assert (stored["all"], stored["all.scales"]) == (("int8", (3, 85, 1, 1)), ("float32", (3,)))
    assert stored["float"] == ("float16", (1, 1))
    again = tmp_path / "b.safetensors"
    save_checkpoint(again, small_spec, dict(reversed((weights | floats).items())), half=True)
    assert again.read_bytes() == path.read_bytes()


_GOOD = np.ones(3, np.float32)


def _with(value: float) -> np.ndarray:
    return np.array([1, value, 1], np.float32)


@pytest.mark.parametrize(
    ("integers", "scales", "message"),
    [
        (_INTEGERS, np.ones(2, np.float32), "scales of shape (2,) do not go with integers of shape (3, 85, 1, 1)"),
        (_INTEGERS, np.ones(1, np.float32), "scales of shape (1,) do not go with"),
        (_INTEGERS, np.ones((3, 1), np.float32), "scales of shape (3, 1) do not go with"),
        (np.zeros((), np.int8), np.ones((), np.float32), "scales of shape () do not go with"),
        (_INTEGERS, np.ones(3), "scales float64: they must be int8 and float32"),
        (_INTEGERS, np.ones(3, np.int8), "scales int8: they must be int8 and float32"),
        (_INTEGERS, _with(0), "a scale is not a positive number"),
        (_INTEGERS, _with(-0.1), "a scale is not a positive number"),
        (_INTEGERS, _with(np.nan), "a scale is not a positive number"),
        (_INTEGERS, _with(np.inf), "a scale is not a positive number"),
        (np.full((3, 2), -128, np.int8), _GOOD, "an integer is -128"),
    ],
)
def test_integers_that_cannot_be_a_weight_are_refused(
    integers: np.ndarray, scales: np.ndarray, message: str, small_spec: ModelSpec, tmp_path: Path
) -> None:
    """Before they are written, and in a file that somebody else wrote, which the message names."""
    with pytest.raises(CheckpointError) as refusal:
        IntegerWeight(integers, scales)
    assert message in str(refusal.value)
    path = _foreign(tmp_path, small_spec, {"stem.weight": integers, "stem.weight.scales": scales})
    with pytest.raises(CheckpointError) as refusal:
        load_checkpoint(path)
    assert message in str(refusal.value)
    assert str(refusal.value).startswith(f"{path}: stem.weight: ")


def test_integers_without_scales_are_refused(small_spec: ModelSpec, tmp_path: Path) -> None:
    path = _foreign(tmp_path, small_spec, {"stem.weight": _INTEGERS, "other.scales": _SCALES})
    with pytest.raises(CheckpointError, match=r"stem\.weight is stored as integers, without their scales"):
        load_checkpoint(path)


def _foreign(folder: Path, spec: ModelSpec, tensors: dict[str, np.ndarray]) -> Path:
    path = folder / "foreign.safetensors"
    header = {"edge_deeplab": json.dumps({"spec": spec.to_dict(), "notes": {}})}
    safetensors.numpy.save_file(tensors, path, metadata=header)
    return path
