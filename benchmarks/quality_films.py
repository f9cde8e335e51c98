"""The films that portrait_quality measures on: a real person cut out of the bundled photo, in motion, with exact alpha.

A network runs on them as on any camera. The person's outline is drawn by hand and pulled onto the hair by the
compositor's matte, so that all networks are judged on the same films, and by no network's opinion. The alpha is exact
in the films because they are made with it.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from quality_methods import NETWORK, effective_matte

from demo_app.compositor import Compositor
from demo_app.halo import Scene, textured_room
from demo_app.moving_scene import Cutout, Shot, film, sway, walk
from edge_deeplab.data.bundled import bundled_portrait
from edge_deeplab.image import Rgb

HEIGHT, WIDTH, FRAMES = 360, 640, 48
_NOISE = 2.0  # codes: a webcam in a lit room
_CHEST = 335  # rows of the photo above the helmet that she holds
_ELBOW = 372  # columns
# (x, y) on the photo, by hand: up one sleeve, around collar and hair, down the other sleeve.
# fmt: off
_OUTLINE = [
    (27, 336), (34, 320), (40, 300), (45, 280), (57, 260), (75, 238), (97, 221), (113, 207), (116, 204),
    (114, 189), (122, 184), (127, 170), (137, 158), (150, 151), (165, 148), (186, 149), (183, 135), (177, 131),
    (172, 118), (160, 109), (155, 98), (153, 86), (153, 72), (158, 57), (168, 46), (180, 40), (190, 33),
    (200, 25), (212, 19), (225, 16), (240, 16), (252, 21), (265, 27), (280, 38), (290, 50), (297, 63),
    (301, 80), (300, 95), (296, 108), (287, 120), (278, 128), (275, 134), (268, 137), (262, 152), (257, 165),
    (255, 174), (268, 181), (282, 193), (293, 207), (301, 222), (304, 234), (320, 243), (333, 255), (343, 270),
    (351, 285), (356, 298), (358, 312), (362, 330), (363, 336),
    (363, 420), (27, 420),  # below the chest, which is cut off
]
# fmt: on


def person_alpha() -> NDArray[np.float32]:
    """The alpha of the bundled photo's astronaut down to the chest: float32, 0..1, 335x372 of the photo's 512x512."""
    photo = bundled_portrait()
    drawn = np.zeros(photo.shape[:2], np.uint8)
    cv2.fillPoly(drawn, [np.array(_OUTLINE)], 255, cv2.LINE_AA)
    coarse = cv2.resize(drawn, (NETWORK, NETWORK), interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(255.0)
    return effective_matte(Compositor, photo, coarse)[:_CHEST, :_ELBOW]


def person(height: int, width: int) -> Cutout:
    """The astronaut down to the chest, standing on the lower border in the middle of a frame."""
    alpha = person_alpha()
    colour = _spread(bundled_portrait()[:_CHEST, :_ELBOW], alpha)

    rows = round(0.85 * height)
    columns = round(rows * _ELBOW / _CHEST)
    left, top = (width - columns) // 2, height - rows
    placed_colour, placed_alpha = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.float32)
    placed_colour[top:, left : left + columns] = cv2.resize(colour, (columns, rows), interpolation=cv2.INTER_AREA)
    small = cv2.resize(alpha, (columns, rows), interpolation=cv2.INTER_AREA)
    placed_alpha[top:, left : left + columns] = np.minimum(small, np.float32(1.0))  # means may round up
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
