"""Numbers of a model file in words, the same in tables and on pages."""

from __future__ import annotations

from edge_deeplab.inspection.graph import Shape
from edge_deeplab.terminal import megabytes


def name_words(name: str) -> str:
    """A tensor's name; TensorFlow joins the names of all operators that it merged into one by semicolons."""
    first, *others = name.split(";")
    return f"{first} +{len(others)}" if others else first


def shape_words(shape: Shape | None) -> str:
    """ "1x256x256x3"; "unknown" where the file does not tell."""
    return "unknown" if shape is None else "x".join(map(str, shape)) or "one number"


def span_words(numbers: tuple[float, ...]) -> str:
    """One number, or the least and the greatest of several."""
    low, high = min(numbers), max(numbers)
    return f"{low:.5g}" if low == high else f"{low:.2g} .. {high:.2g}"


def size_words(size: int) -> str:
    """Bytes: "84 bytes", "12.3 kB", "3.21 MB"."""
    if size < 1000:
        return f"{size} bytes"
    return megabytes(size) if size >= 1e5 else f"{size / 1e3:.1f} kB"
