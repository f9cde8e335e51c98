"""Films with their truth: a cut-out moves before a background, by known paths, with an exact alpha for every frame."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from demo_app.halo import Scene, in_front_of, textured_room
from demo_app.linear_light import LINEAR_TOP, SRGB_TO_LINEAR, encode
from edge_deeplab.image import Rgb

_Value = TypeVar("_Value", np.uint8, np.float32)


@dataclass(frozen=True)
class Cutout:
    """A subject by itself.

    Attributes:
        colour: RGB, uint8, HxWx3; meaningful also where the coverage is partial.
        alpha: coverage, float32, HxW, 0..1.
    """

    colour: Rgb
    alpha: NDArray[np.float32]


@dataclass(frozen=True)
class Shot:
    """One frame's instructions.

    Attributes:
        subject: (x, y) that the cut-out is moved by, in pixels; parts of pixels count.
        camera: (x, y) that the background is moved by.
        gain: of the light: 2.0 is one stop brighter.
    """

    subject: tuple[float, float] = (0.0, 0.0)
    camera: tuple[float, float] = (0.0, 0.0)
    gain: float = 1.0


def film(
    cutout: Cutout, background: Rgb, shots: Sequence[Shot], *, noise: float = 0.0, seed: int = 0
) -> Iterator[Scene]:
    """Play a scene, frame by frame. Two films one after the other have a cut between them.

    Args:
        cutout: the subject, of the size of the frames, where it stands at (0, 0). What leaves the frame is lost, and
            what comes in continues the cut-out's border.
        background: RGB, uint8, of the same size; mirrored beyond its borders.
        shots: the frames.
        noise: standard deviation of the sensor's noise, in code values.
        seed: of the noise: the same one gives the same film.

    Returns:
        Frames with their truth. The truth has the gain, and not the noise.
    """
    random = np.random.default_rng(seed)
    for shot in shots:
        alpha = _moved(cutout.alpha, shot.subject, cv2.BORDER_REPLICATE)
        behind = _exposed(_moved(background, shot.camera, cv2.BORDER_REFLECT_101), shot.gain)
        before = _exposed(_moved(cutout.colour, shot.subject, cv2.BORDER_REPLICATE), shot.gain)
        frame = in_front_of(before, alpha, behind)
        if noise > 0.0:
            grain = random.standard_normal(frame.shape, np.float32) * noise
            frame = np.clip(np.rint(frame + grain), 0, 255).astype(np.uint8)
        yield Scene(frame=frame, background=behind, alpha=alpha)


def sway(count: int, reach: float, period: float) -> list[Shot]:
    """A person who moves from side to side: ``count`` shots, ``reach`` pixels to each side, ``period`` frames."""
    return [Shot(subject=(reach * math.sin(2.0 * math.pi * index / period), 0.0)) for index in range(count)]


def walk(count: int, speed: float, start: float = 0.0) -> list[Shot]:
    """A person who goes to the right by ``speed`` pixels a frame, from ``start`` on: ``count`` shots."""
    return [Shot(subject=(start + speed * index, 0.0)) for index in range(count)]


def long_haired_figure(height: int, width: int, seed: int) -> Cutout:
    """A head and shoulders with loose strands of hair, textured throughout; the same seed gives the same figure.

    Args:
        height: rows of the frames that it is for; head and shoulders are as large as in a video call.
        width: columns.
        seed: of the texture and of the hair.
    """
    random = np.random.default_rng(seed)
    fine = 4  # drawn four times as large, so that the area average gives the exact coverage of each edge pixel
    unit = fine * height / 100.0
    mask = np.zeros((height * fine, width * fine), np.uint8)
    middle = width * fine / 2.0
    for (x, y), (across, down) in (((0, 42), (14, 19)), ((0, 62), (6, 14)), ((0, 110), (40, 46))):
        centre = (round(middle + x * unit), round(y * unit))
        cv2.ellipse(mask, centre, (round(across * unit), round(down * unit)), 0, 0, 360, (255,), cv2.FILLED)
    for angle in random.uniform(math.pi, 2.0 * math.pi, 240):  # out of the upper half of the head
        length = random.uniform(1.0, 5.0)
        bend = angle + random.normal(0.0, 0.25)
        root = (middle + 14 * unit * math.cos(angle), 42 * unit + 19 * unit * math.sin(angle))
        tip = (root[0] + length * unit * math.cos(bend), root[1] + length * unit * math.sin(bend))
        ends = [(round(x), round(y)) for x, y in (root, tip)]
        cv2.line(mask, ends[0], ends[1], (255,), max(1, round(0.12 * unit)), cv2.LINE_AA)
    alpha: NDArray[np.float32] = cv2.resize(  # type: ignore[assignment]
        mask.astype(np.float32) / 255.0, (width, height), interpolation=cv2.INTER_AREA
    )
    tint = np.array((0.9, 0.55, 0.45), np.float32)
    colour = (textured_room(height, width, seed + 1_000) * tint).astype(np.uint8)
    return Cutout(colour=colour, alpha=alpha)


def _moved(picture: NDArray[_Value], by: tuple[float, float], border: int) -> NDArray[_Value]:
    matrix = np.array([[1.0, 0.0, by[0]], [0.0, 1.0, by[1]]])
    size = (picture.shape[1], picture.shape[0])
    return cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=border)  # type: ignore[return-value]


def _exposed(picture: Rgb, gain: float) -> Rgb:
    if gain == 1.0:
        return picture
    linear = np.rint(np.clip(SRGB_TO_LINEAR[picture] * gain, 0, LINEAR_TOP)).astype(np.uint16)
    return encode(linear, np.empty_like(picture))
