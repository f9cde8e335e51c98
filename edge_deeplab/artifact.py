"""An artifact is a converted file with a JSON sidecar that tells everything about it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_deeplab.errors import ModelFileError, SpecError
from edge_deeplab.files import sha256, write_json
from edge_deeplab.spec import IoType, ModelSpec, Target

_VERSION = 1


@dataclass(frozen=True)
class Artifact:
    """A converted file and what is known about it.

    Attributes:
        path: the file.
        spec: the network in it.
        target: its format and precision.
        io: element type of its input and output.
        sha256: hash of the file.
        checkpoint_sha256: hash of the checkpoint that it was made from.
        tools: package name to version, of everything that had a hand in it.
        metrics: what was measured of it (parity, accuracy).
    """

    path: Path
    spec: ModelSpec
    target: Target
    io: IoType
    sha256: str
    checkpoint_sha256: str
    tools: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sidecar(self) -> Path:
        """Where the JSON lies: ``model.tflite.json`` beside ``model.tflite``."""
        return sidecar_path(self.path)

    def require_shape(self, height: int, width: int, classes: int) -> None:
        """See that the file is of the network that the sidecar describes.

        Args:
            height: of the file's input, in pixels.
            width: likewise.
            classes: channels of its output.

        Raises:
            ModelFileError: the sidecar says something else.
        """
        spec = self.spec
        if (height, width, classes) != (spec.height, spec.width, len(spec.classes)):
            raise ModelFileError(
                f"{self.path} takes {height}x{width} pixels and gives {classes} classes, and its sidecar says "
                f"{spec.height}x{spec.width} and {len(spec.classes)}: convert the model again"
            )

    def write_sidecar(self) -> None:
        """Write the JSON beside the file. Raises: OutputError."""
        write_json(
            self.sidecar,
            {
                "version": _VERSION,
                "file": self.path.name,
                "target": str(self.target),
                "io": str(self.io),
                "sha256": self.sha256,
                "checkpoint_sha256": self.checkpoint_sha256,
                "spec": self.spec.to_dict(),
                "tools": dict(self.tools),
                "metrics": dict(self.metrics),
            },
        )


def sidecar_path(path: Path) -> Path:
    """The sidecar's name for a model file's name."""
    return path.with_name(path.name + ".json")


def load_artifact(path: Path) -> Artifact:
    """Read the sidecar of ``path`` and check that it speaks of this very file.

    Raises:
        ModelFileError: no sidecar, one that cannot be read, or one of another file (the hash differs).
    """
    artifact = read_sidecar(path)
    if sha256(path) != artifact.sha256:
        raise ModelFileError(
            f"{artifact.sidecar} does not belong to {path.name} (the hash differs): convert the model again"
        )
    return artifact


def read_sidecar(path: Path) -> Artifact:
    """Read the sidecar of ``path``, whichever file it speaks of: who uses the file calls :func:`load_artifact`.

    Raises:
        ModelFileError: no sidecar, or one that cannot be read.
    """
    sidecar = sidecar_path(path)
    try:
        values = json.loads(sidecar.read_text())
        return Artifact(
            path=path,
            spec=ModelSpec.from_dict(values["spec"]),
            target=Target.parse(values["target"]),
            io=IoType(values["io"]),
            sha256=values["sha256"],
            checkpoint_sha256=values["checkpoint_sha256"],
            tools=values["tools"],
            metrics=values["metrics"],
        )
    except OSError as error:
        raise ModelFileError(f"{path} has no readable sidecar {sidecar.name}: convert the model again") from error
    except (ValueError, KeyError, TypeError, SpecError) as error:
        raise ModelFileError(f"{sidecar} is not a sidecar of this version: convert the model again") from error
