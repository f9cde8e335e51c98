"""The golden pairs see the faults that integrations have, and let pass what is right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edge_deeplab.artifact import load_artifact
from edge_deeplab.bundle.contract import Contract, Tolerance
from edge_deeplab.image import read_mask, read_rgb, resize_area
from edge_deeplab.runtime.opening import open_session
from edge_deeplab.runtime.session import Session
from edge_deeplab.weights import shipped_model

SIZE = load_artifact(shipped_model()).spec.height

Change = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


@pytest.fixture(scope="module")
def session(shipped_bundle: Path, shipped_contract: Contract) -> Iterator[Session]:
    with open_session(shipped_bundle / shipped_contract.models[0].path, threads=1) as opened:
        yield opened


@pytest.fixture
def within(
    session: Session, shipped_bundle: Path, shipped_contract: Contract
) -> Callable[[str, Change, Tolerance], list[bool]]:
    """For each golden pair: whether the mask of its changed picture is within a tolerance."""
    (model,) = shipped_contract.models

    def check(part: str, change: Change, tolerance: Tolerance) -> list[bool]:
        verdicts = []
        for golden in shipped_contract.goldens:
            pixels = change(read_rgb(shipped_bundle / getattr(golden, part)))
            found = session.run(np.ascontiguousarray(pixels))[:, :, 0]
            expected = read_mask(shipped_bundle / golden.masks[model.path]) / 255
            agreement = ((found >= model.output.threshold) == (expected >= model.output.threshold)).mean()
            passed = np.abs(found - expected).mean() <= tolerance.mean_error and agreement >= tolerance.mask_agreement
            verdicts.append(bool(passed))
        return verdicts

    return check


def test_there_are_three_of_the_bundled_pictures_and_none_is_square(
    shipped_bundle: Path, shipped_contract: Contract
) -> None:
    assert len(shipped_contract.goldens) == 3
    for golden in shipped_contract.goldens:
        height, width = read_rgb(shipped_bundle / golden.picture).shape[:2]
        assert height != width
        expected = resize_area(read_rgb(shipped_bundle / golden.picture), SIZE, SIZE)
        np.testing.assert_array_equal(read_rgb(shipped_bundle / golden.input), expected)
        mask = read_mask(shipped_bundle / golden.masks["models/portrait.tflite"])
        assert 0.1 < (mask >= 128).mean() < 0.9  # there is a person, and something else


def letterbox(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    scale = SIZE / max(height, width)
    small = resize_area(picture, round(height * scale), round(width * scale))
    boxed = np.zeros((SIZE, SIZE, 3), np.uint8)
    boxed[: small.shape[0], : small.shape[1]] = small
    return boxed


def resized(interpolation: int) -> Change:
    return lambda picture: cv2.resize(picture, (SIZE, SIZE), interpolation=interpolation)  # type: ignore[return-value]


def by_pillow(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(picture).resize((SIZE, SIZE), Image.Resampling.BILINEAR))


FAULTS: dict[str, Change] = {
    "BGR": lambda pixels: pixels[:, :, ::-1],
    "[-1, 1] into [0, 1]": lambda pixels: np.clip(pixels.astype(np.int16) * 2 - 255, 0, 255).astype(np.uint8),
    "half as bright": lambda pixels: pixels // 2,
    "mirrored": lambda pixels: pixels[:, ::-1],
    "upside down": lambda pixels: pixels[::-1],
    "rows for columns": lambda pixels: pixels.transpose(1, 0, 2),
    "grey": lambda pixels: np.repeat(pixels.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_input_is_seen_on_each_of_them(
    fault: str, within: Callable[..., list[bool]], shipped_contract: Contract
) -> None:
    assert within("input", FAULTS[fault], shipped_contract.models[0].tolerance) == [False] * 3


def test_the_right_input_passes(within: Callable[..., list[bool]], shipped_contract: Contract) -> None:
    assert within("input", lambda pixels: pixels, shipped_contract.models[0].tolerance) == [True] * 3


@pytest.mark.parametrize("resize", [resized(cv2.INTER_AREA), resized(cv2.INTER_LINEAR), by_pillow])
def test_an_app_may_resize_by_other_means(
    resize: Change, within: Callable[..., list[bool]], shipped_contract: Contract
) -> None:
    assert within("picture", resize, shipped_contract.own_resize) == [True] * 3


@pytest.mark.parametrize("resize", [letterbox, lambda picture: resize_area(picture, SIZE, SIZE)[:, :, ::-1]])
def test_an_app_that_resizes_or_feeds_wrongly_is_seen(
    resize: Change, within: Callable[..., list[bool]], shipped_contract: Contract
) -> None:
    assert within("picture", resize, shipped_contract.own_resize) == [False] * 3


def test_nearest_neighbour_is_seen(within: Callable[..., list[bool]], shipped_contract: Contract) -> None:
    assert not all(within("picture", resized(cv2.INTER_NEAREST), shipped_contract.own_resize))
