"""One photo."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from demo_app.frame import Frame
from demo_app.nothing_to_close import NothingToClose
from demo_app.sources.source import ASSUMED_FPS
from demo_app.still.photo_file import read_photo
from edge_deeplab.errors import ImageError, SourceError


class PhotoSource(NothingToClose):
    """One photo, with what its file says of it."""

    fps = ASSUMED_FPS
    total = 1

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[Frame]:
        yield photo_frame(self._path)


def photo_frame(path: Path) -> Frame:
    """Read a photo, upright, with its metadata. Raises: SourceError: it cannot be read."""
    try:
        rgb, metadata = read_photo(path)
    except ImageError as error:
        raise SourceError(str(error)) from error
    except MemoryError as error:
        raise SourceError(f"there is too little memory for {path}: close other programs, or scale it down") from error
    return Frame(rgb, path.name, metadata=metadata)
