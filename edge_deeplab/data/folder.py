"""The plain layout: ``images/`` and ``masks/`` side by side; a photo's mask has its name and ends in ``.png``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_deeplab.data.pairs import read_pair
from edge_deeplab.data.sample import PERSON_CLASSES, Sample, mask_kind_of
from edge_deeplab.errors import DatasetError, ImageError
from edge_deeplab.image import list_images


class FolderDataset:
    """Photos of ``images/`` with the masks of ``masks/``, by name.

    Args:
        root: the folder with both.
        classes: ("person",) for coverage masks, or the name of every class index.
        source: what the collection is called in reports; None for the folder's name.

    Raises:
        DatasetError: a folder is missing or empty, or two photos would share a mask.
    """

    def __init__(self, root: Path, *, classes: Sequence[str] = PERSON_CLASSES, source: str | None = None) -> None:
        self.classes = tuple(classes)
        self.mask_kind = mask_kind_of(self.classes)
        self._masks = root / "masks"
        self._source = source or root.resolve().name
        if not self._masks.is_dir():
            raise DatasetError(f"there is no folder {self._masks}: put a mask NAME.png there for each photo")
        try:
            self._images = tuple(list_images(root / "images"))
        except ImageError as error:
            raise DatasetError(str(error)) from error
        by_stem: dict[str, Path] = {}
        for image in self._images:
            if image.stem in by_stem:
                raise DatasetError(f"{by_stem[image.stem]} and {image} would share one mask: rename one of them")
            by_stem[image.stem] = image

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Sample:
        image = self._images[index]
        mask = self._masks / f"{image.stem}.png"
        return read_pair(image, mask, id=image.stem, source=self._source, classes=self.classes)
