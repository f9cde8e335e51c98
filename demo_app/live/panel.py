"""Text on a dark, translucent panel: readable over any picture. Set once, and laid over frames for next to nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from demo_app.live.view import Bgr

_BACK, _TEXT, _NAME, _TITLE = (16, 18, 22, 190), (240, 242, 245, 255), (150, 205, 255, 255), (255, 255, 255, 255)
_RECORD = (255, 70, 60, 255)

# Drawn this many times as large and averaged: Pillow sets small type on whole pixels, with gaps between the letters.
_FINE = 4


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
    em = _FINE * size
    font = ImageFont.load_default(em)
    step, margin = 1.45 * em, 0.9 * em
    first = max((font.getlength(name) for name, _ in rows), default=0.0)
    second = max((font.getlength(text) for _, text in rows), default=0.0)
    width = max(first + em + second, font.getlength(title)) + 2 * margin
    image, draw = _blank(width, (len(rows) + bool(title)) * step + 1.2 * margin, em)
    middle = 0.6 * margin + step / 2
    if title:
        draw.text((margin, middle), title, _TITLE, font, anchor="lm")
        middle += step
    for name, text in rows:
        draw.text((margin, middle), name, _NAME, font, anchor="lm")
        draw.text((margin + first + em, middle), text, _TEXT, font, anchor="lm")
        middle += step
    return _panel(image)


def line_panel(text: str, size: int, *, red_dot: bool = False) -> Panel:
    """One line of text, after the dot of a running recording where it is wanted.

    Args:
        text: the line.
        size: of the type, in pixels.
        red_dot: whether there is one.
    """
    em = _FINE * size
    font = ImageFont.load_default(em)
    margin, dot = 0.7 * em, 0.7 * em if red_dot else 0.0
    image, draw = _blank(font.getlength(text) + 2 * margin + 1.7 * dot, 2.1 * em, em)
    middle = image.height / 2
    if red_dot:
        draw.ellipse((margin, middle - dot / 2, margin + dot, middle + dot / 2), fill=_RECORD)
    draw.text((margin + 1.7 * dot, middle), text, _TEXT, font, anchor="lm")
    return _panel(image)


def _blank(width: float, height: float, em: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    columns, rows = (_FINE * math.ceil(side / _FINE) for side in (width, height))
    image = Image.new("RGBA", (columns, rows), (*_BACK[:3], 0))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((0, 0, columns - 1, rows - 1), radius=em // 2, fill=_BACK)
    return image, draw


def _panel(fine: Image.Image) -> Panel:
    pixels = np.asarray(fine.reduce(_FINE)).astype(np.uint16)
    alpha = pixels[:, :, 3:]
    light = np.ascontiguousarray((pixels[:, :, 2::-1] * alpha // 255).astype(np.uint8))
    return Panel(light, np.repeat((255 - alpha).astype(np.uint8), 3, axis=2))
