"""Capture and inference, each on a thread of its own, in front of whoever composes and shows.

    source --capture thread--> mailbox --inference thread--> mailbox --> take()

With :class:`~demo_app.live.mailbox.Latest` as mailboxes nothing ever waits for a slower stage and latency stays short;
with :class:`~demo_app.live.mailbox.InOrder` every frame arrives, in order, and the same input gives the same output.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from demo_app.frame import Frame
from demo_app.live.mailbox import Ended, InOrder, Latest, Mailbox
from demo_app.matte import Alpha
from demo_app.pacing import in_real_time
from demo_app.sources.source import Source
from edge_deeplab.image import Rgb

# A network takes milliseconds and may be waited for; a camera that hangs in its driver may not: its thread is a daemon,
# so that the program ends without it.
_JOIN_SECONDS = 0.5


@dataclass(frozen=True)
class Captured:
    """A frame, and when it was there.

    Attributes:
        frame: as the source gave it.
        time: ``time.perf_counter()`` when it was read.
        seconds: of processor time that reading it took: waiting for a camera costs nothing.
    """

    frame: Frame
    time: float
    seconds: float


@dataclass(frozen=True)
class Matted:
    """A frame with its matte.

    Attributes:
        captured: the frame and its time.
        alpha: float32, HxW of any size, 0..1.
        by_network: the network has seen this very frame.
        seconds: that the matte took.
    """

    captured: Captured
    alpha: Alpha
    by_network: bool
    seconds: float


class Pipeline(AbstractContextManager["Pipeline"]):
    """Starts its two threads on entering, and ends them on leaving, within a second, also where the source hangs.

    Args:
        source: entered, read and left by the capture thread alone: a camera that is closed by one thread while another
            reads from it may crash.
        matting: frame -> (matte in an array of its own, whether the network ran); called by the inference thread alone.
        every_frame: no frame is dropped, and the source is read as fast as the frames are used.
        play_at: frames a second at which a source that would come faster (a file) is played; None: as it comes.
    """

    def __init__(
        self,
        source: Source,
        matting: Callable[[Rgb], tuple[Alpha, bool]],
        *,
        every_frame: bool = False,
        play_at: float | None = None,
    ) -> None:
        self._source = source
        self._matting = matting
        self._play_at = None if every_frame else play_at
        self._frames: Mailbox[Captured] = InOrder() if every_frame else Latest()
        self._mattes: Mailbox[Matted] = InOrder() if every_frame else Latest()
        self._stop = threading.Event()
        self._captured = 0
        self._threads = [
            threading.Thread(target=work, name=f"edge-deeplab {work.__name__.strip('_')}", daemon=True)
            for work in (self._capture, self._infer)
        ]

    @property
    def captured(self) -> int:
        """Frames that the source gave. After leaving: those taken and those dropped together."""
        return self._captured

    @property
    def dropped(self) -> int:
        """Frames that were never taken, because a newer one was there or the end came before."""
        return self._frames.dropped + self._mattes.dropped

    def take(self, timeout: float | None = None) -> Matted | None:
        """The next frame with its matte, or None after ``timeout`` seconds without one.

        Raises:
            Ended: the source ended, and this was all.
            SourceError: the source broke; everything before was taken.
            BaseException: what else happened in a thread.
        """
        return self._mattes.take(timeout)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._mattes.abandon()
        self._frames.abandon()
        for thread in self._threads:
            thread.join(_JOIN_SECONDS)

    def _capture(self) -> None:
        try:
            with self._source as source:
                for captured in self._at_pace(_timed(source)):
                    self._captured += 1
                    if not self._frames.put(captured):
                        return
        except BaseException as error:  # whatever it is, the main thread raises it
            self._frames.close(error)
        else:
            self._frames.close()

    def _at_pace(self, frames: Iterable[tuple[Frame, float]]) -> Iterator[Captured]:
        if self._play_at is not None:
            frames = in_real_time(frames, self._play_at, sleep=self._sleep)
        for frame, seconds in frames:
            yield Captured(frame, time.perf_counter(), seconds)

    def _sleep(self, seconds: float) -> None:
        self._stop.wait(seconds)

    def _infer(self) -> None:
        try:
            while (captured := self._frames.take()) is not None:
                start = time.perf_counter()
                alpha, by_network = self._matting(captured.frame.rgb)
                if not self._mattes.put(Matted(captured, alpha, by_network, time.perf_counter() - start)):
                    return
        except Ended:
            self._mattes.close()
        except BaseException as error:  # as above; the capture thread's come this way, too
            self._mattes.close(error)
        finally:
            self._frames.abandon()


def _timed(source: Source) -> Iterator[tuple[Frame, float]]:
    frames = iter(source)
    while True:
        start = time.thread_time()
        frame = next(frames, None)
        if frame is None:
            return
        yield frame, time.thread_time() - start
