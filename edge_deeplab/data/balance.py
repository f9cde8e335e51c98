"""How often the photos of each source come in an epoch."""

from __future__ import annotations

from collections.abc import Mapping

from edge_deeplab.data.manifest import ManifestDataset
from edge_deeplab.data.subset import Subset
from edge_deeplab.errors import DatasetError


def balance(dataset: ManifestDataset, repeats: Mapping[str, int]) -> Subset:
    """The photos of a data set, each as often as its source is to be repeated.

    A small source with what the large ones lack (a street, no person) would otherwise be a percent of what the network
    sees. Copies of a photo are neighbours here; the sampler mixes them, and augmentation makes each another picture.

    Args:
        dataset: the photos, in any order, which stays.
        repeats: source to how often a photo of it comes; sources that are not named are left out, as are those at 0.

    Raises:
        DatasetError: a number below 0, or nothing is left.
    """
    for source, count in repeats.items():
        if count < 0:
            raise DatasetError(f"the source {source!r} cannot come {count} times: give 0 to leave it out, or more")
    chosen = [index for index, row in enumerate(dataset.rows) for _ in range(repeats.get(row.source, 0))]
    if not chosen:
        there = ", ".join(sorted({row.source for row in dataset.rows}))
        raise DatasetError(
            f"{dataset.root} has no photo of {', '.join(repeats) or 'no source'}: its sources are {there}"
        )
    return Subset(dataset, chosen)
