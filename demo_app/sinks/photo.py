"""One picture file."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from demo_app.frame import Frame
from edge_deeplab.image import write_image


class PhotoSink:
    """One picture file, in the format that its ending says."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, frame: Frame) -> None:
        write_image(self._path, frame.rgb)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None
