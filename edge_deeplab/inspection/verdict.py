"""One line on what a file really computes with: integers, floats, or a mixture that somebody should know of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from edge_deeplab.inspection.graph import Arithmetic, Graph, Node, derived_from_constants, is_float, weight_bytes
from edge_deeplab.spec import Precision

_NAMED = 4  # how many kinds of operators a sentence names before it counts the rest


class Kind(StrEnum):
    """What a file computes with.

    INTEGER: nothing but integers between its two ends. MIXED: integers and floats. HYBRID: no integer activations, but
    integer weights that are multiplied as integers. FLOAT: nothing but floats. NOTHING: no operator computes.
    """

    INTEGER = "integer"
    MIXED = "mixed"
    HYBRID = "hybrid"
    FLOAT = "float"
    NOTHING = "nothing"


_PROMISES = {
    Precision.INT8: Kind.INTEGER,
    Precision.DYNAMIC: Kind.HYBRID,
    Precision.FLOAT16: Kind.FLOAT,
    Precision.FLOAT32: Kind.FLOAT,
}


@dataclass(frozen=True)
class Verdict:
    """What a file computes with, and the sentence that says so."""

    kind: Kind
    sentence: str


def judge(graph: Graph) -> Verdict:
    """Judge a file by its operators."""
    groups: dict[Arithmetic, list[Node]] = {arithmetic: [] for arithmetic in Arithmetic}
    for node in graph.nodes:
        groups[node.arithmetic].append(node)
    integer, floating, hybrid = (groups[kind] for kind in (Arithmetic.INTEGER, Arithmetic.FLOAT, Arithmetic.HYBRID))
    computing = len(integer) + len(floating) + len(hybrid)
    if not computing:
        return Verdict(Kind.NOTHING, f"no operator computes: {_names(graph.nodes) or 'the graph is empty'}")
    if integer and not floating and not hybrid:
        return Verdict(Kind.INTEGER, _integer(graph, integer, groups[Arithmetic.CONVERSION], groups[Arithmetic.OTHER]))
    if integer:
        weights = f", {len(hybrid)} with integer weights only" if hybrid else ""
        return Verdict(
            Kind.MIXED,
            f"float inside: {_count(len(floating) + len(hybrid), computing)} in float ({_names([*floating, *hybrid])})"
            f"{weights}: this is no integer file",
        )
    if hybrid:
        others = f", the other {len(floating)} compute in float" if floating else ""
        return Verdict(
            Kind.HYBRID,
            f"hybrid: {len(hybrid)} of {computing} operators have integer weights and float activations "
            f"({_names(hybrid)}){others}: this is no integer file",
        )
    return Verdict(Kind.FLOAT, f"float throughout: {_all(computing)} in float{_storage(graph)}{_disguise(graph)}")


def broken_promise(precision: Precision, kind: Kind) -> str:
    """The sentence on a file that is not what its sidecar calls it; "" for one that is."""
    promised = _PROMISES[precision]
    if kind is promised:
        return ""
    return f"the sidecar promises {precision}, which is {promised} inside, and the file is {kind}: do not trust it"


def _integer(graph: Graph, integer: list[Node], conversions: list[Node], others: list[Node]) -> str:
    # In QDQ form the integers stand between the conversions, and the operators read floats.
    types = _words(sorted(_activation_types(graph, conversions if graph.simulated else integer)))
    if graph.simulated:
        return (
            f"integer throughout, as QDQ: {_all(len(integer))} between DequantizeLinear and QuantizeLinear, where the "
            f"runtime may execute them in {types}"
        )
    ends, inside = _by_place(graph, conversions)
    rest = []
    if ends:
        rest.append(f"{_names(ends)} at the ends")
    if inside:
        rest.append(f"{_names(inside)} inside, which only {'changes' if len(inside) == 1 else 'change'} the scale")
    if others:
        rest.append(f"{_names(others)} on shapes, indices or constants")
    verb = "the other is" if len(conversions) + len(others) == 1 else "the others are"
    tail = f"; {verb} {'; '.join(rest)}" if rest else ""
    return f"integer throughout: {len(integer)} of {len(graph.nodes)} operators compute in {types}{tail}"


def _by_place(graph: Graph, conversions: Iterable[Node]) -> tuple[list[Node], list[Node]]:
    """Conversions that touch an input or output of the model, and those between other operators."""
    touched = {*graph.inputs, *graph.outputs}
    ends: list[Node] = []
    inside: list[Node] = []
    for node in conversions:
        (ends if touched.intersection((*node.inputs, *node.outputs)) else inside).append(node)
    return ends, inside


def _activation_types(graph: Graph, nodes: Iterable[Node]) -> set[str]:
    """Types of the quantized activations that these operators read and write, without sizes and indices."""
    places = {place for node in nodes for place in (*node.inputs, *node.outputs)}
    values = [graph.values[place] for place in places if not graph.values[place].constant]
    return {value.type for value in values if value.parameters is not None and value.type not in ("int32", "int64")}


def _storage(graph: Graph) -> str:
    """How the weights lie in the file, where that is not what they compute in."""
    constants = {place for place, value in enumerate(graph.values) if value.constant}
    derived = derived_from_constants([(node.inputs, node.outputs) for node in graph.nodes], constants)
    computed = {value.type for place, value in enumerate(graph.values) if place not in derived and is_float(value.type)}
    types = [type_ for type_ in weight_bytes(graph) if type_ not in ("int32", "int64", "bool")]
    if not types or types[0] in computed:
        return ""
    return f"; the weights are stored as {types[0]} and turned into {_words(sorted(computed))}"


def _disguise(graph: Graph) -> str:
    """What makes a float file look like an integer one from outside."""
    ends = [graph.values[place] for place in (*graph.inputs, *graph.outputs)]
    types = sorted({value.type for value in ends if value.parameters is not None})
    return f"; input and output of {_words(types)} do not make it an integer file" if types else ""


def _count(some: int, total: int) -> str:
    return f"{some} of {total} operators {'computes' if some == 1 else 'compute'}"


def _all(count: int) -> str:
    return "the one operator computes" if count == 1 else f"all {count} operators compute"


def _names(nodes: Iterable[Node]) -> str:
    """ "3 SOFTMAX, LOGISTIC and 2 more kinds": the most frequent first."""
    counted = Counter(node.operator for node in nodes).most_common()
    named = [name if count == 1 else f"{count} {name}" for name, count in counted[:_NAMED]]
    more = len(counted) - _NAMED
    return ", ".join(named) + (f" and {more} more kinds" if more > 0 else "")


def _words(words: list[str]) -> str:
    return " and ".join(words)
