"""A photo and a mask from two files, checked against each other: what the file-based layouts share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.data.sample import IGNORE, MaskKind, Sample, mask_kind_of
from edge_deeplab.errors import DatasetError
from edge_deeplab.image import read_mask, read_rgb


def read_pair(
    image_path: Path,
    mask_path: Path,
    *,
    id: str,
    source: str,
    classes: Sequence[str],
    doubts_path: Path | None = None,
) -> Sample:
    """Read a photo and its mask; the mask's numbers are those that belong to ``classes``.

    Args:
        image_path: the photo.
        mask_path: its mask.
        id: of the sample.
        source: of the sample.
        classes: what the mask's numbers mean.
        doubts_path: a picture of the mask's size, 255 where the mask is not to be trusted and 0 elsewhere; None: all of
            the mask is. In a class mask these pixels become 255, ignore.

    Raises:
        DatasetError: the mask is missing, of another size, or has values that ``classes`` cannot explain; or the
            doubts are of another size, or hold anything but 0 and 255.
        ImageError: a file cannot be read.
    """
    if not mask_path.is_file():
        raise DatasetError(f"{image_path} has no mask: {mask_path} is missing")
    image, mask = read_rgb(image_path), read_mask(mask_path)
    check_size(image, mask, image_path, mask_path)
    check_values(mask, mask_path, classes)
    if doubts_path is None:
        return Sample(id, source, image, mask)
    ignored = _read_doubts(doubts_path, image, image_path)
    if mask_kind_of(classes) is MaskKind.COVERAGE:
        return Sample(id, source, image, mask, ignored)
    return Sample(id, source, image, np.where(ignored, np.uint8(IGNORE), mask))


def _read_doubts(path: Path, image: NDArray[np.uint8], image_path: Path) -> NDArray[np.bool_]:
    doubts = read_mask(path)
    check_size(image, doubts, image_path, path)
    if np.any((doubts > 0) & (doubts < 255)):
        raise DatasetError(f"{path} must hold 255 where its mask is not to be trusted and 0 elsewhere: make it anew")
    return doubts > 0


def check_size(image: NDArray[np.uint8], mask: NDArray[np.uint8], image_path: Path, mask_path: Path) -> None:
    """Refuse a mask of another size than its photo, which is measured upright (as its EXIF orientation says).

    Raises:
        DatasetError: the sizes differ.
    """
    if image.shape[:2] != mask.shape:
        (rows, columns), (mask_rows, mask_columns) = image.shape[:2], mask.shape
        raise DatasetError(
            f"the mask {mask_path} is {mask_columns}x{mask_rows} and its photo {image_path} is {columns}x{rows}: "
            f"both must have one size (the photo's upright one)"
        )


def check_values(mask: NDArray[np.uint8], mask_path: Path, classes: Sequence[str]) -> None:
    """Refuse numbers that cannot mean what ``classes`` says.

    The usual mistake is a coverage mask of 0 and 1: read as 0..255 it would be an empty one, in silence.

    Raises:
        DatasetError: a coverage mask whose highest value is 1, or an index without a class.
    """
    if mask_kind_of(classes) is MaskKind.COVERAGE:
        if mask.max(initial=0) == 1:
            raise DatasetError(
                f"the mask {mask_path} holds only 0 and 1: coverage runs from 0 to 255, multiply it by 255"
            )
        return
    foreign = mask[(mask >= len(classes)) & (mask != IGNORE)]
    if foreign.size:
        raise DatasetError(
            f"the mask {mask_path} holds the class {int(foreign.max())}, but there are only {len(classes)} classes "
            f"(0..{len(classes) - 1}, and {IGNORE} = ignore): name all classes"
        )
