"""What a Core ML package shall be: precision, the oldest system that runs it, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from edge_deeplab.errors import SpecError
from edge_deeplab.spec import Format, IoType, ModelSpec, Precision, Target


class DeploymentTarget(StrEnum):
    """The oldest system that runs a package; newer ones do, too."""

    IOS15 = "iOS15"
    IOS16 = "iOS16"
    IOS17 = "iOS17"

    @property
    def specification_version(self) -> int:
        """The version of Core ML's file format that came with this system (coremltools' ``ct.target``)."""
        return {DeploymentTarget.IOS15: 6, DeploymentTarget.IOS16: 7, DeploymentTarget.IOS17: 8}[self]


INPUT = "image"
"""The name of every package's input."""

_COMPRESSED = (DeploymentTarget.IOS16, "weights that are stored in few bits (constexpr operators) came with it")
_OLDEST: Mapping[Precision, tuple[DeploymentTarget, str]] = MappingProxyType(
    {
        Precision.FLOAT32: (DeploymentTarget.IOS15, "ML Programs came with it"),
        Precision.FLOAT16: (DeploymentTarget.IOS15, "ML Programs came with it"),
        Precision.INT8: _COMPRESSED,
        Precision.PALETTIZED6: _COMPRESSED,
        Precision.PALETTIZED4: _COMPRESSED,
        Precision.W8A8: (DeploymentTarget.IOS17, "int8 activations (quantize and dequantize) came with it"),
    }
)
"""The oldest system that has the operators of a precision, and the reason."""


@dataclass(frozen=True)
class Recipe:
    """One package.

    Attributes:
        precision: of weights and activations.
        deployment_target: the oldest system that shall run it.
        io: what it gives. FLOAT32: a multi-array (1, classes, H, W) of probabilities. IMAGE: a grey image H x W of
            probability * 255.

    Raises:
        SpecError: on creation, when there is no such Core ML target, or the system is too old for the precision.
    """

    precision: Precision
    deployment_target: DeploymentTarget
    io: IoType = IoType.FLOAT32

    def __post_init__(self) -> None:
        if self.precision not in _OLDEST:
            raise SpecError(f"there is no Core ML target of precision {self.precision}")
        if self.io not in (IoType.FLOAT32, IoType.IMAGE):
            raise SpecError(f"a Core ML package gives a float array or a grey image, not {self.io}")
        if self.grey and self.precision is Precision.FLOAT32:
            raise SpecError(
                "coreml-float32 is compared to 1e-4, and a grey image rounds to 1/255: choose another target"
            )
        oldest, reason = _OLDEST[self.precision]
        if self.deployment_target.specification_version < oldest.specification_version:
            raise SpecError(
                f"{self.target} needs the deployment target {oldest} or newer, not {self.deployment_target}: {reason}"
            )

    @staticmethod
    def of(
        precision: Precision, deployment_target: DeploymentTarget | None = None, io: IoType = IoType.FLOAT32
    ) -> Recipe:
        """A recipe for the oldest system that can run it, unless one is given. Raises: SpecError."""
        if deployment_target is None:
            deployment_target = _OLDEST.get(precision, (DeploymentTarget.IOS15, ""))[0]
        return Recipe(precision, deployment_target, io)

    @property
    def target(self) -> Target:
        """What ``--target`` calls it."""
        return Target(Format.COREML, self.precision)

    @property
    def grey(self) -> bool:
        """It gives a grey image."""
        return self.io is IoType.IMAGE

    @property
    def output(self) -> str:
        """The name of its output."""
        return "mask" if self.grey else "probability"

    @property
    def half_precision(self) -> bool:
        """The program computes in float16.

        W8A8 computes in float32 between its integers: a scale has the type of the tensor that it belongs to, and in
        float16 the scales would not be those of the ranges (and of the TFLite file).
        """
        return self.precision not in (Precision.FLOAT32, Precision.W8A8)

    def require_spec(self, spec: ModelSpec) -> None:
        """Raises: SpecError: a network of several classes does not fit into a grey image."""
        if self.grey and len(spec.classes) != 1:
            raise SpecError(
                f"a grey image holds one class, and the network has {len(spec.classes)}: let it give probabilities"
            )
