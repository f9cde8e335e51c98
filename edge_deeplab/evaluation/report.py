"""A parity report beside the files: JSON for programs, a picture for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.evaluation.drawing import LEGEND, Tile, difference, grey, sheet
from edge_deeplab.evaluation.metrics import agreement, class_map
from edge_deeplab.evaluation.parity import Contender, ParityReport
from edge_deeplab.evaluation.parity_images import ParityImages
from edge_deeplab.files import write_json
from edge_deeplab.image import Rgb, resize_area, write_image

_SIDE = 200


def parity_picture(
    report: ParityReport,
    reference: Contender,
    candidates: Sequence[Contender],
    images: ParityImages,
    *,
    count: int = 4,
) -> Rgb:
    """Draw a few pictures: photo, the reference's matte, each artifact's, and below them where the masks differ.

    The pictures are those on which some artifact agrees least, then the first ones.

    Args:
        report: what :func:`edge_deeplab.evaluation.parity.compare` gave for the same arguments.
        reference: the reference.
        candidates: the artifacts, in the order of the report's rows.
        images: the pictures, a few of which go through the sessions once more.
        count: how many pictures at most.

    Returns:
        RGB, uint8, HxWx3.
    """
    worst = [row.agreement.worst_index for row in report.rows]
    indices = list(dict.fromkeys([*worst, *range(min(count, len(images)))]))[:count]
    rows: list[list[Tile]] = []
    for index in indices:
        image = images[index]
        pixels = resize_area(image.rgb, reference.session.height, reference.session.width)
        expected = reference.session.run(pixels)
        mattes = [
            Tile(image.rgb, (image.id, "photo")),
            Tile(_matte(expected, image.rgb), (reference.name, "reference")),
        ]
        where = [
            Tile(None, ("where the masks differ:",)),
            Tile(_differences(pixels, expected, expected, image.rgb), ("the reference's mask",)),
        ]
        for candidate in candidates:
            output = candidate.session.run(pixels)
            share = agreement(class_map(output), class_map(expected))
            mattes.append(Tile(_matte(output, image.rgb), (candidate.name, str(candidate.target))))
            where.append(Tile(_differences(pixels, output, expected, image.rgb), (f"{share:.3%} agree",)))
        rows += [mattes, where]
    title = (f"Parity with {report.reference} on {report.images} images; here those that agree least", LEGEND)
    return sheet(rows, title=title, height=_SIDE, width=_SIDE)


def write_report(
    report: ParityReport,
    reference: Contender,
    candidates: Sequence[Contender],
    images: ParityImages,
    folder: Path,
) -> tuple[Path, Path]:
    """Write ``parity.json`` and ``parity.png`` into a folder, each whole or not at all.

    Args:
        report: what :func:`edge_deeplab.evaluation.parity.compare` gave for the same arguments.
        reference: as for :func:`parity_picture`.
        candidates: likewise.
        images: likewise.
        folder: where to; made if it is missing.

    Returns:
        the two paths.

    Raises:
        OutputError: the folder cannot be written to.
    """
    numbers, picture = folder / "parity.json", folder / "parity.png"
    write_json(numbers, report.to_dict())
    write_image(picture, parity_picture(report, reference, candidates, images))
    return numbers, picture


def _matte(probabilities: NDArray[np.float32], like: Rgb) -> Rgb:
    """A person's probability (with several classes: of anything but background) in grey, in the photo's shape."""
    values = probabilities[:, :, 0] if probabilities.shape[2] == 1 else 1 - probabilities[:, :, 0]
    return resize_area(grey(values), *like.shape[:2])


def _differences(pixels: Rgb, output: NDArray[np.float32], expected: NDArray[np.float32], like: Rgb) -> Rgb:
    painted = difference(resize_area(pixels, *expected.shape[:2]), class_map(output), class_map(expected))
    return resize_area(painted, *like.shape[:2])
