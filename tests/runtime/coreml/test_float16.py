from __future__ import annotations

import numpy as np

from edge_deeplab.runtime.coreml.float16 import round_to_float16


def test_it_rounds_as_numpy_does() -> None:
    """Every float16, the ties between neighbours and what is beside a tie, subnormal numbers, and far beyond."""
    halves = np.arange(1 << 15, dtype=np.uint16).view(np.float16).astype(np.float32)
    halves = halves[np.isfinite(halves)]
    ties = (halves[:-1].astype(np.float64) + halves[1:]) / 2
    values = np.concatenate([halves, ties, np.nextafter(ties, 0, dtype=np.float32)]).astype(np.float32)
    values = np.concatenate([values, -values, np.float32([65519.9, 65520, 1e9, 1e-9, np.inf])])
    with np.errstate(over="ignore"):
        expected = values.astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(round_to_float16(values), expected)
    assert np.isnan(round_to_float16(np.float32([np.nan]))).all()


def test_shapes_stay() -> None:
    for shape in ((), (0, 3), (2, 3, 4)):
        assert round_to_float16(np.zeros(shape, np.float32)).shape == shape
    columns = np.arange(6, dtype=np.float32).reshape(2, 3).T
    np.testing.assert_array_equal(round_to_float16(columns), columns)
