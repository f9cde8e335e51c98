"""Pictures played as a film."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from demo_app.frame import Frame
from demo_app.nothing_to_close import NothingToClose
from demo_app.sources.source import ASSUMED_FPS
from demo_app.steady_size import check_size
from edge_deeplab.errors import ImageError, SourceError
from edge_deeplab.image import Rgb, list_images, read_rgb

_NUMBER = re.compile(r"%(?:0(\d+))?d")  # as printf and FFmpeg write it: %d, %05d


class ImageSequenceSource(NothingToClose):
    """Pictures of one size, played as a film; each frame has its file's name.

    Args:
        paths: the pictures in their order, one or more: :func:`numbered_pictures` or :func:`folder_as_film`.
        fps: frames a second to play them at.

    Attributes:
        size: (width, height) of all of them.

    Raises:
        SourceError: the first picture cannot be read; while they are read: another one cannot, or has another size.
    """

    def __init__(self, paths: Sequence[Path], fps: float = ASSUMED_FPS) -> None:
        self._paths = paths
        self.fps = fps
        height, width = _read(paths[0]).shape[:2]
        self.size = (width, height)

    @property
    def total(self) -> int:
        return len(self._paths)

    def __iter__(self) -> Iterator[Frame]:
        for path in self._paths:
            frame = Frame(_read(path), path.name)
            check_size(frame, *self.size)
            yield frame


def is_pattern(name: str) -> bool:
    """Whether a file's name is a pattern for numbered pictures."""
    return _NUMBER.search(name) is not None


def numbered_pictures(pattern: Path) -> list[Path]:
    """The pictures ``frames/%05d.jpg``, from the lowest number there is to the highest.

    Args:
        pattern: the file's name has one ``%d`` or ``%05d`` in it; a folder's name is taken as it stands.

    Raises:
        SourceError: no such picture, a gap in the numbers, or no or two places for a number in the name.
    """
    parts = _NUMBER.split(pattern.name)
    if len(parts) != 3:
        raise SourceError(f"{pattern} must have one place for a number in the file's name: for example %05d.jpg")
    before, digits, after = parts
    width = int(digits or 1)
    # A number longer than its place has no zero before it: 99999, 100000.
    name = re.compile(re.escape(before) + rf"(\d{{{width}}}|[1-9]\d{{{width},}})" + re.escape(after))
    found = {int(match[1]): path for path in _entries(pattern.parent) if (match := name.fullmatch(path.name))}
    if not found:
        raise SourceError(f"there is no picture {pattern}")
    first, last = min(found), max(found)
    gap = next((number for number in range(first, last) if number not in found), None)
    if gap is not None:
        missing = pattern.with_name(f"{before}{gap:0{width}d}{after}")
        raise SourceError(
            f"there is no picture {missing}, but some with a higher number: put it there, or renumber them"
        )
    return [found[number] for number in range(first, last + 1)]


def _entries(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise SourceError(f"there is no folder {folder}")
    return list(folder.iterdir())


def folder_as_film(folder: Path) -> list[Path]:
    """The pictures directly in a folder, by name, where 9.jpg comes before 10.jpg.

    Raises:
        SourceError: no such folder, or no picture in it.
    """
    try:
        paths = list_images(folder)
    except ImageError as error:
        raise SourceError(str(error)) from error
    return sorted(paths, key=lambda path: _natural(path.name))


def _natural(name: str) -> tuple[list[tuple[int, str]], str]:
    """A key that sorts runs of digits by their value; names with the same one (1.jpg, 01.jpg) by their letters."""
    runs = re.findall(r"\d+|\D+", name)
    return [(int(run), "") if run.isdecimal() and run.isascii() else (-1, run) for run in runs], name


def _read(path: Path) -> Rgb:
    try:
        return read_rgb(path)
    except ImageError as error:
        raise SourceError(str(error)) from error
