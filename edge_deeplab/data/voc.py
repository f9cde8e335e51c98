"""Pascal VOC's segmentation task (Everingham et al. 2015): 20 classes and background, object borders left void."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_deeplab.data.pairs import read_pair
from edge_deeplab.data.sample import BACKGROUND, IGNORE, PERSON_CLASSES, MaskKind, Sample, mask_kind_of, with_background
from edge_deeplab.errors import DatasetError

# In the order of the masks' indices (the development kit's VOCinit.m).
VOC_CLASSES = (
    *(BACKGROUND, "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)


class VocDataset:
    """``JPEGImages/<id>.jpg`` with ``SegmentationClass/<id>.png``, listed in ``ImageSets/Segmentation/<split>.txt``.

    Args:
        root: the folder of one year (``VOC2012``).
        split: the name of a list (train, val, trainval); None for the photos of all lists.
        classes: one class for coverage masks of it; several for class indices in the order given, ``background`` in
            front, and every class that is not named counted as background. ``VOC_CLASSES`` for all 21.

    Class masks keep the void border as ignore. In coverage nothing is ignored: each void pixel takes the label of the
    nearest pixel that has one, which puts the edge into the middle of the void border (about 5 pixels wide).

    Raises:
        DatasetError: no lists, no such list, an empty one, or a class that VOC does not have.
    """

    def __init__(self, root: Path, *, split: str | None = None, classes: Sequence[str] = PERSON_CLASSES) -> None:
        self.root = root
        self.classes = with_background(classes)
        self.mask_kind = mask_kind_of(self.classes)
        for name in self.classes:
            if name not in VOC_CLASSES:
                raise DatasetError(f"Pascal VOC has no class {name!r}: it has {', '.join(VOC_CLASSES)}")
        self._ids = _read_ids(root / "ImageSets" / "Segmentation", split)
        self._table = _index_table(self.classes)

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, index: int) -> Sample:
        id = self._ids[index]
        pair = read_pair(
            self.root / "JPEGImages" / f"{id}.jpg",
            self.root / "SegmentationClass" / f"{id}.png",
            id=id,
            source="voc",
            classes=VOC_CLASSES,
        )
        mask = self._table[pair.mask]
        if self.mask_kind is MaskKind.COVERAGE:
            mask = fill_void(mask) * np.uint8(255)
        return Sample(id, pair.source, pair.image, mask)


def fill_void(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give each ignored pixel the label of the nearest one that has a label; all background if none has.

    Args:
        mask: class indices, uint8, HxW, 255 = ignore.

    Returns:
        uint8, HxW, without 255.
    """
    void = mask == IGNORE
    if void.all():
        return np.zeros_like(mask)
    _, nearest = cv2.distanceTransformWithLabels(
        void.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    values = np.zeros(int(nearest.max()) + 1, np.uint8)
    values[nearest[~void]] = mask[~void]
    filled: NDArray[np.uint8] = values[nearest]
    return filled


def _index_table(classes: Sequence[str]) -> NDArray[np.uint8]:
    """From VOC's index to ours, uint8, (256,): 0 for what is not named, 255 for void."""
    table = np.zeros(256, np.uint8)
    table[IGNORE] = IGNORE
    for voc_index, name in enumerate(VOC_CLASSES):
        if name in classes and name != BACKGROUND:
            # A single class is 1 against 0; several have the background as 0 in their own list.
            table[voc_index] = 1 if len(classes) == 1 else classes.index(name)
    return table


def _read_ids(folder: Path, split: str | None) -> tuple[str, ...]:
    lists = sorted(folder.glob("*.txt"))
    if not lists:
        raise DatasetError(f"there is no list of photos in {folder}: Pascal VOC has train.txt and val.txt there")
    chosen = lists if split is None else [path for path in lists if path.stem == split]
    if not chosen:
        names = ", ".join(path.stem for path in lists)
        raise DatasetError(f"{folder} has no split {split!r}: it has {names}")
    ids = {line.strip() for path in chosen for line in path.read_text(encoding="utf-8").splitlines()} - {""}
    if not ids:
        raise DatasetError(f"{', '.join(map(str, chosen))} lists no photo")
    return tuple(sorted(ids))
