"""A model file as one HTML page for people: its graph drawn, every layer with its sizes, numbers and cost.

Everything is inside, nothing is fetched, no script runs. A click on an operator in the drawing goes to its row, and on
the row's number back.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_deeplab import __version__
from edge_deeplab.errors import MissingExtraError
from edge_deeplab.inspection.graph import Arithmetic, Graph, Value
from edge_deeplab.inspection.layers import Layer, layers
from edge_deeplab.inspection.summary import ModelSummary, Port
from edge_deeplab.inspection.tables import fact_lines
from edge_deeplab.inspection.words import name_words, shape_words, size_words, span_words

_TEMPLATE = "inspection.html.jinja"


@dataclass(frozen=True)
class _Row:
    """A layer's cells. Texts, but for the number in the graph, and the share in percent."""

    place: int
    operator: str
    arithmetic: str
    name: str
    short: str
    shape: str
    type: str
    quantization: str
    constants: tuple[str, ...]
    stored: str
    multiply_adds: str
    share: float


@dataclass(frozen=True)
class _End:
    """An input's or output's cells."""

    side: str
    name: str
    type: str
    shape: str
    quantization: str
    meaning: str


def inspection_page(summary: ModelSummary, graph: Graph, drawing: str) -> str:
    """Make the page.

    Args:
        summary: what a reader gave.
        graph: of the same file.
        drawing: the graph as an <svg> element, whose texts are escaped.

    Returns:
        HTML5; the same arguments give the same page. Names and sentences are escaped.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise MissingExtraError("jinja2", "convert", "the page of a model file") from error
    environment = Environment(
        loader=PackageLoader("edge_deeplab.inspection"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    shown = layers(graph)
    return environment.get_template(_TEMPLATE).render(
        summary=summary,
        facts=list(fact_lines(summary)),
        ends=[*(_end("in", port) for port in summary.inputs), *(_end("out", port) for port in summary.outputs)],
        rows=[_row(layer) for layer in shown],
        hidden=len(graph.nodes) - len(shown),
        kinds=[str(kind) for kind in Arithmetic if any(layer.node.arithmetic is kind for layer in shown)],
        drawing=drawing,
        version=__version__,
    )


def _row(layer: Layer) -> _Row:
    (first, *_) = layer.outputs or (None,)
    node = layer.node
    return _Row(
        place=layer.place,
        operator=f"{node.operator} (custom)" if node.custom else node.operator,
        arithmetic=str(node.arithmetic),
        name="" if first is None else first.name,
        short="" if first is None else name_words(first.name),
        shape="" if first is None else shape_words(first.shape),
        type="" if first is None else first.type,
        quantization="" if first is None else _quantization(first),
        constants=tuple(map(_constant, layer.constants)),
        stored=size_words(layer.stored) if layer.stored else "",
        multiply_adds=_cost(node.multiply_adds),
        share=100 * (layer.share or 0.0),
    )


def _cost(multiply_adds: int | None) -> str:
    match multiply_adds:
        case None:
            return "?"
        case 0:
            return ""
        case known:
            return f"{known / 1e6:,.2f}"


def _constant(value: Value) -> str:
    quantization = _quantization(value)
    return f"{shape_words(value.shape)} {value.type}" + (f", {quantization}" if quantization else "")


def _quantization(value: Value) -> str:
    """ "scale 0.0235 (zero point -4), -2.92 .. 3.08"; "" for a tensor that has none."""
    parameters = value.parameters
    if parameters is None:
        return ""
    channels = f" in {len(parameters.scales)} channels" if parameters.axis is not None else ""
    limits = parameters.limits(value.type)
    reach = "" if limits is None else f", {limits[0]:.3g} .. {limits[1]:.3g}"
    points = set(parameters.zero_points)
    zero = "" if points == {0} else f" (zero point {span_words(parameters.zero_points)})"
    return f"scale {span_words(parameters.scales)}{channels}{zero}{reach}"


def _end(side: str, port: Port) -> _End:
    scale = "" if port.scale is None else f"scale {port.scale:.5g} (zero point {port.zero_point})"
    return _End(side, port.name, port.type, f"{shape_words(port.shape)} {port.layout}".strip(), scale, port.meaning)
