"""Native libraries write to file descriptor 2 past Python: the chatter is taken out, the rest is kept."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

_STDERR = 2
_lock = threading.Lock()


def without_info_lines() -> AbstractContextManager[None]:
    """Hold back standard error while the body runs, then write it on without the lines that begin with "INFO:".

    LiteRT announces its delegate there and has no switch for it. Where there is no standard error (a window
    application), nothing happens. One body at a time: a second thread waits.
    """
    return _held_back(lambda line: not line.startswith(b"INFO:"))


def without_standard_error() -> AbstractContextManager[None]:
    """As :func:`without_info_lines`, but nothing is written on: for an import that greets in many voices."""
    return _held_back(lambda line: False)


@contextmanager
def _held_back(wanted: Callable[[bytes], bool]) -> Iterator[None]:
    with _lock:
        try:
            saved = os.dup(_STDERR)
        except OSError:
            yield
            return
        sys.stderr.flush()
        with tempfile.TemporaryFile() as held:
            os.dup2(held.fileno(), _STDERR)
            try:
                yield
            finally:
                sys.stderr.flush()
                os.dup2(saved, _STDERR)
                os.close(saved)
                held.seek(0)
                kept = b"".join(line for line in held if wanted(line))
                if kept:
                    os.write(_STDERR, kept)
