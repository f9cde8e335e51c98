"""A parity report beside the files: JSON for programs, a picture and a page for people."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.evaluation.drawing import LEGEND, Tile, difference, grey, sheet
from edge_deeplab.evaluation.exhibits import Exhibit
from edge_deeplab.evaluation.metrics import agreement, class_map
from edge_deeplab.evaluation.page import parity_page
from edge_deeplab.evaluation.parity import ParityReport
from edge_deeplab.files import write_bytes, write_json
from edge_deeplab.image import Rgb, resize_area, write_image
from edge_deeplab.runtime.versions import versions

NUMBERS, PICTURE, PAGE = "parity.json", "parity.png", "parity.html"
_SIDE = 200


def parity_picture(report: ParityReport, exhibits: Sequence[Exhibit], *, count: int = 4) -> Rgb:
    """Draw a few pictures: photo, the reference's matte, each artifact's, and below them where the masks differ.

    Args:
        report: the comparison.
        exhibits: its pictures (:func:`edge_deeplab.evaluation.exhibits.exhibits`); the first ones are drawn.
        count: how many pictures at most.

    Returns:
        RGB, uint8, HxWx3.
    """
    rows: list[list[Tile]] = []
    for shown in exhibits[:count]:
        rgb, expected = shown.image.rgb, shown.expected
        mattes = [
            Tile(rgb, (shown.image.id, "photo")),
            Tile(_matte(expected, rgb), (report.reference, "reference")),
        ]
        where = [
            Tile(None, ("where the masks differ:",)),
            Tile(_differences(shown.pixels, expected, expected, rgb), ("the reference's mask",)),
        ]
        for row, output in zip(report.rows, shown.outputs, strict=True):
            share = agreement(class_map(output), class_map(expected))
            mattes.append(Tile(_matte(output, rgb), (row.name, str(row.target))))
            where.append(Tile(_differences(shown.pixels, output, expected, rgb), (f"{share:.3%} agree",)))
        rows += [mattes, where]
    title = (f"Parity with {report.reference} on {report.images} images; here those that agree least", LEGEND)
    return sheet(rows, title=title, height=_SIDE, width=_SIDE)


def write_report(report: ParityReport, exhibits: Sequence[Exhibit], folder: Path) -> tuple[Path, Path, Path]:
    """Write ``parity.json``, ``parity.png`` and ``parity.html`` into a folder, each whole or not at all.

    The page bears the day; the other two are the same bytes for the same comparison.

    Args:
        report: the comparison.
        exhibits: its pictures.
        folder: where to; made if it is missing.

    Returns:
        the three paths.

    Raises:
        OutputError: the folder cannot be written to.
        MissingExtraError: jinja2 is not installed.
    """
    numbers, picture, page = folder / NUMBERS, folder / PICTURE, folder / PAGE
    today = datetime.datetime.now(datetime.UTC).date()
    html = parity_page(report, exhibits, day=today, versions=versions("numpy", "opencv-python", "pillow"))
    write_json(numbers, report.to_dict())
    write_image(picture, parity_picture(report, exhibits))
    write_bytes(page, html.encode())
    return numbers, picture, page


def _matte(probabilities: NDArray[np.float32], like: Rgb) -> Rgb:
    """A person's probability (with several classes: of anything but background) in grey, in the photo's shape."""
    values = probabilities[:, :, 0] if probabilities.shape[2] == 1 else 1 - probabilities[:, :, 0]
    return resize_area(grey(values), *like.shape[:2])


def _differences(pixels: Rgb, output: NDArray[np.float32], expected: NDArray[np.float32], like: Rgb) -> Rgb:
    painted = difference(resize_area(pixels, *expected.shape[:2]), class_map(output), class_map(expected))
    return resize_area(painted, *like.shape[:2])
