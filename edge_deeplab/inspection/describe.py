"""From a graph to its summary: what every format's reader does alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_deeplab.artifact import Artifact, read_sidecar, sidecar_path
from edge_deeplab.errors import ModelFileError
from edge_deeplab.files import sha256
from edge_deeplab.inspection.graph import (
    Graph,
    Node,
    Parameters,
    Shape,
    Value,
    is_float,
    peak_activation_bytes,
    weight_bytes,
)
from edge_deeplab.inspection.summary import (
    Execution,
    ModelFile,
    ModelSummary,
    OperatorRow,
    Port,
    QuantizedTensor,
    Sidecar,
)
from edge_deeplab.inspection.verdict import Kind, broken_promise, judge
from edge_deeplab.spec import Fusion, ModelSpec, NetworkSpec

PIXELS, PROBABILITIES = "RGB in 0 .. 1", "probability"
_IMAGE_CHANNELS = (1, 3, 4)  # grey, RGB, RGB with alpha


def summarize(
    path: Path,
    format_: str,
    graph: Graph,
    *,
    picture_layout: str,
    facts: Mapping[str, Any],
    notes: Sequence[str] = (),
    execution: Execution | None = None,
) -> ModelSummary:
    """The summary of a converted file.

    Args:
        path: the file.
        format_: its format's name.
        graph: what is in it.
        picture_layout: "NHWC" or "NCHW": what pictures are in this format unless their shape says otherwise.
        facts: what else the file says of itself.
        notes: what the format's reader wants to be known.
        execution: what LiteRT does with it.

    Raises:
        ModelFileError: the file cannot be read any more.
    """
    file, verdict = model_file(path, format_), judge(graph)
    artifact, problem = _artifact(path)
    missing = Counter(node.operator for node in graph.nodes if node.multiply_adds is None)
    uncounted = [f"multiply-adds not counted: {', '.join(f'{n} {name}' for name, n in missing.items())}"]
    return ModelSummary(
        file=file,
        kind=verdict.kind,
        verdict=verdict.sentence,
        inputs=tuple(_port(graph.values[place], picture_layout, PIXELS if artifact else "") for place in graph.inputs),
        outputs=tuple(
            _port(graph.values[place], picture_layout, PROBABILITIES if artifact else "") for place in graph.outputs
        ),
        operators=operator_rows(graph.nodes),
        multiply_adds=sum(node.multiply_adds or 0 for node in graph.nodes),
        parameters=None,
        tensors=len(graph.values),
        weights=weight_bytes(graph),
        activation_bytes=peak_activation_bytes(graph),
        quantized=tuple(quantized_tensor(value, value.parameters) for value in graph.values if value.parameters),
        facts=facts,
        notes=(*notes, *(uncounted if missing else ()), *problem),
        sidecar=None if artifact is None else _sidecar(artifact, file, verdict.kind),
        execution=execution,
    )


def model_file(path: Path, format_: str) -> ModelFile:
    """Name, size and hash of a file. Raises: ModelFileError: it cannot be read."""
    try:
        return ModelFile(path.name, format_, path.stat().st_size, sha256(path))
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}") from error


def operator_rows(nodes: Sequence[Node]) -> tuple[OperatorRow, ...]:
    """A row for each kind of operator: the most multiply-adds first, then the most frequent, then by name."""
    kinds: dict[tuple[str, bool], list[Node]] = {}
    for node in nodes:
        kinds.setdefault((node.operator, node.custom), []).append(node)
    rows = [
        OperatorRow(
            operator=name,
            count=len(members),
            arithmetic=dict(Counter(node.arithmetic for node in members)),
            multiply_adds=_total(node.multiply_adds for node in members),
            custom=custom,
        )
        for (name, custom), members in kinds.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-(row.multiply_adds or 0), -row.count, row.operator)))


def quantized_tensor(value: Value, parameters: Parameters, origin: str = "") -> QuantizedTensor:
    """A row of the table of quantization parameters."""
    limits = parameters.limits(value.type)
    return QuantizedTensor(
        name=value.name,
        type=value.type,
        shape=value.shape,
        constant=value.constant,
        scales=parameters.scales,
        zero_points=parameters.zero_points,
        axis=parameters.axis,
        low=None if limits is None else limits[0],
        high=None if limits is None else limits[1],
        origin=origin,
    )


def network_words(spec: ModelSpec) -> str:
    """ "mobilenet_v2 1.0, output stride 16, ASPP 128, decoder 128, 256x256"."""
    network = spec.network
    parts = [network.backbone_words]
    if network.channel_divisor != NetworkSpec().channel_divisor:
        parts.append(f"channels in multiples of {network.channel_divisor}")
    parts.append(f"output stride {network.output_stride}")
    if network.aspp_fusion is Fusion.SUMMED:
        parts.append(f"scores at rates {', '.join(map(str, network.atrous_rates))} added")
    else:
        parts.append(f"ASPP {network.aspp_channels}")
        parts.append(f"decoder {network.decoder_channels}" if network.decoder else "no decoder")
    return ", ".join([*parts, f"{spec.height}x{spec.width}"])


def _artifact(path: Path) -> tuple[Artifact | None, list[str]]:
    """What the sidecar says; or a note that it cannot be read: the file itself can be looked into all the same."""
    if not sidecar_path(path).exists():
        return None, []
    try:
        return read_sidecar(path), []
    except ModelFileError as error:
        return None, [str(error)]


def _sidecar(artifact: Artifact, file: ModelFile, kind: Kind) -> Sidecar:
    return Sidecar(
        target=str(artifact.target),
        io=str(artifact.io),
        network=network_words(artifact.spec),
        classes=artifact.spec.classes,
        checkpoint_sha256=artifact.checkpoint_sha256,
        fits=artifact.sha256 == file.sha256,
        broken_promise=broken_promise(artifact.target.precision, kind),
    )


def _port(value: Value, picture_layout: str, contract: str) -> Port:
    parameters = value.parameters
    single = parameters if parameters is not None and len(parameters.scales) == 1 else None
    limits = single.limits(value.type) if single is not None else None
    known = f"{limits[0]:.4g} .. {limits[1]:.4g}" if limits is not None else ""
    return Port(
        name=value.name,
        type=value.type,
        shape=value.shape,
        layout=_layout(value.shape, picture_layout),
        scale=None if single is None else single.scales[0],
        zero_point=None if single is None else single.zero_points[0],
        meaning=contract or known or ("any real number" if is_float(value.type) else ""),
    )


def _layout(shape: Shape | None, usual: str) -> str:
    """ "NHWC" or "NCHW" for four sizes: the format's usual one, unless only the other puts few channels in place."""
    if shape is None or len(shape) != 4:
        return ""
    last, second = shape[3] in _IMAGE_CHANNELS, shape[1] in _IMAGE_CHANNELS
    if last != second:
        return "NHWC" if last else "NCHW"
    return usual


def _total(counts: Iterable[int | None]) -> int | None:
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total
