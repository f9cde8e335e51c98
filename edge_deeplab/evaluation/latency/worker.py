"""A model file, opened and timed in a process of its own: what a runtime does there disturbs no other's numbers.

The memory is the file's alone, pools of threads are not shared, and a runtime that crashes on a file takes nothing
with it. This module imports nothing heavy: numpy must not be loaded before :func:`serve` has said how many threads
its libraries may use.
"""

from __future__ import annotations

import os
import signal
import traceback
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import partial
from multiprocessing.connection import Connection

from edge_deeplab.errors import EdgeDeeplabError
from edge_deeplab.evaluation.latency.clock import Clocks, timed

_POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class Question(Enum):
    """What the parent may ask for; it sends it, and gets the answer."""

    RUN = "one run"  # -> Timing
    MEMORY = "memory"  # -> bytes above the bare runtime, or None where the system does not tell


@dataclass(frozen=True)
class Opened:
    """The answer to the file.

    Attributes:
        runtime: who executes it, with version.
        height: rows of its input.
        width: columns of its input.
        reasons: of a model from elsewhere, how it is fed and read, as phrases; else empty.
    """

    runtime: str
    height: int
    width: int
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Refused:
    """The answer instead of any other: an error of edge-deeplab, as its sentence."""

    reason: str


@dataclass(frozen=True)
class Broken:
    """The answer instead of any other: an exception that nobody foresaw, with its traceback."""

    trace: str


def serve(connection: Connection, threads: int) -> None:
    """Open the file that comes first, take the picture that comes second, then answer questions until nobody asks.

    Args:
        connection: gives (path, what is known of a model from elsewhere), then RGB uint8 (height, width, 3) after
            :class:`Opened`, then any number of :class:`Question`.
        threads: to run with.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which closes the connection
    os.environ.update(dict.fromkeys(_POOLS, str(threads)))
    with connection, suppress(EOFError, BrokenPipeError):
        try:
            _answer(connection, threads)
        except EdgeDeeplabError as error:
            connection.send(Refused(str(error)))
        except (EOFError, BrokenPipeError):
            raise
        except Exception:
            connection.send(Broken(traceback.format_exc()))


def _answer(connection: Connection, threads: int) -> None:
    path, overrides = connection.recv()

    import cv2
    import numpy as np

    from edge_deeplab.evaluation.latency.memory import forget_peak, peak_memory
    from edge_deeplab.runtime.foreign.session import ForeignSession
    from edge_deeplab.runtime.opening import open_any_session

    cv2.setNumThreads(threads)
    # Once for nothing: modules, the pages of their code and what a runtime sets up once are there then, not counted.
    with open_any_session(path, threads=threads, overrides=overrides) as session:
        session.run(np.zeros((session.height, session.width, 3), np.uint8))
    del session
    bare = forget_peak()
    with open_any_session(path, threads=threads, overrides=overrides) as session:
        reasons = session.reasons if isinstance(session, ForeignSession) else ()
        connection.send(Opened(session.runtime, session.height, session.width, reasons))
        once = partial(session.run, connection.recv())
        while True:
            match connection.recv():
                case Question.RUN:
                    connection.send(timed(once, Clocks()))
                case Question.MEMORY:
                    connection.send(None if bare is None else peak_memory() - bare)
