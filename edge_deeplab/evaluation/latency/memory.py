"""How much memory this process holds at most from now on. Linux with glibc only: elsewhere nobody knows."""

from __future__ import annotations

import ctypes
import gc
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # proc(5), clear_refs: the peak resident set size becomes the current one


def forget_peak() -> int | None:
    """Give back what is free, and let :func:`peak_memory` begin anew.

    Without the first, what a runtime takes next would come out of what was freed before (30 MB after the imports), and
    would not be seen.

    Returns:
        Bytes that the process holds now; None where the system can do neither.
    """
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
        _CLEAR.write_text(_RESET_PEAK)
    except (OSError, AttributeError, TypeError):  # another C library, another system, Windows
        return None
    return peak_memory()


def peak_memory() -> int:
    """The greatest resident set size since :func:`forget_peak`, in bytes; only where that one gives a number."""
    # Not getrusage: it would also count the process that this one was forked from.
    (peak,) = (line.split()[1] for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(peak) * 1024
