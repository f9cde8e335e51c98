"""What photos suffer outside of a data set: each disturbance a pure function on a photo and its person's mask.

All of them take ``image`` (RGB, uint8, HxWx3), ``mask`` (person coverage, uint8, HxW, 0..255) and ``random``, the only
source of chance, and give new arrays of the same types; the inputs are not changed. The mask goes wherever the image
goes, pixel for pixel; what leaves the geometry alone gives the mask back as it is.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_deeplab.data.sample import MaskKind, Sample, SegmentationDataset
from edge_deeplab.errors import DatasetError
from edge_deeplab.evaluation.metrics import person_mask
from edge_deeplab.image import Rgb, resize_area

Coverage = NDArray[np.uint8]
"""Person coverage: uint8, HxW, 0..255."""

Change = Callable[[Rgb, Coverage, np.random.Generator], tuple[Rgb, Coverage]]

LIGHT, BRIGHTENED = 1 / 16, 4.0
_FULL_WELL, _READ_NOISE = 5000.0, 4.0  # electrons: a phone's pixel of about 1 micrometre
_GAMMA = 2.2  # near enough to sRGB's curve for a photo of unknown processing
NOISE = 25.0
BLUR = 0.01
JPEG_QUALITY = 20
TIGHT = 0.75
FAR = 0.4
_FAR_BLUR = 0.05  # of the diagonal: no outline of the person is left in the background


def low_light(
    image: Rgb,
    mask: Coverage,
    random: np.random.Generator,
    *,
    light: float = LIGHT,
    brightened: float = BRIGHTENED,
) -> tuple[Rgb, Coverage]:
    """Less light on the sensor: photon noise and read noise, of which the camera makes up for a part by gain.

    The noise of the linear values is Gaussian with the variance of the photons that were counted plus that of the
    readout (Foi et al. 2008, "Practical Poissonian-Gaussian noise modeling and fitting", section II); white fills a
    pixel with 5000 electrons in full light, reading adds 4.

    Args:
        image: see above.
        mask: see above.
        random: see above.
        light: fraction of the photo's light that is left, above 0.
        brightened: gain afterwards; ``light * brightened`` is the linear brightness of the result.
    """
    codes = np.arange(256, dtype=np.float32) / np.float32(255)
    electrons = cv2.LUT(image, codes**_GAMMA * np.float32(light * _FULL_WELL))
    deviation = np.sqrt(electrons + np.float32(_READ_NOISE**2))
    seen = electrons + deviation * random.standard_normal(image.shape, dtype=np.float32)
    linear = np.clip(seen * np.float32(brightened / _FULL_WELL), 0, 1)
    return _to_uint8(linear ** np.float32(1 / _GAMMA) * np.float32(255)), mask


def noise(image: Rgb, mask: Coverage, random: np.random.Generator, *, deviation: float = NOISE) -> tuple[Rgb, Coverage]:
    """White Gaussian noise on every channel, of ``deviation`` in codes of 0..255."""
    added = random.standard_normal(image.shape, dtype=np.float32) * np.float32(deviation)
    return _to_uint8(image + added), mask


def blur(image: Rgb, mask: Coverage, random: np.random.Generator, *, sigma: float = BLUR) -> tuple[Rgb, Coverage]:
    """Out of focus: a Gaussian whose ``sigma`` is a fraction (above 0) of the diagonal, for sizes to suffer alike."""
    return cv2.GaussianBlur(image, (0, 0), sigma * math.hypot(*mask.shape)), mask  # type: ignore[return-value]


def jpeg(
    image: Rgb, mask: Coverage, random: np.random.Generator, *, quality: int = JPEG_QUALITY
) -> tuple[Rgb, Coverage]:
    """Packed and unpacked by libjpeg at ``quality``, 1..100, colours at half the resolution."""
    _, packed = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])  # OpenCV's order is BGR
    return np.ascontiguousarray(cv2.imdecode(packed, cv2.IMREAD_COLOR)[:, :, ::-1]), mask


def quarter_turn(image: Rgb, mask: Coverage, random: np.random.Generator) -> tuple[Rgb, Coverage]:
    """Turned by 90 degrees, to the left or to the right by chance."""
    turns = 1 if random.random() < 0.5 else 3
    return np.ascontiguousarray(np.rot90(image, turns)), np.ascontiguousarray(np.rot90(mask, turns))


def tight_crop(image: Rgb, mask: Coverage, random: np.random.Generator, *, kept: float = TIGHT) -> tuple[Rgb, Coverage]:
    """Too near: ``kept`` (0..1) of the height and width of the person's box, so that the frame cuts the person.

    The box shrinks towards the person's pixel that is nearest to its centre: there always is a person in it. Of a photo
    without a person, the middle is kept.
    """
    person = person_mask(mask)
    rows, columns = np.nonzero(person if person.any() else np.ones_like(person))
    middle = (rows.min() + rows.max()) / 2, (columns.min() + columns.max()) / 2
    nearest = int(np.argmin((rows - middle[0]) ** 2 + (columns - middle[1]) ** 2))
    window = tuple(_shrunk(places, int(places[nearest]), kept) for places in (rows, columns))
    return np.ascontiguousarray(image[window]), np.ascontiguousarray(mask[window])


def far_crop(image: Rgb, mask: Coverage, random: np.random.Generator, *, scale: float = FAR) -> tuple[Rgb, Coverage]:
    """Too far: the person at ``scale`` (0..1) of the height and width, in a frame as large as before.

    The person stands on the lower border, left or right by chance. Behind is the photo's own background, blurred, with
    the person left out of the average: nothing is mirrored or repeated, which would make more persons. A blurred
    background is easier than a real one, so this tells what smallness alone costs. A photo without a person stays as it
    is.
    """
    if not person_mask(mask).any():
        return image, mask
    height, width = mask.shape
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = height - rows, int(random.integers(width - columns + 1))
    placed = np.zeros_like(mask)
    placed[top:, left : left + columns] = resize_area(mask, rows, columns)
    person = np.zeros_like(image)
    person[top:, left : left + columns] = resize_area(image, rows, columns)
    alpha = placed[:, :, None] / np.float32(255)
    return _to_uint8(person * alpha + _background(image, mask) * (1 - alpha)), placed


@dataclass(frozen=True)
class Disturbance:
    """A disturbance as it is measured.

    Attributes:
        name: for tables.
        strength: what it does at the strength that is measured, in words.
        change: the function.
    """

    name: str
    strength: str
    change: Change

    def __call__(self, sample: Sample) -> Sample:
        """The sample, disturbed. Chance depends on its id and the disturbance's name alone.

        Raises:
            DatasetError: pixels of it are left out, which would have to move with the photo.
        """
        if sample.ignored is not None:
            raise DatasetError(f"{sample.id} has doubts about its mask: measure disturbances on photos without")
        digest = hashlib.sha256(f"{self.name}\n{sample.id}".encode()).digest()
        random = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        image, mask = self.change(sample.image, sample.mask, random)
        return Sample(sample.id, sample.source, image, mask)


DISTURBANCES = (
    Disturbance("low light", "1/16 of the light with sensor noise, brightened fourfold (linear)", low_light),
    Disturbance("noise", f"white Gaussian noise, deviation {NOISE:g} of 255, at the photo's own size", noise),
    Disturbance("blur", f"Gaussian, sigma {BLUR:.0%} of the diagonal", blur),
    Disturbance("JPEG", f"quality {JPEG_QUALITY}", jpeg),
    Disturbance("turned", "by 90 degrees, left or right", quarter_turn),
    Disturbance("tight", f"{TIGHT:.0%} of the height and width of the person's box", tight_crop),
    Disturbance("far", f"the person at {FAR:.0%} of the height and width, before the blurred background", far_crop),
)


class DisturbedDataset:
    """A data set whose samples are disturbed when they are read.

    Args:
        dataset: with coverage masks.
        disturbance: what happens to each sample.

    Raises:
        DatasetError: the masks hold class indices, which cannot be shrunk.
    """

    def __init__(self, dataset: SegmentationDataset, disturbance: Disturbance) -> None:
        if dataset.mask_kind is not MaskKind.COVERAGE:
            raise DatasetError("only masks of one class can be disturbed: name one class instead of several")
        self.classes = dataset.classes
        self.mask_kind = dataset.mask_kind
        self._dataset = dataset
        self._disturbance = disturbance

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Sample:
        return self._disturbance(self._dataset[index])


def _shrunk(places: NDArray[np.intp], towards: int, kept: float) -> slice:
    """From the least to the greatest of ``places``, shrunk to ``kept`` of it around one of them."""
    first, last = (towards + round(kept * (int(end) - towards)) for end in (places.min(), places.max()))
    return slice(first, last + 1)


def _background(image: Rgb, mask: Coverage) -> NDArray[np.float32]:
    """The blurred photo less its person (normalized convolution, Knutsson and Westin 1993): float32, HxWx3, 0..255."""
    # At a quarter of the size: all of it is blurred away.
    height, width = mask.shape
    size = max(1, height // 4), max(1, width // 4)
    # A person pixel weighs a ten-thousandth, so that there is something where nothing else is near.
    weight = np.float32(1.0001) - resize_area(mask, *size)[:, :, None] / np.float32(255)
    sigma = _FAR_BLUR * math.hypot(*size)
    both = np.concatenate([resize_area(image, *size) * weight, weight], axis=2)
    blurred = np.asarray(cv2.GaussianBlur(both, (0, 0), sigma), dtype=np.float32)
    filled = np.ascontiguousarray(blurred[:, :, :3] / blurred[:, :, 3:])
    return cv2.resize(filled, (width, height), interpolation=cv2.INTER_LINEAR)  # type: ignore[return-value]


def _to_uint8(values: NDArray[Any]) -> Rgb:
    rounded: Rgb = np.rint(np.clip(values, 0, 255)).astype(np.uint8)
    return rounded
