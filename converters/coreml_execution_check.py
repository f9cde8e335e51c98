"""Does a written package compute what the network computes from the very weights that the package holds?

Against the checkpoint a package of few bits may be off by all that its weights lose, which is far more than a lost
bound of a rectifier or a resize of logits with its corners aligned does. Against the network with the same weights it
has no excuse.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from converters.check import made_pictures
from edge_deeplab.errors import ConversionError
from edge_deeplab.evaluation.tolerances import TOLERANCES
from edge_deeplab.runtime.session import Session
from edge_deeplab.spec import Format, Precision, Target

_FLOAT32, _FLOAT16 = (
    TOLERANCES[Target(Format.COREML, precision)] for precision in (Precision.FLOAT32, Precision.FLOAT16)
)


def check_execution(session: Session, network: nn.Module, *, integers: bool, rounding: float = 0.0) -> None:
    """Compare an opened package with the network that it holds, on made pictures.

    Args:
        session: the package, run in float32.
        network: images, float32, (1, 3, height, width), to probabilities, (1, classes, height, width).
        integers: activations are rounded on both sides: then a value may fall to the other side of a tie, and only the
            mean error is bounded, as float16's is; otherwise both errors are, as float32's.
        rounding: what the type of the output may add to each error: half a step.

    Raises:
        ConversionError: the package computes something else.
    """
    tolerance = _FLOAT16 if integers else _FLOAT32
    errors = []
    with torch.no_grad():
        for picture in made_pictures(session.height, session.width):
            image = torch.from_numpy(picture.astype(np.float32) / 255).permute(2, 0, 1)[None]
            errors.append(np.abs(session.run(picture) - network(image)[0].permute(1, 2, 0).numpy()))
    greatest, mean = float(np.max(errors)), float(np.mean(errors))
    bounds = [("mean", mean, tolerance.mean_error)]
    if not integers:
        bounds.append(("greatest", greatest, tolerance.max_error))
    for name, error, limit in bounds:
        assert limit.bound is not None
        if not error <= limit.bound + rounding:
            raise ConversionError(
                f"the package computes something else than the network with its own weights: {name} error of the "
                f"probability {error:.2g} on made pictures, at most {limit.bound + rounding:g} is allowed. Nothing was "
                "written"
            )
