"""Whether the photos are those that a recipe was made with: hashes of photos and masks, summed up by source and split.

A recipe that is run again on other photos gives another model. A digest of each source and split is small enough to
keep with the recipe, and says which part differs; the list of every photo's hashes then finds the photo.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from edge_deeplab.data.manifest import ManifestDataset
from edge_deeplab.errors import DatasetError
from edge_deeplab.files import sha256, write_bytes


@dataclass(frozen=True)
class PhotoHash:
    """A photo and its mask, by the SHA-256 of their files."""

    id: str
    source: str
    split: str
    image_sha256: str
    mask_sha256: str


@dataclass(frozen=True)
class Digest:
    """A part of a data set.

    Attributes:
        photos: how many there are.
        sha256: of the lines ``id image_sha256 mask_sha256`` of all its photos, sorted, each with a line break: the
            order of the table does not matter, and neither do other parts of it.
    """

    photos: int
    sha256: str


Digests = Mapping[str, Mapping[str, Digest]]
"""Source to split to digest."""


def hash_photos(
    dataset: ManifestDataset, *, progress: Callable[[int, int], None] = lambda done, total: None
) -> tuple[PhotoHash, ...]:
    """Hash every photo and mask of a data set, in its order (130 MB take a third of a second).

    Raises:
        DatasetError: a file is missing or cannot be read.
    """
    found = []
    for row in dataset.rows:
        image, mask = dataset.files(row)
        try:
            found.append(PhotoHash(row.id, row.source, row.split, sha256(image), sha256(mask)))
        except OSError as error:
            raise DatasetError(f"{error.filename} cannot be read ({error.strerror}): {row.id} needs it") from error
        progress(len(found), len(dataset))
    return tuple(found)


def digest_photos(photos: Sequence[PhotoHash]) -> dict[str, dict[str, Digest]]:
    """Sum up each source and split: source to split to digest, both sorted."""
    lines: dict[str, dict[str, list[str]]] = {}
    for photo in photos:
        line = f"{photo.id} {photo.image_sha256} {photo.mask_sha256}\n"
        lines.setdefault(photo.source, {}).setdefault(photo.split, []).append(line)
    return {
        source: {
            split: Digest(len(part), hashlib.sha256("".join(sorted(part)).encode()).hexdigest())
            for split, part in sorted(splits.items())
        }
        for source, splits in sorted(lines.items())
    }


def require_digests(expected: Digests, photos: Sequence[PhotoHash], sources: Sequence[str], where: str) -> None:
    """Refuse photos other than the expected ones.

    Args:
        expected: what the recipe was made with.
        photos: what is there.
        sources: those that count; others may be there or not.
        where: the data set's name, for the message.

    Raises:
        DatasetError: a source differs; the message names each that does, and how many photos there are and should be.
    """
    found = digest_photos(photos)
    nothing = Digest(0, "")
    wrong = []
    for source in sources:
        wanted, there = expected.get(source, {}), found.get(source, {})
        for split in sorted({*wanted, *there}):
            one, other = wanted.get(split, nothing), there.get(split, nothing)
            if one != other:
                number = f"{other.photos} photos" + ("" if one.photos == other.photos else f" instead of {one.photos}")
                wrong.append(f"{source} ({split}: {number}{', other files' if one.photos == other.photos else ''})")
    if wrong:
        raise DatasetError(
            f"{where} is not what the recipe was made with: {'; '.join(wrong)} differ. "
            "Its numbers will not come out again: get those photos, or train on these with --other-data"
        )


def write_photo_hashes(path: Path, photos: Sequence[PhotoHash]) -> None:
    """Write the list of every photo as CSV, whole or not at all. Raises: OutputError."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    names = [field.name for field in fields(PhotoHash)]
    table.writerow(names)
    table.writerows([getattr(photo, name) for name in names] for photo in photos)
    write_bytes(path, text.getvalue().encode())


def count_photos(photos: Sequence[PhotoHash], split: str) -> Counter[str]:
    """How many photos each source has in a split."""
    return Counter(photo.source for photo in photos if photo.split == split)
