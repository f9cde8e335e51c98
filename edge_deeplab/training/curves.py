"""How a run went, epoch by epoch: a small table, and a picture of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from edge_deeplab.errors import CheckpointError
from edge_deeplab.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours (2008), told apart by people with any kind of colour vision.
_BLUE, _RED = "#0072B2", "#D55E00"


@dataclass(frozen=True)
class EpochScores:
    """One epoch.

    Attributes:
        epoch: from 1.
        steps: optimizer steps from the beginning of the run to its end.
        learning_rate: the head's, as the next step would have it.
        train_loss: mean over its batches, as they were augmented, of the network that is trained.
        val_loss: on the validation split, of the averaged network; without distillation.
        val_iou: person IoU (mean IoU of several classes) on the validation split at the network's size, of the
            averaged network.
    """

    epoch: int
    steps: int
    learning_rate: float
    train_loss: float
    val_loss: float
    val_iou: float


def read_curves(path: Path) -> tuple[EpochScores, ...]:
    """Read the table that :func:`write_curves` wrote; empty if there is none.

    Raises:
        CheckpointError: it is there and cannot be read.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return tuple(
                EpochScores(int(row["epoch"]), int(row["steps"]), *(float(row[name]) for name in _NAMES[2:]))
                for row in csv.DictReader(file)
            )
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise CheckpointError(f"{path} is damaged ({error!r}): remove it, it is made anew from here on") from error


def write_curves(path: Path, epochs: Sequence[EpochScores]) -> None:
    """Write the table as CSV, whole or not at all: a line an epoch. Raises: OutputError."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_NAMES)
    table.writerows([f"{value:.6g}" if isinstance(value, float) else value for value in astuple(e)] for e in epochs)
    write_bytes(path, text.getvalue().encode())


def curves_plot(epochs: Sequence[EpochScores], title: str) -> bytes:
    """Draw losses, score and learning rate over the epochs.

    Returns:
        A PNG file; the same bytes for the same epochs.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)  # draws into memory, whatever screen there is or is not
    figure.suptitle(title, fontsize=11)
    losses, score, rate = figure.subplots(1, 3)
    numbers = [one.epoch for one in epochs]
    losses.plot(numbers, [one.train_loss for one in epochs], ".-", color=_BLUE, label="training, augmented")
    losses.plot(numbers, [one.val_loss for one in epochs], ".-", color=_RED, label="validation, averaged weights")
    losses.legend()
    score.plot(numbers, [one.val_iou for one in epochs], ".-", color=_RED)
    best = max(epochs, key=lambda one: one.val_iou)
    score.plot(best.epoch, best.val_iou, "o", color=_RED, markersize=9)
    score.annotate(f"{best.val_iou:.4f}", (best.epoch, best.val_iou), (0, -18), textcoords="offset points", ha="right")
    rate.plot(numbers, [one.learning_rate for one in epochs], ".-", color=_BLUE)
    for axes, label in ((losses, "loss"), (score, "validation IoU"), (rate, "learning rate of the head")):
        _label(axes, label)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _label(axes: Axes, label: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.set_ylabel(label)
    axes.grid(alpha=0.3)


_NAMES = [field.name for field in fields(EpochScores)]
