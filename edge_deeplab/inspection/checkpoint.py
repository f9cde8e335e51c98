"""What is inside a checkpoint, with the quantization ranges that lie beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_deeplab.checkpoint import stored_tensors
from edge_deeplab.errors import RangesError
from edge_deeplab.inspection.describe import PIXELS, model_file, network_words, quantized_tensor
from edge_deeplab.inspection.graph import Parameters, Value, affine_parameters, tensor_bytes
from edge_deeplab.inspection.summary import ModelSummary, Port, QuantizedTensor
from edge_deeplab.models.cost import count_cost
from edge_deeplab.models.loading import load_network
from edge_deeplab.quantization.ranges import QuantRanges, load_ranges, ranges_path

_INTEGERS = "int8"  # what every converter makes of a point or a layer


def summarize_checkpoint(path: Path) -> ModelSummary:
    """Look into a checkpoint. The network is built to count its multiply-adds, and not run on a picture.

    Raises:
        CheckpointError: as :func:`edge_deeplab.models.loading.load_network`.
    """
    network, checkpoint = load_network(path)
    spec = checkpoint.spec
    cost = count_cost(network, spec.height, spec.width)
    stored = stored_tensors(path)
    weights: Counter[str] = Counter()
    for type_, shape in stored.values():
        weights[type_] += tensor_bytes(type_, shape) or 0
    ranges, note = _ranges(path)
    facts: dict[str, Any] = {"network": network_words(spec), "classes": list(spec.classes)}
    facts |= {"training": dict(checkpoint.notes)} if checkpoint.notes else {}
    facts |= _ranges_facts(path, ranges) if ranges is not None else {}
    channels = spec.network.num_classes
    meaning = "logit of a person" if channels == 1 else "logit of each class"
    return ModelSummary(
        file=model_file(path, "checkpoint"),
        kind=None,
        verdict=_verdict(stored, ranges, checkpoint.sha256),
        inputs=(Port("image", "float32", (1, 3, spec.height, spec.width), "NCHW", None, None, PIXELS),),
        outputs=(Port("logits", "float32", (1, channels, spec.height, spec.width), "NCHW", None, None, meaning),),
        operators=(),
        multiply_adds=cost.multiply_adds,
        parameters=cost.parameters,
        tensors=len(stored),
        weights=dict(weights.most_common()),
        activation_bytes=None,
        quantized=() if ranges is None else _quantized(ranges),
        facts=facts,
        notes=(note,) if note else (),
    )


def _ranges(path: Path) -> tuple[QuantRanges | None, str]:
    """The ranges beside a checkpoint; or a note that they cannot be read: the checkpoint can be looked into all the
    same.
    """
    beside = ranges_path(path)
    if not beside.exists():
        return None, ""
    try:
        return load_ranges(beside), ""
    except RangesError as error:
        return None, str(error)


def _ranges_facts(path: Path, ranges: QuantRanges) -> dict[str, Any]:
    points, layers = len(ranges.activations), len(ranges.weights)
    origins = Counter(activation.origin for activation in ranges.activations.values())
    return {
        "ranges": f"{ranges_path(path).name}, {points} activation points, {layers} layers",
        "origins": [f"{count} {origin}" for origin, count in origins.most_common()],
    }


def _verdict(tensors: Mapping[str, tuple[str, tuple[int, ...]]], ranges: QuantRanges | None, sha256: str) -> str:
    # Vectors are biases, statistics and scales, which are kept in float32 whatever the weights are.
    kept = sorted({type_ for type_, shape in tensors.values() if len(shape) > 1})
    stored = "" if kept == ["float32"] else f", its weights stored as {' and '.join(kept)}"
    if ranges is None:
        beside = "no ranges for integers beside it"
    elif ranges.checkpoint_sha256 != sha256:
        beside = f"the ranges beside it belong to another checkpoint ({ranges.checkpoint_sha256[:12]})"
    else:
        beside = f"the ranges of {len(ranges.activations)} points and {len(ranges.weights)} layers lie beside it"
    return f"a checkpoint, computed in float32{stored}; {beside}"


def _quantized(ranges: QuantRanges) -> tuple[QuantizedTensor, ...]:
    """Activation points in the order of execution, then layers; a network's shapes are not in its ranges."""
    rows = []
    for name, activation in ranges.activations.items():
        value = Value(name, _INTEGERS, None, constant=False, stored=0)
        parameters = Parameters((activation.affine.scale,), (activation.affine.zero_point,), None)
        rows.append(quantized_tensor(value, parameters, activation.origin))
    for name, weight in ranges.weights.items():
        value = Value(name, _INTEGERS, None, constant=True, stored=0)
        rows.append(quantized_tensor(value, affine_parameters(weight.scales, (), weight.axis)))
    return tuple(rows)
