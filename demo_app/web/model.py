"""What the page must know of a model file: read from the file, so that the page assumes nothing."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

from edge_deeplab.artifact import load_artifact, sidecar_path
from edge_deeplab.errors import ModelFileError
from edge_deeplab.files import sha256
from edge_deeplab.runtime.tflite_file import Tensor, inspect_tflite
from edge_deeplab.runtime.tflite_session import TfliteSession
from edge_deeplab.spec import PERSON


@dataclass(frozen=True)
class PageModel:
    """A model as the page's ``model.json`` describes it.

    Attributes:
        file: its name on the site, beside the description.
        name: for people.
        sha256: of the file.
        height: rows of the input, RGB uint8.
        width: columns of the input.
        rows: of the output, uint8.
        columns: of the output.
        classes: channels of the output.
        person: which of them is the person.
        scale: probability of one step of the output.
        zero_point: the output that means 0.
    """

    file: str
    name: str
    sha256: str
    height: int
    width: int
    rows: int
    columns: int
    classes: int
    person: int
    scale: float
    zero_point: int

    def to_dict(self) -> dict[str, str | int | float]:
        """As JSON has it."""
        return asdict(self)


def page_model(path: Path, file: str) -> PageModel:
    """Read a model for the page.

    Args:
        path: a .tflite file with uint8 pixels in and uint8 probabilities out.
        file: its name on the site.

    Raises:
        ModelFileError: not such a file, or none of its classes is "person".
    """
    classes = load_artifact(path).spec.classes if sidecar_path(path).exists() else None
    with TfliteSession(path, threads=1, classes=classes) as session:  # which holds the file to the contract
        if PERSON not in session.classes:
            raise ModelFileError(f"{path} knows no person, only: {', '.join(session.classes)}")
        person = session.classes.index(PERSON)
    graph = inspect_tflite(path)
    (source,), (target,) = graph.inputs, graph.outputs
    _check_uint8(path, source)
    _check_uint8(path, target)
    # The page gives the camera's bytes as they are.
    if not math.isclose(source.scales[0], 1 / 255, rel_tol=1e-3) or source.zero_points[0] != 0:
        raise ModelFileError(
            f"{path} takes pixels of scale {source.scales[0]:.6g} and zero point {source.zero_points[0]}, and the page "
            "gives 1/255 and 0: convert the model with edge-deeplab convert --io uint8"
        )
    return PageModel(
        file=file,
        name=path.stem,
        sha256=sha256(path),
        height=source.shape[1],
        width=source.shape[2],
        rows=target.shape[1],
        columns=target.shape[2],
        classes=target.shape[3],
        person=person,
        scale=target.scales[0],
        zero_point=target.zero_points[0],
    )


def _check_uint8(path: Path, tensor: Tensor) -> None:
    if tensor.type != "UINT8" or len(tensor.scales) != 1:
        raise ModelFileError(
            f"{path} has {tensor.type.lower()} values in {tensor.name}, and the page gives and reads uint8: convert it "
            "with edge-deeplab convert --target tflite-int8 --io uint8"
        )
