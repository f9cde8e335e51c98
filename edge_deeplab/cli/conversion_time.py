"""How long a conversion takes for somebody who gives the command and waits."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_deeplab.evaluation.latency.conversion import ConversionTime
    from edge_deeplab.spec import Target

_CONVERT = (sys.executable, "-m", "edge_deeplab.cli.main", "convert")


def time_conversion(checkpoint: Path, target: Target, *, name: str) -> ConversionTime:
    """Convert once, in a process of its own and into a folder that is removed again.

    A process of its own, because whatever is imported first would be paid by the first target alone.

    Args:
        checkpoint: the .safetensors file; its ranges are taken from beside it.
        target: what it becomes.
        name: what the checkpoint is called in the report.

    Raises:
        ConversionError: the command fails; the message ends with its own.
    """
    from edge_deeplab.evaluation.latency.clock import Clocks, timed
    from edge_deeplab.evaluation.latency.conversion import ConversionTime

    with tempfile.TemporaryDirectory() as folder:
        words = [*_CONVERT, str(checkpoint), "--target", str(target), "--out", folder]
        timing = timed(lambda: _run(words, checkpoint, target), Clocks(processor=_ended_processes))
    return ConversionTime(name, str(target), timing.wall, timing.processor)


def _run(words: list[str], checkpoint: Path, target: Target) -> None:
    from edge_deeplab.errors import ConversionError

    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise ConversionError(f"{checkpoint} is not converted to {target}: {last.removeprefix('edge-deeplab: ')}")


def _ended_processes() -> float:
    """Seconds of the processor that processes took which this one has waited for, with those that they started."""
    times = os.times()
    return times.children_user + times.children_system
