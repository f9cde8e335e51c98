"""A few pictures of a comparison to look at, with what every model made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.evaluation.parity import Contender, ParityReport
from edge_deeplab.evaluation.parity_images import ParityImage, ParityImages
from edge_deeplab.image import Rgb, resize_area

_WORST, _SPREAD = 12, 3


@dataclass(frozen=True, eq=False)
class Exhibit:
    """A picture and what every model made of it.

    Attributes:
        image: the picture.
        pixels: what the models saw of it, RGB, uint8, at the network's size.
        expected: the reference's probabilities, float32, (rows, columns, classes).
        outputs: each artifact's, in the order of the report's rows.
    """

    image: ParityImage
    pixels: Rgb
    expected: NDArray[np.float32]
    outputs: tuple[NDArray[np.float32], ...]


def exhibits(
    report: ParityReport, reference: Contender, candidates: Sequence[Contender], images: ParityImages
) -> tuple[Exhibit, ...]:
    """Run a few pictures through all models once more, and keep what they give.

    They are those on which some artifact agrees least with the reference, the worst first, at most twelve; then three
    spread over all of them, which show how it looks where nothing is wrong.

    Args:
        report: what :func:`edge_deeplab.evaluation.parity.compare` gave for the same arguments.
        reference: the reference.
        candidates: the artifacts, in the order of the report's rows.
        images: the pictures.
    """
    return tuple(_exhibit(images[index], reference, candidates) for index in _chosen(report))


def _chosen(report: ParityReport) -> list[int]:
    apart = sorted(
        (row.agreement for row in report.rows if row.agreement.worst_agreement < 1),
        key=lambda agreement: (agreement.worst_agreement, agreement.worst_index),
    )
    worst = list(dict.fromkeys(agreement.worst_index for agreement in apart))[:_WORST]
    spread = [(2 * place + 1) * report.images // (2 * _SPREAD) for place in range(_SPREAD)]
    return list(dict.fromkeys([*worst, *spread]))


def _exhibit(image: ParityImage, reference: Contender, candidates: Sequence[Contender]) -> Exhibit:
    pixels = resize_area(image.rgb, reference.session.height, reference.session.width)
    return Exhibit(
        image=image,
        pixels=pixels,
        expected=reference.session.run(pixels),
        outputs=tuple(candidate.session.run(pixels) for candidate in candidates),
    )
