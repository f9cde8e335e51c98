"""The last thing that a converter does: open what it has written, and compare it with the checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_deeplab.errors import ConversionError
from edge_deeplab.evaluation.tolerances import TOLERANCES
from edge_deeplab.runtime.session import Session
from edge_deeplab.runtime.torch_session import TorchSession
from edge_deeplab.spec import Target


def check_against_checkpoint(session: Session, checkpoint: Path, target: Target, *, rounding: float = 0.0) -> None:
    """Compare an opened file with PyTorch on a few made pictures.

    This finds a converter's faults (a shifted resize, swapped channels, a lost activation) before the file gets its
    name; how good it is on photos is for parity to say.

    Args:
        session: the opened file.
        checkpoint: what it was made of.
        target: what it was made to.
        rounding: what the type of the output may add to each error: half a step.

    Raises:
        ConversionError: another size, other classes, or probabilities further off than ``target``'s tolerance for
            the greatest and for the mean error.
    """
    tolerance = TOLERANCES[target]
    with TorchSession(checkpoint) as reference:
        given = (session.height, session.width, session.classes)
        wanted = (reference.height, reference.width, reference.classes)
        if given != wanted:
            raise ConversionError(f"the converted {target} file has size and classes {given} instead of {wanted}")
        greatest, errors = 0.0, []
        for picture in made_pictures(reference.height, reference.width):
            expected, found = reference.run(picture), session.run(picture)
            if expected.shape != found.shape:
                raise ConversionError(
                    f"the converted {target} file gives a map of {found.shape} instead of {expected.shape}"
                )
            difference = np.abs(expected - found)
            greatest = max(greatest, float(difference.max()))
            errors.append(float(difference.mean()))
    for name, error, limit in (
        ("greatest", greatest, tolerance.max_error),
        ("mean", float(np.mean(errors)), tolerance.mean_error),
    ):
        if limit.bound is not None and not error <= limit.bound + rounding:
            raise ConversionError(
                f"the converted {target} file differs from PyTorch: {name} error of the probability {error:.2g} on "
                f"made pictures, at most {limit.bound + rounding:g} is allowed. Nothing was written"
            )


def made_pictures(height: int, width: int, count: int = 3) -> Sequence[NDArray[np.uint8]]:
    """Pictures with large shapes, edges and grain, RGB uint8 height x width x 3, the same ones at every call."""
    generator = np.random.default_rng(0)
    pictures = []
    for _ in range(count):
        coarse = generator.integers(0, 256, (5, 5, 3), dtype=np.uint8)
        picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        center = (int(generator.integers(width)), int(generator.integers(height)))
        colour = tuple(int(value) for value in generator.integers(0, 256, 3))
        cv2.circle(picture, center, min(height, width) // 3, colour, thickness=-1)
        grain = generator.normal(0, 4, picture.shape)
        pictures.append(np.clip(picture + grain, 0, 255).astype(np.uint8))
    return pictures
