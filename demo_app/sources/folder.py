"""The photos of a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from demo_app.frame import Frame
from demo_app.nothing_to_close import NothingToClose
from demo_app.sources.photo import photo_frame
from demo_app.sources.source import ASSUMED_FPS
from edge_deeplab.errors import ImageError, SourceError
from edge_deeplab.image import list_images


class FolderSource(NothingToClose):
    """The photos directly in a folder, by name.

    Args:
        folder: where they are.
        on_bad: called with the error of each photo that cannot be read; the others still come.

    Raises:
        SourceError: no such folder, or no photo in it.
    """

    fps = ASSUMED_FPS

    def __init__(self, folder: Path, on_bad: Callable[[SourceError], None]) -> None:
        try:
            self._paths = list_images(folder)
        except ImageError as error:
            raise SourceError(str(error)) from error
        self._on_bad = on_bad

    @property
    def total(self) -> int:
        return len(self._paths)

    def __iter__(self) -> Iterator[Frame]:
        for path in self._paths:
            try:
                frame = photo_frame(path)
            except SourceError as error:
                self._on_bad(error)
            else:
                yield frame
