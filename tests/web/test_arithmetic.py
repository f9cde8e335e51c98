"""The page's functions on arrays give what their Python counterparts give."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from demo_app.backdrops.backdrop import Backdrop
from demo_app.matte import Alpha
from demo_app.matte.tighten import tighten
from demo_app.temporal.cuts import equal_exposure, is_cut
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
        ((720, 1280), (272, 272)),  # halves, then area by a ratio that is no whole number
        ((480, 640), (208, 208)),
        ((301, 265), (272, 272)),  # shrinks on one axis, grows a little on the other
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
    output = np.stack([np.full(256, 9, np.uint8), np.arange(256, dtype=np.uint8)], axis=1)  # of two classes
    given = np.frombuffer(compute("tighten", output.tobytes(), scale=1 / 256, zeroPoint=3), np.uint8)
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


def smoothed(compute: Compute, frames: list[Rgb], masks: list[Alpha]) -> NDArray[np.float32]:
    """The page's mattes of a film, float32, frames x rows x columns."""
    rows, columns = masks[0].shape
    given = compute(
        "smooth", np.stack(masks).tobytes() + np.stack(frames).tobytes(), columns=columns, rows=rows, frames=len(frames)
    )
    return np.frombuffer(given, np.float32).reshape(len(frames), rows, columns)


@pytest.fixture
def noisy_masks() -> list[Alpha]:
    """A subject on the left whose probability changes from frame to frame."""
    random = np.random.default_rng(3)
    subject = np.where(np.arange(97) < 40, 0.8, 0.2)
    return [(subject + random.normal(0, 0.05, (64, 97))).clip(0, 1).astype(np.float32) for _ in range(12)]


@pytest.fixture
def room() -> Rgb:
    picture: Rgb = cv2.resize(bundled_portrait(), (97, 64), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return picture


def test_a_film_is_smoothed_by_the_desktops_arithmetic(compute: Compute, room: Rgb, noisy_masks: list[Alpha]) -> None:
    """Exposure, cuts and weights of demo_app.temporal, at no motion."""
    moving = [np.roll(room, 3 * max(0, index - 4), axis=1) for index in range(8)]
    brighter = [cv2.convertScaleAbs(room, alpha=0.8, beta=30.0), cv2.convertScaleAbs(room, alpha=0.7, beta=30.0)]
    other = [np.ascontiguousarray(room[::-1]), np.ascontiguousarray(room[::-1])]
    frames = [*moving, *brighter, *other]
    expected = [noisy_masks[0]]
    for (before, after), mask in zip(pairwise(frames), noisy_masks[1:], strict=True):
        old, new = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (before, after))
        difference = cv2.absdiff(new, equal_exposure(old, new))  # type: ignore[arg-type]
        share = np.clip((cv2.blur(difference, (5, 5)).astype(np.float32) - 2.0) / 6.0, 0.0, 1.0)
        weight = 1.0 if is_cut(difference, new) else 0.2 + 0.8 * share  # type: ignore[arg-type]
        expected.append((expected[-1] + weight * (mask - expected[-1])).astype(np.float32))
    given = smoothed(compute, frames, noisy_masks)
    assert np.array_equal(given[10], noisy_masks[10])  # the cut
    np.testing.assert_allclose(given, np.stack(expected), atol=1e-3)


def test_a_matte_is_steady_where_the_picture_stands_and_new_where_it_moves(
    compute: Compute, room: Rgb, noisy_masks: list[Alpha]
) -> None:
    random = np.random.default_rng(4)
    frames = []
    for index in range(12):
        frame = (room.astype(np.float32) + random.normal(0, 2, room.shape)).clip(0, 255).astype(np.uint8)
        frame[:, 60:] = np.roll(bundled_portrait()[100:164, 200:237], 9 * index, axis=0)
        frames.append(frame)
    given = smoothed(compute, frames, noisy_masks)
    still, moves = np.s_[:, :50], np.s_[:, 70:]
    changes, raw = np.abs(np.diff(given[4:], axis=0)).mean(0), np.abs(np.diff(noisy_masks[4:], axis=0)).mean(0)
    assert changes[still].mean() < 0.25 * raw[still].mean()
    assert np.mean(given[-1][moves] == noisy_masks[-1][moves]) > 0.9
    assert np.array_equal(given[0], noisy_masks[0])


# As browsers give them: Chromium by way of ANGLE, Firefox with the model made vague, Safari with it left out.
PROGRAMS = (
    "ANGLE (Google, Vulkan 1.3.0 (SwiftShader Device (Subzero) (0x0000C0DE)), SwiftShader driver)",
    "Google SwiftShader",
    "ANGLE (Mesa, llvmpipe (LLVM 15.0.7 256 bits), OpenGL 4.5)",
    "llvmpipe, or similar",
    "softpipe",
    "ANGLE (Microsoft, Microsoft Basic Render Driver Direct3D11 vs_5_0 ps_5_0, D3D11)",
    "Apple Software Renderer",
)
GPUS = (
    "ANGLE (NVIDIA, NVIDIA GeForce RTX 3060 Direct3D11 vs_5_0 ps_5_0, D3D11)",
    "ANGLE (NVIDIA Corporation, NVIDIA H100/PCIe/SSE2, OpenGL 4.5.0)",
    "ANGLE (AMD, AMD Radeon RX 6600 (radeonsi navi23 LLVM 15.0.7), OpenGL 4.6)",
    "ANGLE (Intel, Intel(R) Iris(R) Xe Graphics (0x00009A49) Direct3D11 vs_5_0 ps_5_0, D3D11)",
    "Mesa Intel(R) Iris(R) Xe Graphics (TGL GT2)",
    "ANGLE (Apple, ANGLE Metal Renderer: Apple M1, Unspecified Version)",
    "Apple GPU",
    "Adreno (TM) 740",
    "Mali-G78 MC24",
    "Radeon R9 200 Series, or similar",
)


def test_a_program_that_draws_is_told_from_a_gpu_by_its_name(compute: Compute) -> None:
    told = np.frombuffer(compute("software", renderers=(*PROGRAMS, *GPUS)), np.uint8)
    assert dict(zip((*PROGRAMS, *GPUS), told, strict=True)) == dict.fromkeys(PROGRAMS, 1) | dict.fromkeys(GPUS, 0)
