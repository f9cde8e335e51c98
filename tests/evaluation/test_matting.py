"""Errors of mattes whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from edge_deeplab.evaluation.matting import (
    gradient_error,
    mean_absolute_error,
    mean_squared_error,
    uncertain_band,
)


def _edge(at: float, *, width: float = 1.0) -> np.ndarray:
    """A vertical edge at a column, ``width`` pixels soft: 40x60, 0 on the left."""
    ramp = np.clip((np.arange(60) + 0.5 - at) / width + 0.5, 0.0, 1.0).astype(np.float32)
    return np.tile(ramp, (40, 1))


def test_a_constant_difference_is_its_size_and_its_square() -> None:
    exact = _edge(30.0) * 0.5
    assert mean_absolute_error(exact + np.float32(0.25), exact) == pytest.approx(0.25)
    assert mean_squared_error(exact + np.float32(0.25), exact) == pytest.approx(0.0625)


def test_an_edge_three_columns_off_is_wrong_in_three_columns() -> None:
    assert mean_absolute_error(_edge(33.0), _edge(30.0)) == pytest.approx(3 / 60)
    assert mean_squared_error(_edge(33.0), _edge(30.0)) == pytest.approx(3 / 60)


def test_only_the_region_counts() -> None:
    region = np.zeros((40, 60), bool)
    region[:, 30:36] = True
    assert mean_absolute_error(_edge(33.0), _edge(30.0), region) == pytest.approx(0.5)
    assert mean_squared_error(_edge(33.0), _edge(30.0), ~region) == 0.0
    assert gradient_error(_edge(33.0), _edge(30.0), region) > 5 * gradient_error(_edge(33.0), _edge(30.0), ~region)


def test_the_gradient_does_not_mind_an_offset_and_minds_a_soft_edge() -> None:
    exact = _edge(30.0) * np.float32(0.5)
    assert gradient_error(exact, exact) == 0.0
    assert gradient_error(exact + np.float32(0.5), exact) == pytest.approx(0.0, abs=1e-12)
    soft, softer = (gradient_error(_edge(30.0, width=width), _edge(30.0)) for width in (4.0, 8.0))
    assert 0.0 < soft < softer


@pytest.mark.parametrize("turned", [False, True])
def test_the_gradient_of_a_ramp_is_known(turned: bool) -> None:
    """Both kernels have unit energy; on a ramp of slope a the derivative gives a sum(x slope(x)) sum(bell(x))."""
    ramp = np.tile(np.arange(60, dtype=np.float64) / 100.0, (40, 1))
    ramp, flat = (ramp.T, np.zeros((60, 40))) if turned else (ramp, np.zeros((40, 60)))
    middle = np.zeros(ramp.shape, bool)
    middle[10:-10, 10:-10] = True
    x = np.arange(-4, 5)
    bell = np.exp(-(x**2) / (2 * 1.4**2))
    slope = x * bell
    expected = 0.01 * (x * slope).sum() / np.linalg.norm(slope) * bell.sum() / np.linalg.norm(bell)
    assert gradient_error(ramp, flat, middle) == pytest.approx(expected**2)


def test_the_band_is_around_what_is_neither_and_around_hard_edges() -> None:
    soft = _edge(30.0, width=4.0)
    assert np.flatnonzero(uncertain_band(soft, 1)[20]).tolist() == list(range(27, 33))
    hard = _edge(30.0)
    assert set(np.unique(hard)) == {0.0, 1.0}
    assert np.flatnonzero(uncertain_band(hard, 2)[20]).tolist() == [28, 29, 30, 31]
    assert not uncertain_band(np.ones((9, 9), np.float32), 3).any()


def test_other_shapes_and_empty_regions_are_refused() -> None:
    for measure in (mean_absolute_error, mean_squared_error, gradient_error):
        with pytest.raises(ValueError, match="different shapes"):
            measure(np.zeros((4, 4), np.float32), np.zeros((4, 5), np.float32))
        with pytest.raises(ValueError, match="no pixel"):
            measure(np.zeros((4, 4), np.float32), np.zeros((4, 4), np.float32), np.zeros((4, 4), bool))
