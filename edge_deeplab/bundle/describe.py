"""From a converted file to its part of the contract: read from the file, held against its sidecar."""

from __future__ import annotations

from pathlib import Path

from edge_deeplab.artifact import Artifact
from edge_deeplab.bundle.contract import Filter, Input, Model, Output, Resize, Tolerance
from edge_deeplab.bundle.ends import Ends
from edge_deeplab.errors import ModelFileError, SpecError
from edge_deeplab.evaluation.metrics import THRESHOLD
from edge_deeplab.evaluation.tolerances import TOLERANCES
from edge_deeplab.files import size
from edge_deeplab.spec import PERSON, Format, Precision, Target

_IN = Resize(Filter.AREA, Filter.BILINEAR, pixel_centres=True)  # edge_deeplab.image.resize_area
_OUT = Resize(Filter.BILINEAR, Filter.BILINEAR, pixel_centres=True)  # edge_deeplab.image.resize_map

HALF_STEP = 0.5 / 255
"""What a golden mask of 8 bits may itself be off by."""

FORMATS = (Format.TFLITE, Format.COREML)
"""Whose files an app takes."""


def read_ends(artifact: Artifact) -> Ends:
    """Read the two ends of a converted file, and hold them against its sidecar.

    Raises:
        ModelFileError: the file is not of the contract, or its sidecar says something else than it does.
        MissingExtraError: coremltools is not installed, and it is a Core ML package.
    """
    path, spec = artifact.path, artifact.spec
    try:
        if artifact.target.format is Format.COREML:
            from edge_deeplab.bundle.coreml import coreml_ends

            ends = coreml_ends(path)
        else:
            from edge_deeplab.bundle.tflite import tflite_ends

            ends = tflite_ends(path)
    except SpecError as error:
        raise ModelFileError(f"{path} does not fit into a bundle: {error}") from error
    artifact.require_shape(ends.source.height, ends.source.width, ends.result.channels)
    if PERSON not in spec.classes:
        raise ModelFileError(f"{path} knows no {PERSON}, only: {', '.join(spec.classes)}")
    return ends


def describe(artifact: Artifact, bundle: Path, runtime: str) -> Model:
    """Describe a file of a bundle.

    Args:
        artifact: the file, somewhere below ``bundle``; its sidecar gives the labels.
        bundle: the folder.
        runtime: who executed it for the golden masks.

    Raises:
        ModelFileError, MissingExtraError: as :func:`read_ends`.
    """
    ends, labels = read_ends(artifact), artifact.spec.classes
    return Model(
        path=artifact.path.relative_to(bundle).as_posix(),
        sha256=artifact.sha256,
        bytes=size(artifact.path),
        target=str(artifact.target),
        checkpoint_sha256=artifact.checkpoint_sha256,
        clients=ends.clients,
        system=ends.system,
        input=Input(ends.source, ends.colour_order, black=0.0, white=1.0, resize=_IN),
        output=Output(ends.result, ends.activation, labels, labels.index(PERSON), THRESHOLD, _OUT),
        tolerance=_tolerance(artifact.target),
        runtime=runtime,
    )


def own_resize_tolerance() -> Tolerance:
    """What is demanded where an app resizes by itself: the budget of int8, whichever file.

    Resizes that look at all pixels (halving and bilinear, Pillow's, a GPU's with mipmaps) differ from ours by less, and
    what does not (nearest neighbour), a letterbox or a mirrored picture by more; a test holds both.
    """
    return _tolerance(Target(Format.TFLITE, Precision.INT8))


def _tolerance(target: Target) -> Tolerance:
    """A client may differ from us as our file may from its checkpoint, and the mask is rounded besides."""
    demanded = TOLERANCES[target]
    assert demanded.mean_error.bound is not None
    assert demanded.mask_agreement.bound is not None
    return Tolerance(demanded.mean_error.bound + HALF_STEP, demanded.mask_agreement.bound)
