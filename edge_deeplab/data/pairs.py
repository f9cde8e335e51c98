"""A photo and a mask from two files, checked against each other: what the file-based layouts share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.data.sample import IGNORE, MaskKind, Sample, mask_kind_of
from edge_deeplab.errors import DatasetError
from edge_deeplab.image import read_mask, read_rgb


def read_pair(image_path: Path, mask_path: Path, *, id: str, source: str, classes: Sequence[str]) -> Sample:
    """Read a photo and its mask; the mask's numbers are those that belong to ``classes``.

    Raises:
        DatasetError: the mask is missing, of another size, or has values that ``classes`` cannot explain.
        ImageError: a file cannot be read.
    """
    if not mask_path.is_file():
        raise DatasetError(f"{image_path} has no mask: {mask_path} is missing")
    image, mask = read_rgb(image_path), read_mask(mask_path)
    check_size(image, mask, image_path, mask_path)
    check_values(mask, mask_path, classes)
    return Sample(id, source, image, mask)


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
