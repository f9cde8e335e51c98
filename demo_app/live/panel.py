"""Text on a dark, translucent panel: readable over any picture. Set once, and laid over frames for next to nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from demo_app.live.view import Bgr

Colour = tuple[int, int, int]
Mask = NDArray[np.uint8]

# BGR. The back hides this share of 255 of what is below.
_BACK: Colour = (22, 18, 16)
_BACK_ALPHA = 190
_TEXT: Colour = (245, 242, 240)
_NAME: Colour = (255, 205, 150)
_TITLE: Colour = (255, 255, 255)
_RECORD: Colour = (60, 70, 255)

# Drawn this many times as large and averaged: Pillow sets small type on whole pixels, with gaps between the letters.
_FINE = 4

# Letters reach out of their advance by less than this, in pixels of the panel.
_OVERHANG = 2


@dataclass(frozen=True)
class Panel:
    """A picture with alpha, ready to be laid over a frame.

    Attributes:
        light: BGR, uint8, HxWx3, multiplied by its alpha.
        keep: uint8, HxWx3: what the picture below keeps of itself, of 255.
    """

    light: Bgr
    keep: NDArray[np.uint8]

    def lay_over(self, picture: Bgr, *, right: bool = False, bottom: bool = False, margin: int = 0) -> None:
        """Lay it over a corner of a picture, BGR, uint8, HxWx3, in place; what would be outside is left out."""
        rows, columns = min(len(self.light), len(picture)), min(self.light.shape[1], picture.shape[1])
        height, width = picture.shape[:2]
        top = max(0, min(height - rows, height - rows - margin if bottom else margin))
        left = max(0, min(width - columns, width - columns - margin if right else margin))
        below = picture[top : top + rows, left : left + columns]
        cv2.multiply(below, self.keep[:rows, :columns], dst=below, scale=1.0 / 255.0)
        cv2.add(below, self.light[:rows, :columns], dst=below)


def text_size(height: int) -> int:
    """The type size in pixels that is well read on a picture of this many rows."""
    return max(12, round(height / 36))


def table_panel(title: str, rows: Sequence[tuple[str, str]], size: int) -> Panel:
    """A title over rows of a name and what is to be said of it.

    Args:
        title: the first line; empty for none.
        rows: (name, text).
        size: of the type, in pixels.
    """
    head = [_line(title, size)] if title else []
    names, texts = ([_line(text, size) for text in column] for column in zip(*rows, strict=True)) if rows else ([], [])
    margin, step = round(0.9 * size), _step(size)
    second = max((name.shape[1] for name in names), default=0) + size
    width = max([second + text.shape[1] for text in texts] + [line.shape[1] for line in head], default=0)
    panel = _blank(width + 2 * margin, (len(rows) + len(head)) * step + round(1.1 * size), size)
    top = round(0.55 * size)
    for line in head:
        _paint(panel, line, top, margin, _TITLE)
    for row, (name, text) in enumerate(zip(names, texts, strict=True), len(head)):
        _paint(panel, name, top + row * step, margin, _NAME)
        _paint(panel, text, top + row * step, margin + second, _TEXT)
    return panel


def line_panel(text: str, size: int, *, red_dot: bool = False) -> Panel:
    """One line of text, after the dot of a running recording where it is wanted.

    Args:
        text: the line.
        size: of the type, in pixels.
        red_dot: whether there is one.
    """
    line = _line(text, size)
    margin, dot = round(0.7 * size), round(0.7 * size) if red_dot else 0
    left = margin + round(1.7 * dot)
    panel = _blank(left + line.shape[1] + margin, round(2.1 * size), size)
    if red_dot:
        _paint(panel, _disc(dot), (len(panel.keep) - dot) // 2, margin, _RECORD)
    _paint(panel, line, (len(panel.keep) - len(line)) // 2, left, _TEXT)
    return panel


def _blank(width: int, height: int, size: int) -> Panel:
    """A panel with nothing on it, its corners round."""
    radius = max(1, size // 2)
    disc = _disc(2 * radius)
    for axis, side in enumerate((height, width)):
        repeats = np.ones(2 * radius, np.intp)
        repeats[radius] += side - 2 * radius
        disc = np.repeat(disc, repeats, axis=axis)
    cover = _thrice(cv2.convertScaleAbs(disc, alpha=_BACK_ALPHA / 255.0))  # type: ignore[arg-type]
    return Panel(_dyed(cover, _BACK), ~cover)


def _disc(diameter: int) -> Mask:
    """How much of each pixel a disc covers, uint8, 0..255, diameter x diameter."""
    beside = np.arange(diameter) + 0.5 - diameter / 2
    inside = diameter / 2 - np.hypot(beside[:, None], beside[None, :])
    mask: Mask = np.rint(255.0 * np.clip(inside + 0.5, 0.0, 1.0)).astype(np.uint8)
    return mask


def _paint(panel: Panel, mask: Mask, top: int, left: int, colour: Colour) -> None:
    """Lay a colour over a panel, as much of it as the mask says (255: nothing else)."""
    place = np.s_[top : top + mask.shape[0], left : left + mask.shape[1]]
    ink = _thrice(mask)
    for layer in (panel.light[place], panel.keep[place]):
        cv2.multiply(layer, ~ink, dst=layer, scale=1.0 / 255.0)
    cv2.add(panel.light[place], _dyed(ink, colour), dst=panel.light[place])


def _thrice(mask: Mask) -> Mask:
    return cv2.cvtColor(mask, cv2.COLOR_GRAY2BGR)  # type: ignore[return-value]


def _dyed(cover: Mask, colour: Colour) -> Bgr:
    """A colour times a cover, uint8, HxWx3 both."""
    table = np.rint(np.outer(np.arange(256) / 255.0, colour)).astype(np.uint8)
    return cv2.LUT(cover, table[None])  # type: ignore[return-value]


def _step(size: int) -> int:
    """Rows from one line to the next."""
    return math.ceil(1.45 * size)


def _line(text: str, size: int) -> Mask:
    """How much of each pixel a line of text covers, uint8, HxW."""
    words = [_word(word, size) for word in text.split(" ")]
    gap = _font(size).getlength(" ") / _FINE
    starts = np.cumsum([0.0] + [advance + gap for _, advance in words])
    line = np.zeros((_step(size), math.ceil(starts[-1] - gap) + 2 * _OVERHANG + 1), np.uint8)
    for (mask, _), start in zip(words, starts, strict=False):
        place = line[:, round(start) : round(start) + mask.shape[1]]
        np.maximum(place, mask, out=place)
    return line[:, _OVERHANG:]


@lru_cache(maxsize=1024)
def _word(word: str, size: int) -> tuple[Mask, float]:
    """A word's mask, :data:`_OVERHANG` pixels before its start and behind its end included, and its advance in pixels.

    Kept: setting a line costs a millisecond or two, and of the statistics only a few numbers are new every time.
    """
    font = _font(size)
    advance = font.getlength(word) / _FINE
    columns, rows = math.ceil(advance) + 2 * _OVERHANG, _step(size)
    fine = Image.new("L", (_FINE * columns, _FINE * rows))
    ImageDraw.Draw(fine).text((_FINE * _OVERHANG, _FINE * rows / 2), word, 255, font, anchor="lm")
    return np.asarray(fine.reduce(_FINE)), advance


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(_FINE * size)  # type: ignore[return-value]
