"""What disturbed photos cost a model before it is chosen: every disturbance, on a split that may be chosen by.

    python benchmarks/disturbed.py DATA MODEL MODEL... [--split val] [--every 2]

Each MODEL, a checkpoint or a file, is scored as `edge-deeplab evaluate` does it, on every second photo of the split as
it is and under each disturbance of `edge_deeplab/evaluation/disturbances.py`. `compare_models.py` has the same for the
test split, beside the models of others.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from edge_deeplab.cli.progress import image_progress
from edge_deeplab.data.opening import open_dataset
from edge_deeplab.data.sample import SegmentationDataset
from edge_deeplab.data.subset import Subset
from edge_deeplab.errors import EdgeDeeplabError
from edge_deeplab.evaluation.disturbances import DISTURBANCES, DisturbedDataset
from edge_deeplab.evaluation.evaluate import evaluate
from edge_deeplab.runtime.opening import open_any_session
from edge_deeplab.terminal import number_columns, plain_table


def main(words: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL")
    parser.add_argument("--split", default="val")
    parser.add_argument("--every", type=int, default=2, metavar="N", help="every Nth photo of the split")
    arguments = parser.parse_args(words)
    if arguments.every < 1:
        parser.error(f"--every {arguments.every}: every Nth photo, from 1")
    try:
        measure(arguments.data, arguments.models, arguments.split, arguments.every)
    except EdgeDeeplabError as error:
        sys.exit(f"disturbed: {error}")


def measure(data: Path, models: Sequence[Path], split: str, every: int) -> None:
    """Score and print, a table for each model.

    Raises:
        EdgeDeeplabError: the data or a model cannot be used.
    """
    whole = open_dataset(data, split=split)
    photos = Subset(whole, range(0, len(whole), every))
    views: dict[str, SegmentationDataset] = {"as it is": photos}
    views |= {each.name: DisturbedDataset(photos, each) for each in DISTURBANCES}
    for model in models:
        shown = plain_table(f"{model.name}, {len(photos)} photos of {split}", "disturbance")
        number_columns(shown, "person IoU", "boundary F", "false person")
        with open_any_session(model) as session:
            for name, seen in views.items():
                with image_progress(f"{model.name}, {name}") as progress:
                    found = evaluate(session, seen, progress=progress).total
                numbers = (found.person_iou, found.boundary_f, found.false_person)
                shown.add_row(name, *("" if value is None else f"{value:.4f}" for value in numbers))
        Console().print(shown)


if __name__ == "__main__":
    main()
