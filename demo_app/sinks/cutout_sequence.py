"""Numbered pictures with alpha."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np
from PIL import Image

from demo_app.frame import Frame
from demo_app.sinks.interruption import is_worth_keeping
from edge_deeplab.errors import OutputError
from edge_deeplab.files import new_folder, output_error

# Level 1 of PNG is a tenth larger than the usual 6, and several times as fast. WebP's "exact" keeps the colours where
# alpha is 0, which a compositor may still want at a soft edge.
_OPTIONS: dict[str, dict[str, Any]] = {
    ".png": {"format": "PNG", "compress_level": 1},
    ".webp": {"format": "WEBP", "lossless": True, "exact": True, "quality": 20, "method": 0},
}


class CutoutSequenceSink:
    """A new folder of pictures 000000.png, 000001.png, ...: the frame's colours and its alpha, to the bit.

    RGBA, uint8, alpha not multiplied into the colours. The folder gets its name at the end. Ctrl-C and a source that
    breaks keep what was written until then; any other error removes it.

    Args:
        folder: where they go; it must not be there yet, or be empty.
        suffix: ``.png`` or ``.webp``; both without loss.

    Raises:
        OutputError: another suffix; on entering: the folder is there already, or cannot be made; from ``write``: the
            frame has no alpha, the format cannot hold its size, or the disk is full; on leaving: no frame came.
    """

    def __init__(self, folder: Path, suffix: str = ".png") -> None:
        if suffix not in _OPTIONS:
            raise OutputError(f"cannot write a sequence of cut-outs as {suffix}: choose from {', '.join(_OPTIONS)}")
        self._folder = folder
        self._suffix = suffix
        self._stack = ExitStack()
        self._temporary = folder  # until it is entered
        self._rgba = np.empty((0, 0, 4), np.uint8)
        self._count = 0

    def write(self, frame: Frame) -> None:
        if frame.alpha is None:
            raise OutputError(
                f"{frame.name} is no cut-out, it has no alpha to write to {self._folder}: cut it out first"
            )
        height, width = frame.alpha.shape
        if self._rgba.shape[:2] != (height, width):
            self._rgba = np.empty((height, width, 4), np.uint8)
        cv2.mixChannels([frame.rgb, frame.alpha], [self._rgba], [0, 0, 1, 1, 2, 2, 3, 3])
        path = self._temporary / f"{self._count:06d}{self._suffix}"
        try:
            Image.fromarray(self._rgba).save(path, **_OPTIONS[self._suffix])
        except ValueError as error:  # WebP ends at 16,383 pixels a side
            raise OutputError(f"cannot write {width}x{height} pixels as {path.name} ({error}): use .png") from error
        except OSError as error:
            raise output_error(self._folder / path.name, error) from error
        self._count += 1

    def __enter__(self) -> Self:
        self._temporary = self._stack.enter_context(new_folder(self._folder))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:  # which renames the folder, or removes it on an error
            if not is_worth_keeping(self._count, error):
                raise error or OutputError(f"there is nothing to write to {self._folder}: no frame came")
