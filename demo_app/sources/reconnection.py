"""A camera that may go and come back."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator

import cv2

from demo_app.capture import read_frame
from edge_deeplab.errors import SourceError
from edge_deeplab.image import Rgb

# One picture that was garbled on the cable is no unplugged camera.
_READS_BEFORE_LOST = 3


class Reconnection:
    """The frames of a capture that is opened again whenever it breaks off.

    One thread iterates. ``stop`` may be called from any: it ends a wait at once, and never waits itself for a read
    that the driver holds up. The capture is then released by whoever has it last.

    Args:
        name: what to call it in messages.
        capture: opened already.
        reopen: opens it once more; ``isOpened()`` of the result says whether it is back.
        on_event: called with one line when it is lost, and with one when it is back.
        patience: seconds to wait for it before giving up; infinity: until ``stop``.
        pause: seconds between two tries to open it again.
    """

    def __init__(
        self,
        name: str,
        capture: cv2.VideoCapture,
        reopen: Callable[[], cv2.VideoCapture],
        on_event: Callable[[str], None],
        patience: float = math.inf,
        pause: float = 0.5,
    ) -> None:
        self._name = name
        self._capture = capture
        self._reopen = reopen
        self._on_event = on_event
        self._patience = patience
        self._pause = pause
        self._stopped = threading.Event()
        self._in_use = threading.Lock()  # held by whoever calls the capture

    def __iter__(self) -> Iterator[Rgb]:
        """Frames, RGB, uint8, HxWx3, each in an array of its own, until ``stop``.

        Raises:
            SourceError: the first frame never came, or the capture did not come back in time.
        """
        rgb = self._read()
        if rgb is None and not self._stopped.is_set():
            raise SourceError(
                f"{self._name} opens but gives no picture: close other programs that use it, or plug it in again"
            )
        while not self._stopped.is_set():
            if rgb is not None:
                yield rgb
            else:
                self._on_event(f"{self._name} was unplugged, or another program took it: waiting for it to come back")
                self._await()
            rgb = self._read()

    def stop(self) -> None:
        """End the iteration; the frame that is being read is not given."""
        self._stopped.set()
        self._release_if_stopped()

    def _read(self) -> Rgb | None:
        for _ in range(_READS_BEFORE_LOST):
            with self._in_use:
                rgb = None if self._stopped.is_set() else read_frame(self._capture)
            self._release_if_stopped()
            if rgb is not None or self._stopped.is_set():
                return rgb
        return None

    def _await(self) -> None:
        lost_at = time.monotonic()
        with self._in_use:
            self._capture.release()  # or the driver would keep its name for the one that is gone
        while not self._stopped.wait(self._pause):
            with self._in_use:
                self._capture = self._reopen()
                back = self._capture.isOpened()
            self._release_if_stopped()
            if back:
                self._on_event(f"{self._name} is back")
                return
            if time.monotonic() - lost_at >= self._patience:
                raise SourceError(
                    f"{self._name} gives no more frames, and did not come back within {self._patience:g} seconds: "
                    "it was unplugged, or another program took it"
                )

    def _release_if_stopped(self) -> None:
        # Whoever finds the lock taken leaves the release to the one who has it, who comes here next.
        if self._stopped.is_set() and self._in_use.acquire(blocking=False):
            try:
                self._capture.release()
            finally:
                self._in_use.release()
