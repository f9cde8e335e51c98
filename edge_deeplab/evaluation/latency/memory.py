"""How much memory this process has held at most."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # proc(5), clear_refs: the peak resident set size becomes the current one


def reset_peak() -> None:
    """Forget what was held before, where the system can (Linux)."""
    with suppress(OSError):
        _CLEAR.write_text(_RESET_PEAK)


def peak_memory() -> int | None:
    """The greatest resident set size since :func:`reset_peak`, or since the process began; bytes; None: not known."""
    # Linux's getrusage would also count the process that this one was forked from.
    if _STATUS.exists():
        kibibytes = [line.split()[1] for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(kibibytes[0]) * 1024 if kibibytes else None
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in bytes there
    return None
