"""Several model files against each other: how long a run of each takes, and what it costs besides."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.evaluation.latency.contestant import Contestant
from edge_deeplab.evaluation.latency.rounds import take_turns
from edge_deeplab.evaluation.latency.statistics import CONFIDENCE, Ratio, Spread, paired_ratio, spread
from edge_deeplab.evaluation.machine import describe_machine
from edge_deeplab.evaluation.parallel import Progress
from edge_deeplab.files import sha256, size
from edge_deeplab.inspection.summary import Execution

INPUT = "the bundled portrait, 512x512, resized to each model's input"
_PACKAGES = ("ai-edge-litert", "onnxruntime", "torch", "coremltools", "numpy", "opencv-python")


@dataclass(frozen=True)
class Times:
    """All counted runs of a model by one clock.

    Attributes:
        milliseconds: of each run, in the order of the rounds.
        spread: what they come to, in milliseconds.
        ratio: to the times of the file that all are compared with; None for that file, where there is none, or where
            the clock is too coarse for it.
    """

    milliseconds: tuple[float, ...]
    spread: Spread
    ratio: Ratio | None


@dataclass(frozen=True)
class FileLatency:
    """One model file.

    Attributes:
        name: the file's name, with its folders where two have the same.
        sha256: of its content.
        size: bytes.
        height: rows of its input.
        width: columns of its input.
        runtime: who executed it, with version and threads.
        wall: time as a user waits for it.
        processor: time of the processor that all its threads took.
        memory: bytes of the process at most, above those of the bare runtime; None: the system does not tell.
        execution: what XNNPACK takes of a TFLite file; None for other formats.
    """

    name: str
    sha256: str
    size: int
    height: int
    width: int
    runtime: str
    wall: Times
    processor: Times
    memory: int | None
    execution: Execution | None


@dataclass(frozen=True)
class LeftOut:
    """A file that could not be opened, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class LatencyReport:
    """Files that were run in turns.

    Attributes:
        machine: see :func:`~edge_deeplab.evaluation.machine.describe_machine`.
        threads: of each runtime.
        warm_up: rounds before those that count.
        runs: rounds that count.
        seed: of the order within the rounds.
        against: name of the file that all are compared with; None: none.
        files: in the order in which they were given.
        left_out: those that were not measured.
    """

    machine: dict[str, object]
    threads: int
    warm_up: int
    runs: int
    seed: int
    against: str | None
    files: tuple[FileLatency, ...]
    left_out: tuple[LeftOut, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; the words ``input`` and ``confidence`` say what was run on, and of the intervals."""
        return {"input": INPUT, "confidence": CONFIDENCE, **dataclasses.asdict(self)}


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """The files' names; those that two share, with the folders that were given."""
    names = [path.name for path in paths]
    return [str(path) if names.count(path.name) > 1 else path.name for path in paths]


def measure_latency(
    contestants: Sequence[Contestant],
    *,
    against: Path | None,
    threads: int,
    warm_up: int,
    runs: int,
    seed: int,
    left_out: Sequence[LeftOut] = (),
    progress: Progress | None = None,
) -> LatencyReport:
    """Run all files in turns and put together what it comes to.

    Args:
        contestants: the opened files, at least one, with different names.
        against: path of the one that the others are compared with; None: no comparison.
        threads: that the files were opened with.
        warm_up: rounds that do not count, 0 or more.
        runs: rounds that count, 2 or more.
        seed: of the order within the rounds.
        left_out: files that could not be opened, for the record.
        progress: told after each round.

    Raises:
        ModelFileError: a runtime crashes or gives what is none of its kind, or a file was damaged meanwhile.
    """
    reference = None if against is None else [contestant.path for contestant in contestants].index(against)
    executions = [_execution(contestant.path) for contestant in contestants]
    timings = take_turns(
        [contestant.run for contestant in contestants], warm_up=warm_up, runs=runs, seed=seed, progress=progress
    )
    files = tuple(
        FileLatency(
            name=contestant.name,
            sha256=sha256(contestant.path),
            size=size(contestant.path),
            height=contestant.height,
            width=contestant.width,
            runtime=contestant.runtime,
            wall=_times(timings.wall, index, reference),
            processor=_times(timings.processor, index, reference),
            memory=contestant.memory(),
            execution=executions[index],
        )
        for index, contestant in enumerate(contestants)
    )
    return LatencyReport(
        machine=describe_machine(_PACKAGES),
        threads=threads,
        warm_up=warm_up,
        runs=runs,
        seed=seed,
        against=None if reference is None else contestants[reference].name,
        files=files,
        left_out=tuple(left_out),
    )


def _times(seconds: NDArray[np.float64], index: int, reference: int | None) -> Times:
    milliseconds = np.round(seconds * 1e3, 4)
    mine = milliseconds[:, index]
    ratio = None
    # A processor's clock may be too coarse (15 ms on Windows), and gives 0 then.
    if reference is not None and reference != index and milliseconds[:, reference].all():
        ratio = paired_ratio(mine, milliseconds[:, reference])
    return Times(tuple(mine.tolist()), spread(mine), ratio)


def _execution(path: Path) -> Execution | None:
    if path.suffix.lower() != ".tflite":
        return None
    from edge_deeplab.inspection.litert import ask_litert

    return ask_litert(path)
