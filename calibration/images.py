"""Calibration sets: which photos the ranges are observed on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edge_deeplab.data.bundled import bundled_images
from edge_deeplab.data.opening import open_dataset
from edge_deeplab.data.sample import SegmentationDataset
from edge_deeplab.errors import CalibrationError, DatasetError, ImageError
from edge_deeplab.image import Rgb, list_images, read_rgb

DEFAULT_COUNT = 128
"""Enough that another draw of as many photos changes nothing that can be seen in the masks."""

BUNDLED_COUNT = 16
"""All variations of the bundled portrait."""


@dataclass(frozen=True)
class CalibrationSet:
    """Photos, read one by one each time they are gone through.

    Attributes:
        description: for reports: "128 photos of portrait/train".
        readers: one function for each photo; it gives RGB, uint8, HxWx3, of any size.
    """

    description: str
    readers: tuple[Callable[[], Rgb], ...]

    def __len__(self) -> int:
        return len(self.readers)

    def __iter__(self) -> Iterator[Rgb]:
        """Raises: CalibrationError: a photo cannot be read; the message names it."""
        for reader in self.readers:
            try:
                yield reader()
            except (ImageError, DatasetError) as error:
                raise CalibrationError(f"{error} (it is one of the calibration images: mend or remove it)") from error


def open_calibration(path: Path, count: int = DEFAULT_COUNT, *, split: str | None = None) -> CalibrationSet:
    """Choose ``count`` photos, evenly spread over a data set or a folder of photos; the same ones at every call.

    Args:
        path: a data set of any layout that training reads, or a folder with photos in it.
        count: how many.
        split: of the data set. None: its training split, so that the test photos stay unseen; all of it where it
            knows no splits.

    Raises:
        CalibrationError: no photos there, or fewer than ``count``.
    """
    if count < 1:
        raise CalibrationError(f"{count} calibration images are too few: ask for at least 1, better {DEFAULT_COUNT}")
    readers = _dataset_readers(path, split) if _is_dataset(path) else _folder_readers(path)
    chosen = _spread(readers, count, str(path))
    return CalibrationSet(f"{count} photos of {path.resolve().name}{f', split {split}' if split else ''}", chosen)


def spread_photos(dataset: SegmentationDataset, count: int) -> CalibrationSet:
    """``count`` photos of an opened data set, evenly spread; the same ones at every call.

    Raises:
        CalibrationError: it has fewer.
    """
    return CalibrationSet(f"{count} photos", _spread(_photo_readers(dataset), count, "the data set"))


def bundled_calibration(count: int = BUNDLED_COUNT) -> CalibrationSet:
    """The one bundled portrait in its variations: a last resort, where there are no photos.

    One person before one background says little about others: ranges from it clip what other photos bring. It lets a
    conversion be tried out; a file that is to be used wants photos of its own kind.

    Raises:
        CalibrationError: more are asked for than there are.
    """
    readers = [partial(_same, image) for _, image in bundled_images()]
    chosen = _spread(readers, count, "the bundled portrait")
    return CalibrationSet(f"{count} variations of the bundled portrait (a last resort)", chosen)


def _spread(readers: Sequence[Callable[[], Rgb]], count: int, where: str) -> tuple[Callable[[], Rgb], ...]:
    if not 1 <= count <= len(readers):
        raise CalibrationError(
            f"{where} has {len(readers)} images, and {count} are asked for calibration: add some or ask for fewer"
        )
    return tuple(readers[index * len(readers) // count] for index in range(count))


def _is_dataset(path: Path) -> bool:
    try:
        open_dataset(path)
    except DatasetError:
        return False
    return True


def _dataset_readers(path: Path, split: str | None) -> list[Callable[[], Rgb]]:
    try:
        dataset = _training_split(path) if split is None else open_dataset(path, split=split)
    except DatasetError as error:
        raise CalibrationError(str(error)) from error
    return _photo_readers(dataset)


def _photo_readers(dataset: SegmentationDataset) -> list[Callable[[], Rgb]]:
    return [partial(_photo, dataset, index) for index in range(len(dataset))]


def _training_split(path: Path) -> SegmentationDataset:
    try:
        return open_dataset(path, split="train")
    except DatasetError:
        return open_dataset(path)


def _folder_readers(path: Path) -> list[Callable[[], Rgb]]:
    try:
        return [partial(read_rgb, image) for image in list_images(path)]
    except ImageError as error:
        raise CalibrationError(f"{error} (calibration needs a folder of photos)") from error


def _photo(dataset: SegmentationDataset, index: int) -> Rgb:
    return dataset[index].image


def _same(image: Rgb) -> Rgb:
    return image
