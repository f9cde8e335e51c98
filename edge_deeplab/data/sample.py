"""What every data set gives: a photo with its mask, as numpy arrays.

No torch in here or in the readers: evaluation, calibration and parity use them without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.errors import DatasetError
from edge_deeplab.spec import PERSON

IGNORE = 255
"""The class index of a pixel that counts neither in a loss nor in a metric (Pascal VOC's convention)."""

BACKGROUND = "background"
"""The name of class 0 wherever a mask holds class indices."""

PERSON_CLASSES = (PERSON,)


class MaskKind(StrEnum):
    """What the numbers of a mask mean."""

    COVERAGE = "coverage"
    """How much of the pixel the one class covers: 0 (nothing) .. 255 (all of it)."""

    CLASSES = "classes"
    """The index of the pixel's class; 255 = ignore."""


@dataclass(frozen=True, eq=False)
class Sample:
    """A photo with its mask.

    Attributes:
        id: unique within its data set; names the photo in reports and contact sheets.
        source: the collection that the photo comes from: what metrics are grouped by.
        image: RGB, uint8, HxWx3, upright.
        mask: uint8, HxW, the size of the image; its data set's ``mask_kind`` says what the numbers mean.
        ignored: bool, HxW, True where a coverage mask is not to be trusted: such a pixel counts neither in a loss nor
            in a metric. None: all count. Class masks say it themselves, by 255, and have None here.
    """

    id: str
    source: str
    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    ignored: NDArray[np.bool_] | None = None


class SegmentationDataset(Protocol):
    """Photos with masks, by index; each access reads the files anew.

    ``classes`` has one name for each output channel of a network: one name for coverage masks, the name of
    each index (the first being the background) for class masks.
    """

    @property
    def classes(self) -> tuple[str, ...]:
        """One name for each output channel of a network that is trained on this."""
        ...

    @property
    def mask_kind(self) -> MaskKind:
        """What the masks' numbers mean."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample:
        """Read one photo with its mask.

        Raises:
            DatasetError: the mask is missing, of another size than the photo, or holds what it must not.
            ImageError: the photo or the mask cannot be read.
            IndexError: beyond the end.
        """
        ...


def mask_kind_of(classes: Sequence[str]) -> MaskKind:
    """One class has coverage masks (a sigmoid), several have class indices (a softmax).

    Raises:
        DatasetError: no class, a class without a name, one named twice, or a background alone.
    """
    named = all(classes) and len(set(classes)) == len(classes)
    if not classes or not named or tuple(classes) == (BACKGROUND,):
        raise DatasetError(f"{list(classes)} cannot be the classes: name at least one beside the background, each once")
    return MaskKind.COVERAGE if len(classes) == 1 else MaskKind.CLASSES


def with_background(classes: Sequence[str]) -> tuple[str, ...]:
    """The classes as the output channels of a network: several classes get "background" as class 0 in front.

    A single class stays alone: it has a coverage mask.

    Raises:
        DatasetError: as :func:`mask_kind_of`, or a background that is not the first.
    """
    if mask_kind_of(classes) is MaskKind.COVERAGE or classes[0] == BACKGROUND:
        return tuple(classes)
    if BACKGROUND in classes:
        raise DatasetError(f"{BACKGROUND!r} is class 0: put it first in {list(classes)} or leave it out")
    return (BACKGROUND, *classes)
