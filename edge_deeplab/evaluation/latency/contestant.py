"""The parent's side of a model file in a process of its own."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from signal import Signals
from typing import Any

from edge_deeplab.data.bundled import bundled_portrait
from edge_deeplab.errors import ModelFileError
from edge_deeplab.evaluation.latency.clock import Timing
from edge_deeplab.evaluation.latency.worker import Broken, Opened, Question, Refused, serve
from edge_deeplab.image import resize_area
from edge_deeplab.runtime.closing import ClosedOnExit
from edge_deeplab.runtime.foreign.adaptation import Overrides

_PATIENCE = 5.0  # seconds in which a process that was told to end must do so


class Contestant(ClosedOnExit):
    """An opened model file that runs on the bundled portrait, resized to its input. A context manager.

    Attributes:
        path: the file.
        name: what it is called in the report.
        runtime: who executes it, with version.
        height: rows of its input.
        width: columns of its input.
        reasons: of a model from elsewhere, how it is fed and read, as phrases; else empty.
    """

    def __init__(self, path: Path, *, name: str, threads: int, overrides: Overrides | None = None) -> None:
        """Start the process and open the file there.

        Args:
            path: as for :func:`~edge_deeplab.runtime.opening.open_any_session`.
            name: what it is called in the report.
            threads: to run with; of the file's runtime and of what stands around it.
            overrides: what is known of a file from elsewhere.

        Raises:
            ModelFileError: the file cannot be opened, or its runtime crashes on it.
        """
        self.path, self.name = path, name
        # Not fork: a runtime that this process has loaded may hold locks, and its memory would be counted.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, threads), daemon=True)
        self._process.start()
        theirs.close()  # only the child has it now: when it dies, recv says so
        try:
            opened: Opened = self._ask((path, overrides))
            self._connection.send(resize_area(bundled_portrait(), opened.height, opened.width))
        except BaseException:
            self.close()
            raise
        self.runtime, self.reasons = opened.runtime, opened.reasons
        self.height, self.width = opened.height, opened.width

    def run(self) -> Timing:
        """Run the file once, from the pixels to the probabilities; seconds.

        Raises:
            ModelFileError: its runtime crashes, or what it gives is none of its kind.
        """
        timing: Timing = self._ask(Question.RUN)
        return timing

    def memory(self) -> int | None:
        """Bytes that the process held at most above the bare runtime since it opened the file; None: not known."""
        peak: int | None = self._ask(Question.MEMORY)
        return peak

    def _ask(self, question: object) -> Any:
        try:
            self._connection.send(question)
            answer = self._connection.recv()
        except (EOFError, OSError) as error:
            self._process.join(_PATIENCE)
            code = self._process.exitcode
            how = Signals(-code).name if code is not None and code < 0 else f"exit status {code}"
            raise ModelFileError(
                f"{self.path} cannot be run: the process in which its runtime opened it has died ({how})"
            ) from error
        match answer:
            case Refused(reason):
                raise ModelFileError(reason)
            case Broken(trace):
                raise RuntimeError(f"{self.path}: {trace}")
        return answer

    def close(self) -> None:
        """End the process. Calling it twice does nothing."""
        self._connection.close()
        self._process.join(_PATIENCE)
        if self._process.is_alive():  # in the middle of a long run
            self._process.kill()
            self._process.join()
