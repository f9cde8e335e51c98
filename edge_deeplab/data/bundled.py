"""Sixteen variations of the one photo that ships with the package: the pictures that parity is judged on by default.

NASA's portrait of Eileen Collins, in the public domain (``bundled/README.md``). A converter's fault shows on any
picture of a person; variations in size, light and noise make it meet more of the network's activations.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_deeplab.image import Rgb, read_rgb, resize_area

_SEED = 1992  # any fixed number; the year of the photo


def bundled_portrait() -> Rgb:
    """The photo itself: RGB, uint8, 512x512x3, head and shoulders of one person before a flag and a model rocket."""
    with resources.as_file(resources.files("edge_deeplab") / "data" / "bundled" / "eileen_collins.jpg") as path:
        return read_rgb(Path(path))


def bundled_images() -> list[tuple[str, Rgb]]:
    """The photo and fifteen variations of it, each with a name: the same bytes on every call.

    Returns:
        (name, picture) with RGB, uint8, HxWx3, from 97x131 to 720x405 pixels, upright and lying, odd sizes among them.
    """
    rng = np.random.default_rng(_SEED)
    photo = bundled_portrait()
    return [
        ("whole", photo),
        ("head", _copy(photo[0:301, 90:355])),
        ("lying", resize_area(_copy(photo[60:348]), 405, 720)),
        ("upright", resize_area(_copy(photo[:, 100:388]), 640, 360)),
        ("small", resize_area(photo, 131, 97)),
        ("half-sized", resize_area(photo, 256, 256)),
        ("mirrored", _copy(photo[:, 40:451][:, ::-1])),
        ("dark", _expose(resize_area(photo, 384, 384), gain=0.35)),
        ("overexposed", _expose(resize_area(photo, 321, 427), gain=1.7)),
        ("low-contrast", _expose(resize_area(photo, 333, 333), gain=0.4, offset=90.0)),
        ("turned-left", _turn(photo, degrees=12.0, zoom=1.0)),
        ("turned-right", _turn(resize_area(photo, 357, 277), degrees=-20.0, zoom=1.15)),
        ("noisy", _add_noise(resize_area(photo, 400, 301), rng, deviation=18.0)),
        ("compressed", _compress(resize_area(photo, 360, 360), quality=8)),
        ("grey", _grey(resize_area(photo, 299, 401))),
        ("before-blobs", _paste(photo, _blobs(405, 721, rng))),
    ]


def _copy(view: NDArray[np.uint8]) -> Rgb:
    return np.ascontiguousarray(view)


def _expose(image: Rgb, *, gain: float, offset: float = 0.0) -> Rgb:
    return _to_uint8(image * gain + offset)


def _turn(image: Rgb, *, degrees: float, zoom: float) -> Rgb:
    rows, columns = image.shape[:2]
    matrix = cv2.getRotationMatrix2D(((columns - 1) / 2, (rows - 1) / 2), degrees, zoom)
    turned: Rgb = cv2.warpAffine(image, matrix, (columns, rows), borderMode=cv2.BORDER_REFLECT_101)  # type: ignore[assignment]
    return turned


def _add_noise(image: Rgb, rng: np.random.Generator, *, deviation: float) -> Rgb:
    return _to_uint8(image + rng.normal(0.0, deviation, image.shape))


def _compress(image: Rgb, *, quality: int) -> Rgb:
    # JPEG by OpenCV both ways; it takes the channels for BGR, hence the turn before and after.
    _, packed = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return _copy(cv2.imdecode(packed, cv2.IMREAD_COLOR)[:, :, ::-1])  # type: ignore[arg-type]


def _grey(image: Rgb) -> Rgb:
    return np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2)


def _blobs(height: int, width: int, rng: np.random.Generator) -> Rgb:
    """Large soft spots of colour: a background without any structure that a person could have."""
    coarse = rng.integers(0, 256, (5, 8, 3), dtype=np.uint8)
    blobs: Rgb = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)  # type: ignore[assignment]
    return blobs


def _paste(photo: Rgb, background: Rgb) -> Rgb:
    """The person in a soft oval, standing on the lower border in the middle of another picture."""
    height, width = background.shape[:2]
    person = resize_area(photo, 384, 384)
    oval = np.zeros(person.shape[:2], np.uint8)
    cv2.ellipse(oval, (168, 220), (135, 215), 0, 0, 360, (255,), cv2.FILLED)
    alpha = (cv2.GaussianBlur(oval, (0, 0), 4) / np.float32(255))[:, :, None]
    left = (width - person.shape[1]) // 2
    pasted = background.copy()
    place = pasted[height - person.shape[0] :, left : left + person.shape[1]]
    place[:] = _to_uint8(person * alpha + place * (1 - alpha))
    return pasted


def _to_uint8(values: NDArray[Any]) -> Rgb:
    rounded: Rgb = np.rint(np.clip(values, 0, 255)).astype(np.uint8)
    return rounded
