"""What a person keeps of the demo: recordings and snapshots, under names that overwrite nothing."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from demo_app.frame import Frame
from demo_app.pacing import ConstantRate
from demo_app.sinks.sink import Sink


class Recorder:
    """Records to one sink after the other. A context manager: leaving it finishes the file that is being written.

    What was recorded is kept whatever ends the demo, unless writing itself failed.

    Args:
        open_sink: path -> the sink of a recording.
        fps: frames a second of the recordings.
        in_real_time: frames are repeated or left out so that a recording lasts as long as it took; else each is
            written once.
    """

    def __init__(self, open_sink: Callable[[Path], Sink], fps: float, *, in_real_time: bool) -> None:
        self._open_sink = open_sink
        self._fps = fps
        self._in_real_time = in_real_time
        self._path: Path | None = None
        self._sink: Sink | None = None  # opened by the first frame, so that none leaves an empty file
        self._started = 0.0
        self._rate = ConstantRate(fps)
        self._count = 0

    @property
    def is_on(self) -> bool:
        return self._path is not None

    @property
    def seconds(self) -> float | None:
        """How long the running recording is; None: there is none."""
        return self._count / self._fps if self.is_on else None

    def start(self, path: Path) -> None:
        """Begin a recording with the next frame; one that runs is finished."""
        self.stop()
        self._path, self._count, self._rate = path, 0, ConstantRate(self._fps)

    def write(self, frame: Frame, now: float) -> None:
        """Record a frame that was shown at ``now`` seconds; nothing while no recording runs.

        Raises:
            OutputError: the place cannot be written to, or the disk is full.
        """
        if self._path is None:
            return
        if self._sink is None:
            self._sink = self._entered(self._path)
            self._started = now
        repeats = self._rate.repeats(now - self._started) if self._in_real_time else 1
        try:
            for _ in range(repeats):
                self._sink.write(frame)
        except BaseException as error:
            sink, self._sink, self._path = self._sink, None, None
            sink.__exit__(type(error), error, error.__traceback__)
            raise
        self._count += repeats

    def _entered(self, path: Path) -> Sink:
        try:
            return self._open_sink(path).__enter__()
        except BaseException:
            self._path = None  # nothing runs that would have to be finished
            raise

    def stop(self) -> Path | None:
        """Finish the running recording: its file, or None where not a frame was in it or none ran.

        Raises:
            OutputError: the disk is full.
        """
        path, sink, self._path, self._sink = self._path, self._sink, None, None
        if sink is None:
            return None
        sink.__exit__(None, None, None)
        return path

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def free_path(folder: Path, suffix: str, now: datetime.datetime | None = None) -> Path:
    """A name with date and counter that is not taken: ``portrait-20250131-174500-1.png``.

    Args:
        folder: where the file is to be.
        suffix: its ending, with the dot.
        now: the local time, if not the clock's.
    """
    stamp = (now or datetime.datetime.now()).strftime("%Y%m%d-%H%M%S")
    count = 1
    while (path := folder / f"portrait-{stamp}-{count}{suffix}").exists():
        count += 1
    return path
