"""A teacher's doubts about the labels of collections that are known to be incomplete, as files beside the masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from edge_deeplab.data.doubts import missing_person
from edge_deeplab.data.manifest import ManifestDataset
from edge_deeplab.data.sample import MaskKind
from edge_deeplab.errors import DatasetError
from edge_deeplab.image import Rgb, resize_area, resize_map, save_image
from edge_deeplab.training.teacher import Teacher


@dataclass(frozen=True)
class Doubt:
    """What is doubted of one photo's label.

    Attributes:
        id: of the photo.
        source: the collection that it comes from.
        share: of its pixels, 0 (nothing is doubted, and there is no file) to 1.
    """

    id: str
    source: str
    share: float


def write_doubts(
    dataset: ManifestDataset,
    sources: Sequence[str],
    teacher: Teacher,
    folder: Path,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Doubt, ...]:
    """Write ``folder/<id>.png`` (uint8, 255 doubted, 0 not) for each photo of the sources whose label is doubted.

    Args:
        dataset: coverage masks of persons, of one split.
        sources: the collections whose labels are known to lack a part of a person.
        teacher: trained on others.
        folder: where to; it exists.
        progress: called with the photos done so far, and how many there are.

    Returns:
        One for each photo of the sources, in the data set's order.

    Raises:
        DatasetError: a source that is not there, masks of classes, or doubts that are there already.
        ImageError: a photo cannot be read.
        OutputError: ``folder`` cannot be written to.
    """
    there = {row.source for row in dataset.rows}
    for source in sources:
        if source not in there:
            raise DatasetError(f"{dataset.root} has no source {source!r}: it has {', '.join(sorted(there))}")
    if dataset.mask_kind is not MaskKind.COVERAGE:
        raise DatasetError("doubts are about masks of one class: name one class instead of several")
    chosen = [index for index, row in enumerate(dataset.rows) if row.source in sources]
    doubts = []
    for index in chosen:
        sample = dataset[index]
        if sample.ignored is not None:
            raise DatasetError(f"{dataset.root} has doubts about {sample.id} already: give the data set without them")
        doubted = missing_person(sample.mask, _probability(teacher, sample.image))
        if doubted.any():
            save_image(folder / f"{sample.id}.png", Image.fromarray(doubted.astype(np.uint8) * np.uint8(255)))
        doubts.append(Doubt(sample.id, sample.source, float(doubted.mean())))
        progress(len(doubts), len(chosen))
    return tuple(doubts)


def _probability(teacher: Teacher, rgb: Rgb) -> NDArray[np.float32]:
    """How probable a person is in each pixel of a photo: float32, HxW."""
    pixels = torch.from_numpy(resize_area(rgb, teacher.height, teacher.width))
    seen = teacher(pixels.permute(2, 0, 1)[None].float().div_(255.0))
    return resize_map(seen[0, 0].numpy(), *rgb.shape[:2])
