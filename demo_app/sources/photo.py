"""One photo."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from demo_app.frame import Frame
from demo_app.sources.source import ASSUMED_FPS
from edge_deeplab.errors import ImageError, SourceError
from edge_deeplab.image import Rgb, read_rgb


class PhotoSource:
    """One photo."""

    fps = ASSUMED_FPS
    total = 1

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[Frame]:
        yield Frame(read_photo(self._path), self._path.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


def read_photo(path: Path) -> Rgb:
    """Read a photo as RGB, uint8, HxWx3, upright. Raises: SourceError: it cannot be read."""
    try:
        return read_rgb(path)
    except ImageError as error:
        raise SourceError(str(error)) from error
