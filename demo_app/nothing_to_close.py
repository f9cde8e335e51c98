"""The context manager of a source or a sink that holds nothing open."""

from __future__ import annotations

from types import TracebackType
from typing import Self


class NothingToClose:
    """Entering gives the object itself, leaving does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None
