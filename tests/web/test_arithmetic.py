"""The page's functions on arrays give what their Python counterparts give."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from demo_app.backdrops.backdrop import Backdrop
from demo_app.matte.tighten import tighten
from edge_deeplab.data.bundled import bundled_portrait
from edge_deeplab.image import Rgb, resize_area

Compute = Callable[..., bytes]


@pytest.mark.parametrize(
    ("size", "to"),
    [
        ((512, 512), (256, 256)),  # halves
        ((360, 640), (256, 256)),  # area on both axes
        ((720, 1280), (256, 256)),  # halves, then area
        ((301, 265), (256, 256)),  # odd
        ((1, 1), (256, 256)),
        ((131, 97), (256, 256)),  # grows
        ((131, 400), (192, 320)),  # grows on one axis, shrinks on the other
    ],
)
def test_the_resize_is_the_one_that_the_network_knows(
    compute: Compute, size: tuple[int, int], to: tuple[int, int]
) -> None:
    picture = cv2.resize(bundled_portrait(), size[::-1], interpolation=cv2.INTER_AREA)
    given = compute(
        "resize", picture.tobytes(), width=size[1], height=size[0], channels=3, toWidth=to[1], toHeight=to[0]
    )
    resized = np.frombuffer(given, np.uint8).reshape(*to, 3)
    assert np.array_equal(resized, resize_area(picture, *to))


@pytest.mark.parametrize("f_number", [1.0, 2.0, 4.0, 16.0])
@pytest.mark.parametrize("size", [(720, 1280), (480, 640), (131, 97), (3000, 4000)])
def test_the_lens_is_the_same(
    compute: Compute,
    disc: Callable[[float, int, int], tuple[int, NDArray[np.float32]]],
    f_number: float,
    size: tuple[int, int],
) -> None:
    height, width = size
    given = np.frombuffer(compute("lens", fNumber=f_number, width=width, height=height), np.float32)
    factor, kernel = disc(f_number, height, width)
    assert given[0] == factor
    np.testing.assert_allclose(given[1:], kernel.ravel(), atol=1e-6)


def test_the_matte_is_tightened_alike(compute: Compute) -> None:
    given = np.frombuffer(compute("tighten", scale=1 / 256, zeroPoint=3), np.uint8)
    probabilities = ((np.arange(256) - 3) / 256).clip(0, 1).astype(np.float32)[None]
    expected = tighten(np.zeros((1, 256, 3), np.uint8), probabilities)[0] * 255
    np.testing.assert_allclose(given, expected, atol=0.51)


@pytest.mark.parametrize(("f_number", "size"), [(2.0, (360, 640)), (16.0, (360, 640)), (1.4, (203, 301))])
def test_the_background_is_blurred_alike(
    compute: Compute,
    plain_blur: Callable[[float, int, int], Backdrop],
    f_number: float,
    size: tuple[int, int],
) -> None:
    height, width = size
    picture: Rgb = cv2.resize(bundled_portrait(), (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    coverage = np.zeros((256, 256), np.uint8)
    cv2.ellipse(coverage, (128, 180), (60, 120), 0, 0, 360, (255,), -1)
    coverage = cv2.GaussianBlur(coverage, (9, 9), 2.0)  # type: ignore[assignment]
    expected = plain_blur(f_number, height, width)(picture, coverage)

    rgba = np.dstack([picture, np.full((height, width), 255, np.uint8)])
    given = compute(
        "blur",
        rgba.tobytes() + coverage.tobytes(),
        fNumber=f_number,
        width=width,
        height=height,
        columns=256,
        rows=256,
    )
    blurred = np.frombuffer(given, np.uint8).reshape(*expected.shape[:2], 4)[:, :, :3]
    assert cv2.PSNR(np.ascontiguousarray(blurred), expected) > 48.0
