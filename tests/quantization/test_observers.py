"""Histograms and what the observers make of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edge_deeplab.quantization.affine import affine_from_range, dequantize, quantize
from edge_deeplab.quantization.observers import OBSERVERS, Histogram, Percentile, entropy, mean_squared_error, min_max

values = arrays.arrays(np.float32, st.integers(1, 50), elements=st.floats(-1000, 1000, width=32, allow_subnormal=False))


def require_in_bins(histogram: Histogram, seen: np.ndarray) -> None:
    centres = np.repeat(histogram.centres(), histogram.counts)
    assert np.abs(centres - np.sort(seen)).max() <= histogram.limit / 4096 * 0.5 * (1 + 1e-3)


@given(values, values)
def test_merging_counts_as_if_all_had_come_at_once(a: np.ndarray, b: np.ndarray) -> None:
    both = Histogram.of(np.concatenate([a, b]))
    merged = Histogram.of(a).merge(Histogram.of(b))
    assert (merged.low, merged.high, merged.counts.sum()) == (both.low, both.high, both.counts.sum())
    assert np.array_equal(merged.counts, Histogram.of(b).merge(Histogram.of(a)).counts)
    require_in_bins(merged, np.concatenate([a, b]))


@given(values)
def test_each_value_lies_in_its_bin(a: np.ndarray) -> None:
    histogram = Histogram.of(a)
    require_in_bins(histogram, a)
    assert min_max(histogram) == (a.min(), a.max())


def test_values_that_are_not_finite_are_seen() -> None:
    bad = Histogram.of(np.array([1.0, np.nan], np.float32))
    good = Histogram.of(np.array([1.0, 2.0], np.float32))
    for merged in (bad.merge(good), good.merge(bad)):
        assert not np.isfinite(merged.high)


def test_percentile_cuts_the_tails_and_nothing_more() -> None:
    seen = Histogram.of(np.concatenate([np.linspace(-1, 1, 100_000), [50.0]]).astype(np.float32))
    low, high = Percentile(90.0)(seen)
    assert low == pytest.approx(-0.9, abs=0.03)  # the bins are 64 / 4096 wide
    assert high == pytest.approx(0.9, abs=0.03)
    assert Percentile(100.0)(seen) == (-1.0, 50.0)


def test_mean_squared_error_finds_a_better_interval_than_all_values() -> None:
    random = np.random.default_rng(0)
    data = np.concatenate([random.normal(0, 1, 200_000), [30.0, -20.0]]).astype(np.float32)
    seen = Histogram.of(data)

    def error(low: float, high: float) -> float:
        affine = affine_from_range(low, high)
        return float(np.square(dequantize(quantize(data, affine), affine) - data).mean())

    best = mean_squared_error(seen)
    assert error(*best) < 0.7 * error(*min_max(seen))
    assert error(*best) < error(*Percentile(99.99)(seen)) * 1.01


def test_mean_squared_error_keeps_a_range_that_is_fully_used() -> None:
    seen = Histogram.of(np.linspace(0, 6, 10_000).astype(np.float32))
    assert mean_squared_error(seen) == pytest.approx((0.0, 6.0), abs=0.01)


@given(values.filter(lambda seen: np.ptp(seen) > 1e-3), st.sampled_from(list(OBSERVERS)))
def test_every_observer_gives_an_interval_that_int8_can_cover(a: np.ndarray, name: str) -> None:
    low, high = OBSERVERS[name](Histogram.of(a))
    assert min(a.min(), 0) <= low <= high <= max(a.max(), 0)
    if low < 0 or high > 0:
        affine_from_range(low, high)


def test_entropy_cuts_a_thin_tail_and_keeps_the_bulk() -> None:
    """Nearly everything lies in [0, 2]: levels up to 30 would be wasted on one value in ten thousand."""
    random = np.random.default_rng(0)
    data = np.concatenate([np.abs(random.normal(0, 0.6, 200_000)), np.linspace(3, 30, 20)]).astype(np.float32)
    low, high = entropy(Histogram.of(data))
    assert low == 0
    assert 1.5 < high < 10


def test_entropy_keeps_a_range_that_is_fully_used() -> None:
    seen = Histogram.of(np.linspace(-3, 6, 100_000).astype(np.float32))
    assert entropy(seen) == pytest.approx((-3.0, 6.0), abs=0.2)


def test_the_zeros_of_a_rectifier_do_not_drown_the_rest_in_the_entropy() -> None:
    random = np.random.default_rng(1)
    data = np.abs(random.normal(0, 1, 100_000)).astype(np.float32)
    rectified = np.concatenate([data, np.zeros(5_000_000, np.float32)])
    assert entropy(Histogram.of(rectified)) == pytest.approx(entropy(Histogram.of(data)), rel=0.1)
