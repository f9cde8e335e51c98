"""Pictures of masks, for people: tiles in rows with words above them. RGB, uint8, HxWx3 throughout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from edge_deeplab.data.sample import IGNORE
from edge_deeplab.evaluation.labels import ClassMap
from edge_deeplab.image import Rgb, resize_area

# Okabe and Ito's colours (2008, "Color Universal Design"), told apart by people with any kind of colour vision.
MISSED = (230, 159, 0)
"""Orange: a person (or class) that the prediction left out or called something else."""
EXTRA = (0, 114, 178)
"""Blue: background that the prediction called a person."""

LEGEND = "orange: a person missed    blue: background called a person    bright: agreed"

_PAPER = (24, 24, 26)
_INK = (235, 235, 235)
_GAP = 6
_LINE = 16


@dataclass(frozen=True)
class Tile:
    """A picture with lines of text above it.

    Attributes:
        rgb: RGB, uint8, HxWx3; None leaves the place empty.
        caption: the lines; all tiles of a sheet get the height of the longest caption.
    """

    rgb: Rgb | None
    caption: tuple[str, ...] = ()


def difference(rgb: Rgb, predicted: ClassMap, truth: ClassMap) -> Rgb:
    """Paint over a photo where two class maps differ.

    What both call background is dimmed, what both call a person stays bright; see MISSED and EXTRA for the rest.
    Ignored pixels are dimmed.

    Args:
        rgb: RGB, uint8, HxWx3.
        predicted: uint8, HxW.
        truth: uint8, HxW.
    """
    counted = truth != IGNORE
    differs = counted & (predicted != truth)
    agreed = counted & ~differs & (truth > 0)
    painted = np.where(agreed[:, :, None], rgb, rgb // 3).astype(np.uint8)
    for where, colour in ((differs & (truth > 0), MISSED), (differs & (truth == 0), EXTRA)):
        painted[where] = (painted[where] // 4 + np.array(colour, dtype=np.uint8) // 4 * 3).astype(np.uint8)
    return painted


def grey(values: NDArray[np.float32]) -> Rgb:
    """A map of values in [0, 1], float32, HxW, in grey: RGB, uint8, HxWx3."""
    levels = np.rint(np.clip(values, 0.0, 1.0) * 255).astype(np.uint8)
    return np.repeat(levels[:, :, None], 3, axis=2)


def sheet(rows: Sequence[Sequence[Tile]], *, title: Sequence[str], height: int, width: int) -> Rgb:
    """Lay tiles out in rows on dark paper, each fitted into a box without changing its shape.

    Args:
        rows: tiles from left to right; rows may differ in length.
        title: lines at the top.
        height: of a box, in pixels, without the caption.
        width: of a box, in pixels; captions are cut off at it.

    Raises:
        ValueError: no tiles.
    """
    columns = max((len(row) for row in rows), default=0)
    if not columns:
        raise ValueError("a sheet needs at least one tile")
    fitted = [[(_fit(tile.rgb, height, width), tile.caption) for tile in row] for row in rows]
    captions = [max(len(caption) for _, caption in row) * _LINE for row in fitted]
    heights = [max(rgb.shape[0] for rgb, _ in row) for row in fitted]
    top = len(title) * (_LINE + 4) + 2 * _GAP
    size = (columns * (width + _GAP) + _GAP, top + sum(captions) + sum(heights) + 2 * _GAP * len(rows))
    paper = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(paper)
    for line, text in enumerate(title):
        draw.text((_GAP, _GAP + line * (_LINE + 4)), text, fill=_INK, font=_font(15))
    y = top
    for row, above, below in zip(fitted, captions, heights, strict=True):
        for column, (rgb, caption) in enumerate(row):
            x = _GAP + column * (width + _GAP)
            for line, text in enumerate(caption):
                draw.text((x, y + line * _LINE), _shorten(text, width), fill=_INK, font=_font(12))
            paper.paste(Image.fromarray(rgb), (x, y + above))
        y += above + below + 2 * _GAP
    return np.array(paper, dtype=np.uint8)


def _fit(rgb: Rgb | None, height: int, width: int) -> Rgb:
    if rgb is None:
        return np.full((1, 1, 3), _PAPER, dtype=np.uint8)
    rows, columns = rgb.shape[:2]
    scale = min(height / rows, width / columns)
    return resize_area(np.ascontiguousarray(rgb), max(1, round(rows * scale)), max(1, round(columns * scale)))


def _shorten(text: str, width: int) -> str:
    font = _font(12)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
