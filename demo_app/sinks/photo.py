"""One picture file."""

from __future__ import annotations

from pathlib import Path

from demo_app.frame import Frame
from demo_app.nothing_to_close import NothingToClose
from demo_app.still.photo_file import write_photo


class PhotoSink(NothingToClose):
    """One picture file, in the format that its ending says, with the metadata and the alpha of its frame.

    Raises:
        ImageError: from ``write``: the format cannot hold the picture, its metadata, or its alpha.
        OutputError: from ``write``: the place cannot be written to.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, frame: Frame) -> None:
        write_photo(self._path, frame.rgb, alpha=frame.alpha, metadata=frame.metadata)
