"""A model file's summary as tables for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from edge_deeplab.inspection.graph import Arithmetic
from edge_deeplab.inspection.summary import Execution, ModelSummary, OperatorRow, Port, QuantizedTensor, Sidecar
from edge_deeplab.inspection.verdict import Kind
from edge_deeplab.inspection.words import name_words, shape_words, size_words, span_words
from edge_deeplab.terminal import megabytes, number_columns, plain_table

if TYPE_CHECKING:
    from edge_deeplab.inspection.cost import CostRow  # PyTorch is behind it

_HASH = 12  # digits that tell files apart
_COLOURS = {Kind.INTEGER: "green", Kind.MIXED: "red", Kind.HYBRID: "yellow"}


def summary_tables(summary: ModelSummary, *, quantization: bool) -> Group:
    """The verdict, what is known of the file, its inputs and outputs, its operators, and on request every range.

    Args:
        summary: what a reader gave.
        quantization: show the table of quantization parameters too.
    """
    # Text, not plain strings, wherever a file's own words are shown: rich would read brackets in them as markup.
    colour = _COLOURS.get(summary.kind, "") if summary.kind is not None else ""
    parts: list[Text | Table] = [
        Text(summary.file.name, style="bold"),
        Text(summary.verdict, style=f"bold {colour}".strip()),
        Text(),
        _facts(summary),
        Text(),
        _ports(summary),
    ]
    if summary.operators:
        parts.append(_operators(summary))
    if quantization:
        constants = [tensor for tensor in summary.quantized if tensor.constant]
        computed = [tensor for tensor in summary.quantized if not tensor.constant]
        parts += [_activations(computed), _weights(constants)] if summary.quantized else [Text("Nothing is quantized.")]
    return Group(*parts)


def cost_table(rows: Sequence[CostRow]) -> Table:
    """Billions of multiply-adds, a row for each way to run the network; as it is, and as the papers' tables have it."""
    table = plain_table("Billions of multiply-adds", "images")
    number_columns(table, "size", "output stride", "plain", "by space-to-batch")
    for row in rows:
        counts = (f"{count / 1e9:.2f}" for count in (row.multiply_adds, row.space_to_batch))
        table.add_row(row.images, f"{row.height}x{row.width}", str(row.output_stride), *counts)
    return table


def _facts(summary: ModelSummary) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for label, words in fact_lines(summary):
        grid.add_row(label, Text(words))
    return grid


def fact_lines(summary: ModelSummary) -> Iterator[tuple[str, str]]:
    """What is known of the file besides its ends and operators: a label, and words for it."""
    file = summary.file
    yield "file", f"{file.format}, {megabytes(file.size)}, sha256 {file.sha256[:_HASH]}"
    if summary.sidecar is not None:
        yield from _sidecar_lines(summary.sidecar)
    for label, value in summary.facts.items():
        yield label, _words(value)
    if summary.execution is not None:
        yield "execution", _execution(summary.execution)
    if summary.parameters is not None:
        yield "parameters", f"{summary.parameters / 1e6:.3f} million"
    yield "multiply-adds", f"{_millions(summary.multiply_adds)} million"
    shares = ", ".join(f"{size_words(size)} {type_}" for type_, size in summary.weights.items())
    yield "constants", shares or "none"
    yield "tensors", f"{summary.tensors}, {len(summary.quantized)} with quantization parameters"
    if summary.activation_bytes is not None:
        yield (
            "activations",
            f"{megabytes(summary.activation_bytes)} at once at most (live tensors, in the file's order)",
        )
    for note in summary.notes:
        yield "note", note


def _sidecar_lines(sidecar: Sidecar) -> Iterator[tuple[str, str]]:
    fits = "its hash fits" if sidecar.fits else "ITS HASH DIFFERS: it speaks of another file"
    yield "sidecar", f"{sidecar.target}, io {sidecar.io}, of checkpoint {sidecar.checkpoint_sha256[:_HASH]}; {fits}"
    if sidecar.broken_promise:
        yield "", sidecar.broken_promise
    yield "network", f"{sidecar.network}; {', '.join(sidecar.classes)}"


def _execution(execution: Execution) -> str:
    share = execution.delegation
    if share is None:
        return f"{execution.runtime}: {execution.problem}"
    total = share.delegated + len(share.left)
    parts = f"{share.partitions} partition{'' if share.partitions == 1 else 's'}"
    left = ", ".join(f"{count} {name}" for name, count in Counter(share.left).most_common())
    rest = f"; left to LiteRT's own kernels: {left}" if left else ""
    return f"{execution.runtime}: XNNPACK takes {share.delegated} of {total} operators in {parts}{rest}"


