"""The films that portrait_quality measures on: a real person cut out of the bundled photo, in motion, with exact alpha.

The network runs on them as on any camera. The person's alpha is the network's own on the photo, refined; it is exact in
the films because they are made with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from quality_methods import effective_matte

from demo_app.compositor import Compositor
from demo_app.halo import Scene, textured_room
from demo_app.moving_scene import Cutout, Shot, film, sway, walk
from edge_deeplab.data.bundled import bundled_portrait
from edge_deeplab.image import Rgb

HEIGHT, WIDTH, FRAMES = 360, 640, 48
_NOISE = 2.0  # codes: a webcam in a lit room
_CHEST = 335  # rows of the photo above the helmet that she holds
_ELBOW = 372  # columns


def person(segment: Callable[[Rgb], NDArray[np.float32]], height: int, width: int) -> Cutout:
    """The bundled photo's astronaut down to the chest, standing on the lower border in the middle of a frame."""
    photo = bundled_portrait()
    alpha = effective_matte(Compositor, photo, segment(photo))[:_CHEST, :_ELBOW]
    _, parts, sizes, _ = cv2.connectedComponentsWithStats((alpha > 0.5).astype(np.uint8))
    largest = (parts == 1 + int(np.argmax(sizes[1:, cv2.CC_STAT_AREA]))).astype(np.uint8)
    alpha = np.where(cv2.dilate(largest, np.ones((9, 9), np.uint8)) > 0, alpha, np.float32(0.0))  # no specks of flag
    colour = _spread(photo[:_CHEST, :_ELBOW], alpha)

    rows = round(0.85 * height)
    columns = round(rows * _ELBOW / _CHEST)
    left, top = (width - columns) // 2, height - rows
    placed_colour, placed_alpha = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.float32)
    placed_colour[top:, left : left + columns] = cv2.resize(colour, (columns, rows), interpolation=cv2.INTER_AREA)
    placed_alpha[top:, left : left + columns] = cv2.resize(alpha, (columns, rows), interpolation=cv2.INTER_AREA)
    return Cutout(colour=placed_colour, alpha=placed_alpha)


def room(height: int, width: int, seed: int) -> Rgb:
    """A background of muted colours with some depth of field."""
    texture = textured_room(height, width, seed).astype(np.float32)
    grey = texture.mean(axis=2, keepdims=True)
    muted = (0.6 * grey + 0.4 * texture) * np.float32(0.8)
    return cv2.GaussianBlur(np.rint(muted).astype(np.uint8), (0, 0), 0.006 * width)  # type: ignore[return-value]


def shots(width: int) -> dict[str, list[Shot]]:
    """Name to motion. Speeds are shares of the width, so that they look the same at any size."""
    exposure = [Shot(gain=1.0 + 0.15 * math.sin(2.0 * math.pi * index / 7.3)) for index in range(FRAMES)]
    handheld = [Shot(camera=(0.004 * width * math.sin(index / 5.0), 0.003 * width * math.cos(index / 3.0)))
                for index in range(FRAMES)]  # fmt: skip
    return {
        "still": [Shot()] * FRAMES,
        "light flickers": exposure,
        "camera in the hand": handheld,
        "talks": sway(FRAMES, 0.03 * width, 45.0),
        "walks": walk(FRAMES, 0.008 * width, -0.19 * width),
        "runs": walk(FRAMES // 2, 0.03 * width, -0.35 * width),
    }


def play(cutout: Cutout, motion: list[Shot], seed: int) -> list[Scene]:
    height, width = cutout.alpha.shape
    return list(film(cutout, room(height, width, seed), motion, noise=_NOISE, seed=seed))


def _spread(photo: Rgb, alpha: NDArray[np.float32]) -> Rgb:
    """The subject's colours continued outwards, or a rim of the photo's background would move along with it."""
    sure = (alpha > 0.98).astype(np.float32)
    near = cv2.GaussianBlur(photo.astype(np.float32) * sure[:, :, None], (0, 0), 4.0)
    weight = cv2.GaussianBlur(sure, (0, 0), 4.0)[:, :, None]
    guess = near / np.maximum(weight, 1e-6)
    return np.where(sure[:, :, None] > 0.0, photo, np.rint(np.clip(guess, 0, 255))).astype(np.uint8)
