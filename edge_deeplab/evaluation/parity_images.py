"""The pictures that parity is judged on: a few with names, or a data set with its true masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edge_deeplab.data.bundled import bundled_images
from edge_deeplab.data.opening import open_dataset
from edge_deeplab.data.sample import SegmentationDataset
from edge_deeplab.errors import DatasetError
from edge_deeplab.evaluation.labels import ClassMap, Labels, labels_for
from edge_deeplab.image import Rgb


@dataclass(frozen=True, eq=False)
class ParityImage:
    """A picture that goes through every session.

    Attributes:
        id: its name in the report.
        rgb: RGB, uint8, HxWx3.
        source: the collection that it comes from.
        truth: the true class map, uint8, HxW, if it is known.
    """

    id: str
    rgb: Rgb
    source: str = ""
    truth: ClassMap | None = None


class ParityImages(Protocol):
    """Pictures in a list, or read when they are asked for."""

    @property
    def description(self) -> str:
        """Where they come from, in words."""
        ...

    @property
    def labels(self) -> Labels | None:
        """How the models' outputs are scored against the pictures' truth; None: the truth is not known."""
        ...

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> ParityImage: ...


class NamedImages:
    """Pictures without masks, such as the bundled ones: (name, RGB uint8 HxWx3) each."""

    labels = None

    def __init__(self, images: Sequence[tuple[str, Rgb]], description: str = "pictures without masks") -> None:
        self._images = tuple(images)
        self.description = description

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int, /) -> ParityImage:
        name, rgb = self._images[index]
        return ParityImage(name, rgb)


class DatasetImages:
    """A data set's photos with their masks, read on access.

    Args:
        dataset: photos with masks.
        classes: the models'.
        description: what the report calls the data set.

    Raises:
        DatasetError: the classes of the models and of the data set do not fit.
    """

    def __init__(
        self, dataset: SegmentationDataset, classes: Sequence[str], description: str = "pictures with masks"
    ) -> None:
        self._dataset = dataset
        self.description = description
        self.labels = labels_for(classes, dataset)

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int, /) -> ParityImage:
        sample = self._dataset[index]
        return ParityImage(sample.id, sample.image, sample.source, self.labels.truth(sample.mask, sample.ignored))


def parity_images(data: Path | None, split: str | None, classes: Sequence[str]) -> ParityImages:
    """The pictures of a data set with their masks; without one, the bundled pictures.

    Args:
        data: folder of a data set, or None.
        split: of the data set; None for all of it.
        classes: of the models.

    Raises:
        DatasetError: a split without a data set, or a data set that cannot be opened.
    """
    if data is None:
        if split is not None:
            raise DatasetError(f"the bundled photos have no split {split!r}: give --data as well")
        return NamedImages(bundled_images(), "the bundled photos")
    description = f"{data.resolve().name}, {'all splits' if split is None else f'split {split}'}"
    return DatasetImages(open_dataset(data, split=split, classes=classes), classes, description)
