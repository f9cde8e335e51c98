"""Several classes in one picture: Pascal VOC's colours, over the photo."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.evaluation.labels import ClassMap
from edge_deeplab.image import Rgb

_INDICES = 256
_SHARE = 0.6  # of the colour; the rest is the photo


@cache
def voc_colours() -> NDArray[np.uint8]:
    """The colour of each class index, RGB, uint8, 256x3: 0 is black, 255 (to be ignored) nearly white.

    Pascal VOC's own (VOCcode/VOClabelcolormap.m of the development kit): the index's bits 0, 1, 2 are the highest bits
    of red, green and blue, bits 3, 4, 5 the next ones, and so on.
    """
    index, colours = np.arange(_INDICES), np.zeros((_INDICES, 3), np.int64)
    for place in range(8):
        for channel in range(3):
            colours[:, channel] |= (index >> (3 * place + channel) & 1) << (7 - place)
    return colours.astype(np.uint8)


def overlay(rgb: Rgb, classes: ClassMap) -> Rgb:
    """The classes in their colours over a photo; where the background is, the photo is dimmed.

    Args:
        rgb: RGB, uint8, HxWx3.
        classes: uint8, HxW.
    """
    colours = voc_colours()[classes].astype(np.float32)
    mixed = np.where((classes == 0)[:, :, None], rgb / 3, rgb * (1 - _SHARE) + colours * _SHARE)
    painted: Rgb = np.rint(mixed).astype(np.uint8)
    return painted


def names_in(classes: ClassMap, names: tuple[str, ...]) -> str:
    """The names of the classes in a map but the background's, the largest first, with commas between."""
    counts = np.bincount(classes.ravel(), minlength=_INDICES)[: len(names)]
    found = [index for index in np.argsort(-counts, kind="stable") if counts[index] and index]
    return ", ".join(names[index] for index in found)
