"""Class maps that a network and a data set both mean the same by.

A class map is uint8, HxW: the index of each pixel's class, 0 the background, 255 to be ignored. Whatever a network
gives (one probability or many) and whatever a data set holds (coverage or indices) is brought to it first, so that
there is one way to score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.data.sample import BACKGROUND, IGNORE, MaskKind, SegmentationDataset
from edge_deeplab.errors import DatasetError
from edge_deeplab.evaluation.metrics import class_map, person_mask
from edge_deeplab.image import resize_map
from edge_deeplab.spec import PERSON

ClassMap = NDArray[np.uint8]
"""uint8, HxW: class indices, 255 to be ignored."""


@dataclass(frozen=True)
class Labels:
    """How a network's channels and a data set's masks become class maps of the same classes.

    Attributes:
        names: what the indices of the maps mean, the background first.
        channel: the network's channel that says how probable class 1 is; None: the most probable channel wins.
        index: the index in the data set's masks that becomes class 1; None: the masks are taken as they are.
        kind: what the data set's masks hold.
    """

    names: tuple[str, ...]
    channel: int | None
    index: int | None
    kind: MaskKind

    @property
    def person(self) -> int | None:
        """The index of the person class, or of the one class that there is beside the background; None: no such."""
        if len(self.names) == 2:
            return 1
        return self.names.index(PERSON) if PERSON in self.names else None

    def predicted(self, probabilities: NDArray[np.float32], height: int, width: int) -> ClassMap:
        """Decide at a picture's size: resize the probabilities, then apply the threshold or take the greatest.

        Args:
            probabilities: float32, (rows, columns, classes), what a session gave.
            height: rows of the picture.
            width: columns of the picture.
        """
        channels = range(probabilities.shape[2]) if self.channel is None else (self.channel,)
        resized = [resize_map(np.ascontiguousarray(probabilities[:, :, c]), height, width) for c in channels]
        return class_map(np.stack(resized, axis=2))

    def truth(self, mask: NDArray[np.uint8], ignored: NDArray[np.bool_] | None = None) -> ClassMap:
        """Read a data set's mask, uint8, HxW; ``ignored`` (bool, HxW) is what a coverage mask leaves out."""
        if self.kind is MaskKind.COVERAGE:
            person = person_mask(mask).astype(np.uint8)
            return person if ignored is None else np.where(ignored, np.uint8(IGNORE), person)
        if self.index is None:
            return mask
        return np.where(mask == IGNORE, IGNORE, mask == self.index).astype(np.uint8)


def labels_for(classes: Sequence[str], dataset: SegmentationDataset) -> Labels:
    """Find how a network with these classes is scored on a data set.

    One class against the background on either side makes it a question of that class alone; several on both sides
    must be the same.

    Raises:
        DatasetError: they have no class in common, or different ones.
    """
    classes, theirs = tuple(classes), dataset.classes
    if len(classes) > 1 and len(theirs) > 1:
        if classes != theirs:
            raise DatasetError(
                f"the model's classes ({', '.join(classes)}) are not the data set's ({', '.join(theirs)}): "
                "measure it on data with the same classes in the same order, or on masks of one class"
            )
        return Labels(classes, channel=None, index=None, kind=dataset.mask_kind)
    name = classes[0] if len(classes) == 1 else theirs[0]
    if name not in classes or name not in theirs:
        raise DatasetError(
            f"the model knows {', '.join(classes)} and the data set {', '.join(theirs)}: there is nothing to compare"
        )
    index = theirs.index(name) if dataset.mask_kind is MaskKind.CLASSES else None
    return Labels((BACKGROUND, name), channel=classes.index(name), index=index, kind=dataset.mask_kind)
