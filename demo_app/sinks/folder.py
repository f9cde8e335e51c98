"""A folder of pictures."""

from __future__ import annotations

from pathlib import Path

from demo_app.frame import Frame
from demo_app.nothing_to_close import NothingToClose
from demo_app.still.photo_file import holds_alpha, write_photo
from edge_deeplab.files import make_folder


class FolderSink(NothingToClose):
    """A folder, made if need be, that gets a picture for each frame under the frame's name.

    A cut-out whose name belongs to a format without alpha, ``a.jpg``, becomes ``a.jpg.png``.

    Raises:
        OutputError: it cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = make_folder(folder)

    def write(self, frame: Frame) -> None:
        path = self._folder / frame.name
        if frame.alpha is not None and not holds_alpha(path):
            path = path.with_name(f"{frame.name}.png")  # the old ending stays: a.jpg and a.png may be beside each other
        write_photo(path, frame.rgb, alpha=frame.alpha, metadata=frame.metadata)
