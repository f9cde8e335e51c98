"""How long the models of compare_models.py take, in turns in one run, beside the first of the peers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from comparison_measuring import identity
from peer_list import Contestant

from edge_deeplab.evaluation.latency import contestant as latency
from edge_deeplab.evaluation.latency.report import FileLatency, measure_latency

_DEPLOYED = (".tflite", ".onnx")
_WARM_UP = 10
_THREADS = 1  # as the peers' authors state theirs
_SEED = 1


def measure_latencies(
    contestants: Sequence[Contestant], against: Contestant | None, rounds: int, progress: Callable[[int, int], None]
) -> dict[str, Any]:
    """Time the deployed files (TFLite, ONNX) of the models; what PyTorch runs is not compared.

    Args:
        contestants: the models.
        against: what the others are compared with; None: nothing.
        rounds: that count.
        progress: told after each round.

    Returns:
        Plain JSON types: the conditions, and for each model its median and 95th percentile in milliseconds, and the
        ratio to ``against`` with its interval.

    Raises:
        ModelFileError: a file cannot be opened or run.
    """
    deployed = [one for one in contestants if one.path.suffix.lower() in _DEPLOYED]
    with ExitStack() as stack:
        report = measure_latency(
            [
                stack.enter_context(
                    latency.Contestant(one.path, name=one.name, threads=_THREADS, overrides=one.overrides)
                )
                for one in deployed
            ],
            against=against.path if against in deployed else None,
            threads=_THREADS,
            warm_up=_WARM_UP,
            runs=rounds,
            seed=_SEED,
            progress=progress,
        )
    return {
        "machine": report.machine,
        "threads": report.threads,
        "warm_up": report.warm_up,
        "rounds": report.runs,
        "seed": report.seed,
        "against": report.against,
        "models": [
            {"name": one.name, "identity": identity(one), **_numbers(file)}
            for one, file in zip(deployed, report.files, strict=True)
        ],
    }


def _numbers(file: FileLatency) -> dict[str, Any]:
    ratio = file.wall.ratio
    return {
        "median_ms": round(file.wall.spread.median, 3),
        "p95_ms": round(file.wall.spread.p95, 3),
        "ratio": None if ratio is None else [round(value, 4) for value in (ratio.median, ratio.low, ratio.high)],
    }
