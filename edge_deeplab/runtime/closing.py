"""The context manager of what holds a file or a process open: every session is one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class ClosedOnExit(ABC):
    """Entering gives the object itself, leaving closes it."""

    @abstractmethod
    def close(self) -> None:
        """Free what is held. Calling it twice does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