def _ports(summary: ModelSummary) -> Table:
    table = plain_table("Inputs and outputs", "name")
    table.add_column("", no_wrap=True)
    quantized = any(port.scale is not None for port in (*summary.inputs, *summary.outputs))
    for heading in ("type", "shape", *(("scale\n(zero point)",) if quantized else ())):
        table.add_column(heading, no_wrap=True)
    table.add_column("values", overflow="fold")
    for side, ports in (("in", summary.inputs), ("out", summary.outputs)):
        for port in ports:
            table.add_row(*_port_cells(side, port, quantized=quantized))
    return table


def _port_cells(side: str, port: Port, *, quantized: bool) -> tuple[Text | str, ...]:
    scale = "" if port.scale is None else f"{port.scale:.5g} ({port.zero_point})"
    cells = (Text(port.name), side, port.type, Text(f"{shape_words(port.shape)} {port.layout}".strip()))
    return (*cells, *((scale,) if quantized else ()), port.meaning)


def _operators(summary: ModelSummary) -> Table:
    table = plain_table("Operators", "operator")
    shown = [kind for kind in Arithmetic if any(row.arithmetic.get(kind) for row in summary.operators)]
    number_columns(table, "count", *(str(kind) for kind in shown), "million\nmultiply-adds", "share")
    total = summary.multiply_adds
    for row in summary.operators:
        table.add_row(*_operator_cells(row, shown, total))
    table.add_section()
    sums = [sum(row.arithmetic.get(kind, 0) for row in summary.operators) for kind in shown]
    count = sum(row.count for row in summary.operators)
    table.add_row("total", str(count), *map(str, sums), _millions(total), "", style="bold")
    return table


def _operator_cells(row: OperatorRow, shown: list[Arithmetic], total: int) -> tuple[Text | str, ...]:
    name = Text(f"{row.operator} (custom)" if row.custom else row.operator)
    counts = [str(row.arithmetic[kind]) if row.arithmetic.get(kind) else "" for kind in shown]
    match row.multiply_adds:
        case None:
            cost = ("?", "")
        case 0:
            cost = ("", "")
        case known:
            cost = (_millions(known), f"{known / total:.1%}")
    return (name, str(row.count), *counts, *cost)


def _activations(tensors: Sequence[QuantizedTensor]) -> Table:
    table = plain_table("Quantization of activations", "tensor")
    table.add_column("type", no_wrap=True)
    number_columns(table, "scale", "zero\npoint", "range")
    origins = any(tensor.origin for tensor in tensors)
    if origins:
        table.add_column("origin", overflow="fold")
    for tensor in tensors:
        numbers = (span_words(tensor.scales), span_words(tensor.zero_points), _range(tensor))
        table.add_row(
            Text(name_words(tensor.name)), tensor.type, *numbers, *((Text(tensor.origin),) if origins else ())
        )
    return table


def _weights(tensors: Sequence[QuantizedTensor]) -> Table:
    table = plain_table("Quantization of weights and biases", "tensor")
    table.add_column("type", no_wrap=True)
    number_columns(table, "channels\n(axis)", "scale", "zero\npoint", "range")
    for tensor in tensors:
        channels = "" if tensor.axis is None else f"{len(tensor.scales)} ({tensor.axis})"
        numbers = (span_words(tensor.scales), span_words(tensor.zero_points), _range(tensor))
        table.add_row(Text(name_words(tensor.name)), tensor.type, channels, *numbers)
    return table


def _range(tensor: QuantizedTensor) -> str:
    return "" if tensor.low is None or tensor.high is None else f"{tensor.low:.3g} .. {tensor.high:.3g}"


def _millions(count: int) -> str:
    return f"{count / 1e6:,.2f}"


def _words(value: Any) -> str:
    """JSON as running text: "epoch 9, recipe (loss dice, rate 0.1)"."""
    if isinstance(value, Mapping):
        parts = (f"{key} ({_words(v)})" if isinstance(v, Mapping) else f"{key} {_words(v)}" for key, v in value.items())
        return ", ".join(parts)
    if isinstance(value, list):
        return "; ".join(value) if all(isinstance(v, str) for v in value) else str(value)
    return str(value)
