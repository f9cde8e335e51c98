"""Many pictures in threads: runtimes and OpenCV leave Python's lock while they compute, so several cores are used."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Progress = Callable[[int, int], None]
"""Told how many pictures are done, and of how many."""

Result = TypeVar("Result")


def in_order(
    work: Callable[[int, threading.Event], Result],
    count: int,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> list[Result]:
    """Call ``work`` for 0 to ``count - 1`` in threads, and give the results in that order.

    The first failure, in that order, is raised again. After it, and after an interruption, whatever waits is dropped,
    and what has begun is told so by the event: work that takes long looks at it from time to time and gives up by an
    exception of its choice, which nobody sees.

    Args:
        work: takes the index and the event; its results must not depend on which thread was first.
        count: how many calls.
        workers: threads; None: one for each core.
        progress: told after each result, from the calling thread.
    """
    stopped = threading.Event()
    results: list[Result] = []
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as executor:
        try:
            for done, result in enumerate(executor.map(lambda index: work(index, stopped), range(count)), start=1):
                results.append(result)
                if progress is not None:
                    progress(done, count)
        except BaseException:
            stopped.set()
            executor.shutdown(wait=False, cancel_futures=True)
            raise
    return results
