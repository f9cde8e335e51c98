"""Where each resize mode takes its samples: on a line by hand, on images against PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from edge_deeplab.runtime.coreml.operators.resize import resize, resize_bilinear, sample_points, upsample_bilinear
from edge_deeplab.runtime.coreml.operators.unsupported import UnsupportedError

# (pixels in, pixels out, mode, samples): the first eight are those of MIL's documentation, the others worked out.
POINTS = [
    (2, 5, "UNALIGN_CORNERS", [0, 0.1, 0.5, 0.9, 1]),
    (2, 5, "STRICT_ALIGN_CORNERS", [0, 0.25, 0.5, 0.75, 1]),
    (2, 5, "DEFAULT", [0, 0.4, 0.8, 1, 1]),
    (2, 5, "OFFSET_CORNERS", [0.1, 0.3, 0.5, 0.7, 0.9]),
    (2, 6, "UNALIGN_CORNERS", [0, 0, 1 / 3, 2 / 3, 1, 1]),
    (2, 6, "ALIGN_CORNERS", [0, 0.2, 0.4, 0.6, 0.8, 1]),
    (2, 6, "DEFAULT", [0, 1 / 3, 2 / 3, 1, 1, 1]),
    (2, 6, "OFFSET_CORNERS", [1 / 12, 3 / 12, 5 / 12, 7 / 12, 9 / 12, 11 / 12]),
    (4, 2, "UNALIGN_CORNERS", [0.5, 2.5]),
    (4, 2, "STRICT_ALIGN_CORNERS", [0, 3]),
    (4, 2, "DEFAULT", [0, 2]),
    (4, 2, "OFFSET_CORNERS", [0.75, 2.25]),
    (4, 1, "UNALIGN_CORNERS", [1.5]),
    (4, 1, "STRICT_ALIGN_CORNERS", [0]),
    (4, 1, "ALIGN_CORNERS", [1.5]),
    (4, 1, "DEFAULT", [0]),
    (4, 1, "OFFSET_CORNERS", [1.5]),
    (1, 3, "UNALIGN_CORNERS", [0, 0, 0]),
    (1, 3, "STRICT_ALIGN_CORNERS", [0, 0, 0]),
    (1, 3, "DEFAULT", [0, 0, 0]),
    (1, 3, "OFFSET_CORNERS", [0, 0, 0]),
]


@pytest.mark.parametrize(("length", "count", "mode", "expected"), POINTS)
def test_the_points_of_a_line(length: int, count: int, mode: str, expected: list[float]) -> None:
    np.testing.assert_allclose(sample_points(length, count, mode), expected, atol=1e-12)


@pytest.mark.parametrize(("length", "count", "mode", "expected"), POINTS)
def test_a_ramp_gives_the_points_on_both_axes(length: int, count: int, mode: str, expected: list[float]) -> None:
    ramp = np.arange(length, dtype=np.float32)
    across = np.broadcast_to(ramp, (1, 2, 3, length))
    np.testing.assert_allclose(resize_bilinear(across, 3, count, mode)[0, 1, 2], expected, atol=1e-6)
    down = np.broadcast_to(ramp[:, None], (1, 2, length, 3))
    np.testing.assert_allclose(resize_bilinear(down, count, 3, mode)[0, 1, :, 2], expected, atol=1e-6)


@settings(max_examples=100, deadline=None)
@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    target=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    align_corners=st.booleans(),
)
def test_resize_against_pytorch(size: tuple[int, int], target: tuple[int, int], align_corners: bool) -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, *size)).astype(np.float32)
    expected = functional.interpolate(torch.from_numpy(x), target, mode="bilinear", align_corners=align_corners)
    mode = "STRICT_ALIGN_CORNERS" if align_corners else "UNALIGN_CORNERS"
    np.testing.assert_allclose(resize_bilinear(x, *target, mode), expected.numpy(), atol=1e-5)
    np.testing.assert_allclose(resize(x, np.array(target), 2, sampling_mode=mode), expected.numpy(), atol=1e-5)


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("factors", [(2, 4), (16.0, 1.0), (np.float32(8 / 3), np.float32(4 / 3))], ids=str)
def test_upsample_against_pytorch(factors: tuple[float, float], align_corners: bool) -> None:
    x = np.random.default_rng(0).standard_normal((1, 2, 96, 6)).astype(np.float32)
    size = [round(float(factor) * length) for factor, length in zip(factors, (96, 6), strict=True)]
    expected = functional.interpolate(torch.from_numpy(x), size, mode="bilinear", align_corners=align_corners)
    np.testing.assert_allclose(upsample_bilinear(x, *factors, align_corners), expected.numpy(), atol=1e-4)


def test_upsample_aligns_corners_unless_it_is_told() -> None:
    ramp = np.array([[[[0, 1]]]], np.float32)
    np.testing.assert_allclose(upsample_bilinear(ramp, 1, 2)[0, 0, 0], [0, 1 / 3, 2 / 3, 1], atol=1e-6)
    np.testing.assert_allclose(upsample_bilinear(ramp, 1, 2, False)[0, 0, 0], [0, 0.25, 0.75, 1], atol=1e-6)


def test_a_zero_in_the_shape_keeps_the_size() -> None:
    x = np.zeros((1, 2, 4, 5), np.float32)
    assert resize(x, np.array([1, 0, 10]), 2).shape == (1, 2, 4, 10)


def test_what_is_ambiguous_or_unknown_is_refused() -> None:
    x = np.zeros((1, 1, 5, 5), np.float32)
    with pytest.raises(UnsupportedError, match=r"a factor of 1\.5 on 5 pixels gives no whole number"):
        upsample_bilinear(x, 1.5, 1)
    with pytest.raises(UnsupportedError, match="the sampling mode 'HALF_PIXEL' is unknown"):
        resize_bilinear(x, 3, 3, "HALF_PIXEL")
    with pytest.raises(UnsupportedError, match="only linear interpolation of the last two axes"):
        resize(x, np.array([3, 3]), 2, "NEAREST_NEIGHBOR")
    with pytest.raises(UnsupportedError, match="only linear interpolation of the last two axes"):
        resize(x, np.array([1, 3, 3]), 3)
    with pytest.raises(UnsupportedError, match="no 0x3 pixels"):
        resize_bilinear(x, 0, 3)
