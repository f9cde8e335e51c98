"""The quantization ranges: everything that makes a float network an integer one, and nothing else.

Observed by calibration or learned by quantization-aware training, the ranges are of this one type, and every
converter writes these very numbers into its file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.errors import RangesError
from edge_deeplab.files import write_bytes
from edge_deeplab.quantization.affine import Affine, affine_from_range

_VERSION = 1


@dataclass(frozen=True)
class ActivationRange:
    """The range of one activation point.

    Attributes:
        affine: scale and zero point.
        low: the smallest value that was seen (before clipping by the observer).
        high: the largest value that was seen.
        origin: where the numbers come from: "observed: min-max over 128 images", "learned", "fixed: pixels in [0, 1]".
    """

    affine: Affine
    low: float
    high: float
    origin: str


@dataclass(frozen=True)
class WeightRange:
    """The scales of one convolution's weights.

    Attributes:
        scales: one float32 value a channel, positive.
        axis: the channel's axis in PyTorch's weight (0: output channels, OIHW).
        bias_shift: one float32 value a channel, added to the layer's bias before it is rounded, which takes back what
            the rounded weights add on average (bias correction); empty: nothing is added.
    """

    scales: tuple[float, ...]
    axis: int
    bias_shift: tuple[float, ...] = ()

    def array(self) -> NDArray[np.float32]:
        """The scales as float32, (channels,)."""
        return np.array(self.scales, np.float32)

    def shifts(self) -> NDArray[np.float32]:
        """The bias shifts as float32, (channels,); zeros where there are none."""
        return np.array(self.bias_shift or np.zeros(len(self.scales)), np.float32)


@dataclass(frozen=True)
class QuantRanges:
    """Every activation point and every weight of one checkpoint.

    Attributes:
        checkpoint_sha256: the hash of the checkpoint's file that they belong to.
        activations: point name (see :mod:`edge_deeplab.quantization.graph`) to range.
        weights: convolution name to scales of its BatchNorm-folded weights.

    Raises:
        RangesError: on creation, when a number is not finite or a range has no width.
    """

    checkpoint_sha256: str
    activations: Mapping[str, ActivationRange]
    weights: Mapping[str, WeightRange]

    def __post_init__(self) -> None:
        for name, activation in self.activations.items():
            if not (math.isfinite(activation.low) and math.isfinite(activation.high)):
                raise RangesError(
                    f"the range of {name} is not finite ([{activation.low}, {activation.high}]): "
                    "the network diverged, or an image holds NaN; calibrate again with a sound checkpoint"
                )
            if activation.low >= activation.high:
                raise RangesError(
                    f"the range of {name} has no width ([{activation.low}, {activation.high}]): "
                    "calibrate with images that differ, or check that the checkpoint is trained"
                )
        for name, weight in self.weights.items():
            if not weight.scales or not all(math.isfinite(scale) and scale > 0 for scale in weight.scales):
                raise RangesError(f"a weight scale of {name} is not a positive number: calibrate again")
            if len(weight.bias_shift) not in (0, len(weight.scales)) or not np.isfinite(weight.shifts()).all():
                raise RangesError(f"the bias shifts of {name} are not one number a channel: calibrate again")

    def require_checkpoint(self, sha256: str) -> None:
        """Raises: RangesError: these are the ranges of another checkpoint."""
        if sha256 != self.checkpoint_sha256:
            raise RangesError(
                f"these ranges belong to the checkpoint {self.checkpoint_sha256[:12]}..., not to {sha256[:12]}...: "
                "calibrate this checkpoint"
            )

    def activation(self, name: str) -> ActivationRange:
        """The range of a point. Raises: RangesError: there is none."""
        try:
            return self.activations[name]
        except KeyError:
            raise RangesError(f"there is no range for the activation {name!r}: calibrate the network again") from None

    def weight(self, name: str) -> WeightRange:
        """The scales of a convolution. Raises: RangesError: there are none."""
        try:
            return self.weights[name]
        except KeyError:
            raise RangesError(f"there are no scales for the weights of {name!r}: calibrate the network again") from None


def activation_range(low: float, high: float, seen: tuple[float, float], origin: str, name: str) -> ActivationRange:
    """Build the range of the point ``name`` from the interval [low, high] that shall be covered.

    Raises:
        RangesError: the interval is not finite or has no width.
    """
    try:
        return ActivationRange(affine_from_range(low, high), seen[0], seen[1], origin)
    except ValueError as error:
        raise RangesError(
            f"the range of {name} is unusable ({error}): calibrate with images that differ, on a trained checkpoint"
        ) from error


def ranges_path(checkpoint: Path) -> Path:
    """Where a checkpoint's ranges lie by convention: ``portrait.ranges.json`` beside ``portrait.safetensors``."""
    return checkpoint.with_suffix(".ranges.json")


def save_ranges(path: Path, ranges: QuantRanges) -> None:
    """Write readable JSON, one line a point; the same ranges give the same bytes. Raises: OutputError."""
    write_bytes(path, _to_json(ranges).encode())


def load_ranges(path: Path) -> QuantRanges:
    """Read what :func:`save_ranges` wrote; scales come back to the last bit.

    Raises:
        RangesError: missing, not ranges of this version, or with a number that cannot be used.
    """
    try:
        values = json.loads(path.read_text())
        _require_version(values["version"])
        return QuantRanges(
            checkpoint_sha256=str(values["checkpoint_sha256"]),
            activations={name: _activation(entry) for name, entry in values["activations"].items()},
            weights={
                name: WeightRange(_floats(entry["scales"]), int(entry["axis"]), _floats(entry["bias_shift"]))
                for name, entry in values["weights"].items()
            },
        )
    except OSError as error:
        raise RangesError(f"cannot read the ranges {path}: calibrate first ({error.strerror})") from error
    except RangesError as error:
        raise RangesError(f"{path}: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RangesError(f"{path} does not hold quantization ranges ({error!r}): calibrate again") from error


def _require_version(version: int) -> None:
    if version != _VERSION:
        raise RangesError(f"these ranges have version {version}, and {_VERSION} is wanted: calibrate again")


def _activation(entry: Mapping[str, Any]) -> ActivationRange:
    low, high = float(entry["low"]), float(entry["high"])
    return ActivationRange(Affine(float(entry["scale"]), int(entry["zero_point"])), low, high, str(entry["origin"]))


def _to_json(ranges: QuantRanges) -> str:
    def block(entries: Mapping[str, Mapping[str, Any]]) -> str:
        lines = (f"    {json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items())
        return "{\n" + ",\n".join(lines) + "\n  }"

    activations = {
        name: {
            "scale": _short(point.affine.scale),
            "zero_point": point.affine.zero_point,
            "low": _short(point.low),
            "high": _short(point.high),
            "origin": point.origin,
        }
        for name, point in ranges.activations.items()
    }
    weights = {
        name: {
            "axis": weight.axis,
            "scales": [_short(scale) for scale in weight.scales],
            "bias_shift": [_short(shift) for shift in weight.bias_shift],
        }
        for name, weight in ranges.weights.items()
    }
    return (
        "{\n"
        f'  "version": {_VERSION},\n'
        f'  "checkpoint_sha256": {json.dumps(ranges.checkpoint_sha256)},\n'
        f'  "activations": {block(activations)},\n'
        f'  "weights": {block(weights)}\n'
        "}\n"
    )


def _floats(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(float(np.float32(value)) for value in values)


def _short(value: float) -> float:
    """The shortest decimal that reads back as the same float32."""
    return float(str(np.float32(value)))
