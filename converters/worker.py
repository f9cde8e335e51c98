"""A module run in a process of its own, with its talk kept for the case that it fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from edge_deeplab.errors import ConversionError

_SHOWN = 3  # lines of the log that the message quotes
_NOISE = ("INFO", "WARNING", "W0000", "I0000", "E0000")  # absl's and TensorFlow's chatter at import


def run_worker(
    module: str, arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str], timeout: float
) -> None:
    """Run ``python -m module arguments`` and wait for it.

    Args:
        module: the worker.
        arguments: its command line.
        folder: its working directory; its standard output and error go to a log in there.
        environment: added to this process's.
        timeout: seconds.

    Raises:
        ConversionError: it failed or took too long: the message has the log's last lines, and where a copy of the log
            is kept.
    """
    log = folder / "worker.log"
    with log.open("wb") as sink:
        try:
            # subprocess.run kills the child when it is left by a timeout, Ctrl-C or any other exception.
            status = subprocess.run(
                [sys.executable, "-m", module, *arguments],
                cwd=folder,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired as error:
            raise ConversionError(
                f"{module} was stopped after {timeout:.0f} seconds; its log is {_keep(log)}"
            ) from error
    if status != 0:
        how = f"was killed by signal {-status}" if status < 0 else f"failed with status {status}"
        raise ConversionError(f"{module} {how}: {_last_lines(log)}; its log is {_keep(log)}")


def _last_lines(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    meaningful = [line for line in lines if line and not line.startswith(_NOISE)]
    return " / ".join(meaningful[-_SHOWN:]) or "it said nothing"


def _keep(log: Path) -> Path:
    handle, name = tempfile.mkstemp(prefix="edge-deeplab-", suffix=".log")
    os.close(handle)
    shutil.copyfile(log, name)
    return Path(name)
