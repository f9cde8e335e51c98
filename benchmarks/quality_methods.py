"""The effects that portrait_quality compares: what is done to the mask in time, and what is made of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from demo_app.aperture import DEFAULT_F_NUMBER, gaussian_sigma
from demo_app.backdrops.backdrop import Backdrop
from demo_app.backdrops.gaussian import GaussianBlur
from demo_app.compositor import Compositor
from demo_app.halo import Scene, in_code_values, plain_portrait
from demo_app.temporal.smoothing import MatteSmoother
from edge_deeplab.image import Rgb, resize_map

Alpha = NDArray[np.float32]
Smooth = Callable[[Rgb, Alpha], Alpha]

NETWORK = 256
EMA_WEIGHT = 0.3


@dataclass(frozen=True)
class Method:
    """One row of the tables.

    Attributes:
        smooth: makes what smooths the masks of one film.
        portrait: (frame, mask) -> the portrait.
        matte: (frame, mask) -> the coverage that the portrait is mixed by, of the frame's size.
    """

    smooth: Callable[[], Smooth]
    portrait: Callable[[Rgb, Alpha], Rgb]
    matte: Callable[[Rgb, Alpha], Alpha]


class Ema:
    """The usual remedy: an exponential moving average, pixel by pixel, whatever moves."""

    def __init__(self) -> None:
        self._mean: Alpha | None = None

    def __call__(self, frame: Rgb, alpha: Alpha) -> Alpha:
        self._mean = alpha if self._mean is None else self._mean + np.float32(EMA_WEIGHT) * (alpha - self._mean)
        return self._mean


def methods() -> dict[str, Method]:
    """Name to method, from the one that everybody writes first to ours."""
    ours = Method(MatteSmoother, Compositor(GaussianBlur()), lambda f, a: effective_matte(Compositor, f, a))
    return {
        "plain blur, raw mask": Method(_raw, _plain_blur, _stretched),
        "our blur, raw mask": Method(_raw, _our_blur, _stretched),
        "our blur, EMA": Method(Ema, _our_blur, _stretched),
        "ours, not smoothed": Method(_raw, ours.portrait, ours.matte),
        "ours": ours,
    }


class _MakesCompositor(Protocol):
    def __call__(self, backdrop: Backdrop) -> Callable[[Rgb, Alpha], Rgb]: ...


def effective_matte(compositor: _MakesCompositor, frame: Rgb, alpha: Alpha) -> Alpha:
    """The coverage that a compositor really uses, found from outside: two known backdrops give it exactly.

    Smith and Blinn 1996, "Blue Screen Matting", section 4 (triangulation), with black and white.

    Returns:
        float32, HxW of the frame, 0..1 in steps of 1/255.
    """
    white, black = (
        compositor(_Constant(code))(frame, alpha).astype(np.float32).mean(axis=2) for code in (255, 0)
    )  # fmt: skip
    matte: Alpha = np.clip(1.0 - (white - black) / np.float32(255.0), 0.0, 1.0)
    return matte


class _Constant:
    def __init__(self, code: int) -> None:
        self._code = code

    def __call__(self, frame: Rgb, coverage: NDArray[np.uint8]) -> Rgb:
        return np.full((16, 16, 3), self._code, np.uint8)


def _raw() -> Smooth:
    return lambda frame, alpha: alpha


def _stretched(frame: Rgb, alpha: Alpha) -> Alpha:
    return resize_map(alpha, *frame.shape[:2])


def _plain_blur(frame: Rgb, alpha: Alpha) -> Rgb:
    sigma = gaussian_sigma(DEFAULT_F_NUMBER, *frame.shape[:2])
    return plain_portrait(Scene(frame, frame, _stretched(frame, alpha)), sigma)


_blur = GaussianBlur()


def _our_blur(frame: Rgb, alpha: Alpha) -> Rgb:
    height, width = frame.shape[:2]
    coverage: NDArray[np.uint8] = cv2.convertScaleAbs(alpha, alpha=255.0)  # type: ignore[assignment]
    background = cv2.resize(_blur(frame, coverage), (width, height), interpolation=cv2.INTER_CUBIC)
    return in_code_values(frame, _stretched(frame, alpha), background)  # type: ignore[arg-type]
