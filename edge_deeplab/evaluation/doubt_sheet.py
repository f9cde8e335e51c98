"""Photos and what is left out of their labels, on one sheet: whether a teacher's doubts are right, only a look says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_deeplab.data.sample import Sample
from edge_deeplab.evaluation.drawing import Tile, difference, sheet
from edge_deeplab.evaluation.metrics import person_mask
from edge_deeplab.image import Rgb

_HEIGHT, _WIDTH = 240, 200
_PAIRS_A_ROW = 4
_LEGEND = "blue: called background by the label, and left out    bright: called a person    dim: the rest"


def doubt_sheet(samples: Sequence[Sample], *, title: str) -> Rgb:
    """Draw each photo beside what is left out of its label.

    Args:
        samples: with coverage masks; at least one.
        title: the sheet's first line.

    Returns:
        RGB, uint8, HxWx3.

    Raises:
        ValueError: no samples.
    """
    tiles: list[Tile] = []
    for sample in samples:
        person = person_mask(sample.mask)
        ignored = np.zeros_like(person) if sample.ignored is None else sample.ignored
        painted = difference(sample.image, (person | ignored).astype(np.uint8), person.astype(np.uint8))
        tiles += [Tile(sample.image, (sample.id,)), Tile(painted, (f"{ignored.mean():.1%} left out",))]
    rows = [tiles[start : start + 2 * _PAIRS_A_ROW] for start in range(0, len(tiles), 2 * _PAIRS_A_ROW)]
    return sheet(rows, title=(title, _LEGEND), height=_HEIGHT, width=_WIDTH)
