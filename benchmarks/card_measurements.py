"""What ship_model.py measures of a model for its card: accuracy by source, size and disturbance, and latency."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_deeplab.cli.release_card import card_metrics
from edge_deeplab.data.sample import SegmentationDataset
from edge_deeplab.evaluation.disturbances import DISTURBANCES, DisturbedDataset
from edge_deeplab.evaluation.evaluate import Evaluation, evaluate
from edge_deeplab.evaluation.latency.contestant import Contestant
from edge_deeplab.evaluation.latency.report import measure_latency
from edge_deeplab.evaluation.machine import describe_machine
from edge_deeplab.evaluation.scores import Scores, by_size
from edge_deeplab.files import sha256
from edge_deeplab.runtime.opening import open_session
from edge_deeplab.weights.card import Latency, Score

Progress = Callable[[str, int, int | None], None]

THREADS, WARM_UP = 1, 10


@dataclass(frozen=True)
class Accuracy:
    """A model's scores on the photos as they are, and on the same photos under each disturbance, by its name."""

    clean: Evaluation
    disturbed: Mapping[str, Evaluation]


def measure_accuracy(model: Path, photos: SegmentationDataset, progress: Progress) -> Accuracy:
    """Score a model.

    Args:
        model: a checkpoint or a converted file.
        photos: with coverage masks.
        progress: told what is done, how many photos, and of how many.

    Raises:
        EdgeDeeplabError: the model or a photo cannot be used.
    """

    def stage(what: str) -> Callable[[int, int | None], None]:
        return lambda done, count: progress(f"{model.name}, {what}", done, count)

    with open_session(model) as session:
        return Accuracy(
            evaluate(session, photos, progress=stage("as they are")),
            {
                each.name: evaluate(session, DisturbedDataset(photos, each), progress=stage(each.name))
                for each in DISTURBANCES
            },
        )


def source_scores(parent: Accuracy, int8: Accuracy) -> tuple[Score, ...]:
    """An entry of the card for each source."""
    return _pairs(parent.clean.sources, int8.clean.sources)


def size_scores(parent: Accuracy, int8: Accuracy) -> tuple[Score, ...]:
    """An entry for each range of the person's part of the photo."""
    before, after = (by_size(one.clean.images, one.clean.names) for one in (parent, int8))
    return _pairs(before, after)


def disturbed_scores(parent: Accuracy, int8: Accuracy) -> tuple[Score, ...]:
    """An entry for each disturbance, over all photos."""
    before, after = ({name: each.total for name, each in one.disturbed.items()} for one in (parent, int8))
    return _pairs(before, after)


def conditions(split: str, parent: Accuracy, int8: Accuracy) -> dict[str, Any]:
    """What the scores hold under."""
    return {
        "split": split,
        **int8.clean.to_dict()["conditions"],
        "float_parent": parent.clean.runtime,
        "int8": int8.clean.runtime,
        "disturbances": {each.name: each.strength for each in DISTURBANCES},
        "machine": describe_machine(["torch", "ai-edge-litert", "numpy", "opencv-python"]),
    }


def compare_latency(model: Path, against: Path, runs: int, progress: Callable[[int, int], None]) -> Latency:
    """Run a model and another one in turns, on one thread.

    Args:
        model: the int8 file.
        against: the other.
        runs: rounds that count.
        progress: told after each round.

    Raises:
        ModelFileError: one of them cannot be opened or run.
    """
    with ExitStack() as stack:
        both = [
            stack.enter_context(Contestant(path, name=path.name, threads=THREADS, overrides=None))
            for path in (model, against)
        ]
        report = measure_latency(
            both, against=against, threads=THREADS, warm_up=WARM_UP, runs=runs, seed=0, progress=progress
        )
    ours, other = report.files
    assert ours.wall.ratio is not None
    return Latency(
        milliseconds=round(ours.wall.spread.median, 4),
        against=against.name,
        against_sha256=sha256(against),
        against_milliseconds=round(other.wall.spread.median, 4),
        ratio=round(ours.wall.ratio.median, 4),
        low=round(ours.wall.ratio.low, 4),
        high=round(ours.wall.ratio.high, 4),
        threads=THREADS,
        runs=runs,
        runtime=ours.runtime,
        machine=report.machine,
    )


def _pairs(parent: Mapping[str, Scores], int8: Mapping[str, Scores]) -> tuple[Score, ...]:
    return tuple(
        Score(name, scores.images, card_metrics(scores), card_metrics(int8[name])) for name, scores in parent.items()
    )
