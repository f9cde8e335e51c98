"""What a perfect network could score whose mask has so many cells a side.

    python benchmarks/mask_limits.py DATA [--split test]

Each photo's true mask is averaged over the cells of a square grid that is stretched over the photo, as a network's
output is, and goes back to the photo's size the one way that a network's output does. What the score lacks to 1 is the
grid's fault alone. Writes mask_limits.json beside this file; docs/update_mask_limits.py makes the table.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from edge_deeplab.cli.progress import image_progress
from edge_deeplab.data.opening import open_dataset
from edge_deeplab.data.sample import Sample
from edge_deeplab.errors import EdgeDeeplabError
from edge_deeplab.evaluation.evaluate import score_prediction
from edge_deeplab.evaluation.labels import Labels, labels_for
from edge_deeplab.evaluation.scores import ImageScore, by_source
from edge_deeplab.files import write_json
from edge_deeplab.image import resize_area

SIDES = (32, 48, 52, 64, 68, 128, 256)  # portrait-fast has 52, portrait 68


def limit(sample: Sample, labels: Labels, side: int, index: int = 0) -> ImageScore:
    """The score of a photo's own mask, seen through a grid.

    Args:
        sample: a photo with its mask of persons.
        labels: how masks become class maps.
        side: cells of the grid, in each direction.
        index: the photo's place in its data set.
    """
    cells = resize_area(sample.mask, side, side).astype(np.float32) / 255
    return score_prediction(labels.predicted(cells[:, :, None], *sample.mask.shape), labels, sample, index)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="test", help="nothing is chosen by it (default: test)")
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    try:
        write_json(arguments.json, measure(arguments.data, arguments.split))
    except EdgeDeeplabError as error:
        sys.exit(f"mask_limits: {error}")


def measure(data: Path, split: str) -> dict[str, Any]:
    """The sources' scores through each grid; sources without persons are left out.

    Raises:
        EdgeDeeplabError: the data cannot be used.
    """
    photos = open_dataset(data, split=split)
    labels = labels_for(photos.classes, photos)
    scores: dict[int, list[ImageScore]] = {side: [] for side in SIDES}
    with image_progress("grids") as progress:
        for index in range(len(photos)):
            sample = photos[index]
            for side in SIDES:
                scores[side].append(limit(sample, labels, side, index))
            progress(index + 1, len(photos))
    found = {str(side): by_source(each, labels.names) for side, each in scores.items()}
    counts = {source: each.images for source, each in found[str(SIDES[0])].items() if each.person_iou is not None}
    return {
        "split": split,
        "photos": counts,
        **{
            metric: {
                side: {source: _rounded(getattr(each[source], metric)) for source in counts}
                for side, each in found.items()
            }
            for metric in ("person_iou", "boundary_f")
        },
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


if __name__ == "__main__":
    main()
