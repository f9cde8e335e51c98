"""A part of a data set, and the check that finds the part which can be used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge_deeplab.data.sample import Sample, SegmentationDataset
from edge_deeplab.errors import DatasetError, ImageError


class Subset:
    """The samples of ``dataset`` at ``indices``, in that order."""

    def __init__(self, dataset: SegmentationDataset, indices: Sequence[int]) -> None:
        self.classes = dataset.classes
        self.mask_kind = dataset.mask_kind
        self._dataset = dataset
        self._indices = tuple(indices)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> Sample:
        return self._dataset[self._indices[index]]


def spread(indices: Sequence[int], count: int) -> list[int]:
    """At most ``count`` of the indices, spread evenly over them, in their order."""
    count = min(count, len(indices))
    return [indices[place * len(indices) // count] for place in range(count)]


@dataclass(frozen=True)
class Skipped:
    """A sample that cannot be used: its place in the data set, and a sentence that names the file."""

    index: int
    reason: str


def check_dataset(
    dataset: SegmentationDataset, *, skip_bad: bool = False, advance: Callable[[], object] = lambda: None
) -> tuple[SegmentationDataset, tuple[Skipped, ...]]:
    """Read every sample once, before hours are spent on them (about 1 ms each for photos of 228x304).

    Args:
        dataset: what is to be used.
        skip_bad: leave unusable samples out and tell which, instead of refusing the whole.
        advance: called after each sample, for a progress bar.

    Returns:
        the data set without what is unusable (the same object if nothing is), and what was left out.

    Raises:
        DatasetError: a sample is unusable and ``skip_bad`` is not set, or all of them are.
    """
    good: list[int] = []
    skipped: list[Skipped] = []
    for index in range(len(dataset)):
        try:
            dataset[index]
            good.append(index)
        except (DatasetError, ImageError) as error:
            skipped.append(Skipped(index, str(error)))
        advance()
    if not skipped:
        return dataset, ()
    if not good:
        raise DatasetError(f"none of the {len(dataset)} samples can be used; the first: {skipped[0].reason}")
    if not skip_bad:
        raise DatasetError(
            f"{len(skipped)} of {len(dataset)} samples cannot be used; the first: {skipped[0].reason}. "
            f"Mend them, or skip them (--skip-bad)"
        )
    return Subset(dataset, good), tuple(skipped)
