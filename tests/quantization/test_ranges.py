"""Ranges on disk and the mistakes that they catch."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_deeplab.errors import RangesError
from edge_deeplab.quantization.affine import Affine
from edge_deeplab.quantization.ranges import (
    ActivationRange,
    QuantRanges,
    WeightRange,
    activation_range,
    load_ranges,
    save_ranges,
)

RANGES = QuantRanges(
    checkpoint_sha256="ab" * 32,
    activations={
        "input": ActivationRange(Affine(1 / 255, -128), 0.0, 1.0, "fixed: pixels in [0, 1]"),
        "stem": activation_range(-0.3, 5.7, (-0.31, 6.0), "observed: min-max over 4 images", "stem"),
    },
    weights={"stem": WeightRange((0.5, 0.0078125), 0, (0.25, -0.5))},
)


def test_they_come_back_to_the_last_bit(tmp_path: Path) -> None:
    save_ranges(tmp_path / "ranges.json", RANGES)
    first = (tmp_path / "ranges.json").read_bytes()
    back = load_ranges(tmp_path / "ranges.json")
    save_ranges(tmp_path / "ranges.json", back)
    assert {name: point.affine for name, point in back.activations.items()} == {
        name: point.affine for name, point in RANGES.activations.items()
    }
    assert back.weights == RANGES.weights
    assert back.activations["stem"].origin == "observed: min-max over 4 images"
    assert (tmp_path / "ranges.json").read_bytes() == first


@given(st.floats(1e-30, 1e30))
def test_any_float32_scale_survives_the_text(tmp_path_factory: pytest.TempPathFactory, scale: float) -> None:
    path = tmp_path_factory.mktemp("scale") / "ranges.json"
    point = ActivationRange(Affine(scale, 3), -1.0, 1.0, "learned")
    save_ranges(path, QuantRanges("0", {"a": point}, {}))
    assert load_ranges(path).activations["a"].affine == point.affine


def test_a_person_can_read_the_file(tmp_path: Path) -> None:
    save_ranges(tmp_path / "ranges.json", RANGES)
    lines = (tmp_path / "ranges.json").read_text().splitlines()
    assert '    "stem": {"axis": 0, "scales": [0.5, 0.0078125], "bias_shift": [0.25, -0.5]}' in lines
    assert json.loads("\n".join(lines))["activations"]["input"]["scale"] == 0.003921569


@pytest.mark.parametrize(("low", "high"), [(float("nan"), 1.0), (0.0, float("inf")), (0.5, 0.5), (1.0, 0.0)])
def test_a_range_that_is_not_finite_or_has_no_width_is_refused(low: float, high: float) -> None:
    with pytest.raises(RangesError, match=r"stem.*calibrate"):
        QuantRanges("0", {"stem": ActivationRange(Affine(1.0, 0), low, high, "")}, {})


@pytest.mark.parametrize(("low", "high"), [(float("nan"), 1.0), (0.0, float("inf")), (0.0, 0.0), (1.0, 0.0)])
def test_an_interval_that_cannot_be_covered_is_refused_by_name(low: float, high: float) -> None:
    with pytest.raises(RangesError, match=r"stem.*calibrate"):
        activation_range(low, high, (0.0, 1.0), "", "stem")


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan")])
def test_a_weight_scale_that_is_not_positive_is_refused(scale: float) -> None:
    with pytest.raises(RangesError, match="weight scale of stem"):
        QuantRanges("0", {}, {"stem": WeightRange((1.0, scale), 0)})


def test_a_missing_point_is_named() -> None:
    with pytest.raises(RangesError, match=r"'head'.*calibrate"):
        RANGES.activation("head")
    with pytest.raises(RangesError, match=r"'head'.*calibrate"):
        RANGES.weight("head")


def test_ranges_of_another_checkpoint_are_refused() -> None:
    RANGES.require_checkpoint("ab" * 32)
    with pytest.raises(RangesError, match=r"another|belong to the checkpoint abab"):
        RANGES.require_checkpoint("cd" * 32)


@pytest.mark.parametrize("text", ["", "not json", "[]", "{}", '{"version": 1}', '{"version": 99}'])
def test_a_file_that_holds_no_ranges_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ranges.json"
    path.write_text(text)
    with pytest.raises(RangesError, match=r"ranges\.json"):
        load_ranges(path)


def test_nan_in_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ranges.json"
    save_ranges(path, replace(RANGES))
    path.write_text(path.read_text().replace('"low": 0.0', '"low": NaN'))
    with pytest.raises(RangesError, match=r"ranges\.json.*input is not finite"):
        load_ranges(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RangesError, match="calibrate first"):
        load_ranges(tmp_path / "none.json")
