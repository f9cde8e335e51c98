"""The manifest layout: ``manifest.csv`` beside ``images/<id>.jpg`` and ``masks/<id>.png``.

The table's columns: ``id``, ``source`` (the collection), ``split`` (train, val, test), ``group`` (person, shoot or
video: no group crosses splits); further columns are not read here.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_deeplab.data.pairs import read_pair
from edge_deeplab.data.sample import PERSON_CLASSES, Sample, mask_kind_of
from edge_deeplab.errors import DatasetError

MANIFEST = "manifest.csv"
_COLUMNS = ("id", "source", "split")


@dataclass(frozen=True)
class ManifestRow:
    """A line of the table: the photo's id, its collection, and its split."""

    id: str
    source: str
    split: str


class ManifestDataset:
    """Photos and masks that a table lists, in the table's order.

    Args:
        root: the folder with the manifest.
        split: only the rows of this split; None for all.
        classes: ("person",) for coverage masks, or the name of every class index.

    Raises:
        DatasetError: no manifest, a column missing, an id named twice, or no row in the split.
    """

    def __init__(self, root: Path, *, split: str | None = None, classes: Sequence[str] = PERSON_CLASSES) -> None:
        self.root = root
        self.classes = tuple(classes)
        self.mask_kind = mask_kind_of(self.classes)
        rows = _read_rows(root / MANIFEST)
        if split is not None and all(row["split"] != split for row in rows):
            splits = ", ".join(sorted({row["split"] for row in rows}))
            raise DatasetError(f"{root / MANIFEST} has nothing in the split {split!r}: it has {splits}")
        self._rows = tuple(
            ManifestRow(row["id"], row["source"], row["split"]) for row in rows if split in (None, row["split"])
        )

    @property
    def rows(self) -> tuple[ManifestRow, ...]:
        """What the table says of each sample, in order; no photo is opened for it."""
        return self._rows

    def files(self, row: ManifestRow) -> tuple[Path, Path]:
        """Where the photo and the mask of a row are."""
        return self.root / "images" / f"{row.id}.jpg", self.root / "masks" / f"{row.id}.png"

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        row = self._rows[index]
        return read_pair(*self.files(row), id=row.id, source=row.source, classes=self.classes)


def _read_rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            missing = [name for name in _COLUMNS if name not in (table.fieldnames or ())]
            if missing:
                raise DatasetError(f"{path} lacks the column {missing[0]!r}: its first line must name {_COLUMNS}")
            rows = list(table)
    except FileNotFoundError as error:
        raise DatasetError(f"there is no {path}") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path} cannot be read as a table ({error}): save it as CSV in UTF-8") from error
    if not rows:
        raise DatasetError(f"{path} lists no photo")
    seen: set[str] = set()
    for row in rows:
        if any(not row[name] for name in _COLUMNS):
            raise DatasetError(f"{path} has a row without id, source or split: {row}")
        if row["id"] in seen:
            raise DatasetError(f"{path} lists {row['id']!r} twice: ids must be unique")
        seen.add(row["id"])
    return rows
