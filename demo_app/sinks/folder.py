"""A folder of pictures."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from demo_app.frame import Frame
from edge_deeplab.files import make_folder
from edge_deeplab.image import write_image


class FolderSink:
    """A folder, made if need be, that gets a picture for each frame under the frame's name.

    Raises:
        OutputError: it cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = make_folder(folder)

    def write(self, frame: Frame) -> None:
        write_image(self._folder / frame.name, frame.rgb)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None
