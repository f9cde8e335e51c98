"""Opening the two splits that a training run needs, and reading every photo of them once."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from edge_deeplab.data.sample import SegmentationDataset


def open_splits(
    data: Path, train_split: str, val_split: str, classes: tuple[str, ...], *, skip_bad: bool
) -> tuple[SegmentationDataset, SegmentationDataset]:
    """Open training and validation data, and say which photos were left out.

    A broken photo is better found now than in the middle of the night.

    Raises:
        DatasetError: nothing there, or a broken photo and not ``skip_bad``.
    """
    from edge_deeplab.cli.progress import image_progress
    from edge_deeplab.data.opening import open_dataset
    from edge_deeplab.data.subset import check_dataset

    train_data = open_dataset(data, split=train_split, classes=classes)
    val_data = open_dataset(data, split=val_split, classes=classes)
    with image_progress("checking the photos") as progress:
        total = len(train_data) + len(val_data)
        done = count(1)
        train_data, bad_train = check_dataset(
            train_data, skip_bad=skip_bad, advance=lambda: progress(next(done), total)
        )
        val_data, bad_val = check_dataset(val_data, skip_bad=skip_bad, advance=lambda: progress(next(done), total))
    for skipped in (*bad_train, *bad_val):
        click.echo(f"left out: {skipped.reason}", err=True)
    if bad_train or bad_val:
        click.echo(f"{len(bad_train) + len(bad_val)} of {total} photos left out", err=True)
    return train_data, val_data
