"""Python's garbage collection without its longest stops."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def settled_heap() -> Iterator[None]:
    """What is there now - modules and their contents, for the most part - is not looked through again until the end.

    Python looks through all of it now and then, with every thread stopped: 15 ms, which is a frame.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
