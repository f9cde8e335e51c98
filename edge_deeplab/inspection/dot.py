"""A graph in DOT, Graphviz' language, and drawn by it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator, Mapping

from edge_deeplab.errors import MissingExtraError, ModelFileError
from edge_deeplab.inspection.graph import Graph, Value
from edge_deeplab.inspection.layers import Layer, constant_places, layers
from edge_deeplab.inspection.words import shape_words

PROGRAM = "graphviz-pure"  # Graphviz, as a package of PyPI brings it: the same bytes on every system
_TIMEOUT = 120.0  # seconds; a network of some hundred operators takes tenths


def graph_dot(graph: Graph) -> str:
    """The operators that work on the input, from top to bottom, as DOT.

    A node has the id ``node-N`` (N: place in the graph's list of operators) and a link to ``#layer-N``; its class is
    what it computes with.
    """
    lines = [
        "digraph model {",
        'graph [bgcolor="transparent", nodesep=0.3, ranksep=0.3];',
        'node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=11, margin="0.12,0.05"];',
        "edge [arrowsize=0.6];",
    ]
    shown = layers(graph)
    producers = {index: f"n{layer.place}" for layer in shown for index in layer.node.outputs}
    for index in graph.inputs:
        value = graph.values[index]
        producers[index] = f"in{index}"
        lines.append(_end(f"in{index}", value, "input"))
    lines += [_node(layer) for layer in shown]
    fixed = constant_places(graph)
    for layer in shown:
        lines += _edges(graph, layer.node.inputs, producers, fixed, f"n{layer.place}")
    for index in graph.outputs:
        lines.append(_end(f"out{index}", graph.values[index], "output"))
        lines += _edges(graph, (index,), producers, fixed, f"out{index}")
    return "\n".join([*lines, "}", ""])


def draw(dot: str) -> str:
    """Lay a graph out, and give it as an <svg> element.

    Raises:
        MissingExtraError: the program is not installed.
        ModelFileError: it does not draw the graph.
    """
    path = os.pathsep.join((sysconfig.get_path("scripts"), os.environ.get("PATH", "")))
    program = shutil.which(PROGRAM, path=path)
    if program is None:
        raise MissingExtraError(PROGRAM, "convert", "drawing a graph")
    try:
        done = subprocess.run(
            [program, "-Tsvg"],
            input=dot,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            encoding="utf-8",
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelFileError(f"the graph is too large to be drawn within {_TIMEOUT:.0f} s: take Netron") from error
    start = done.stdout.find("<svg")
    if done.returncode != 0 or start < 0:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ModelFileError(f"the graph cannot be drawn ({reason})")
    return done.stdout[start:]


def _node(layer: Layer) -> str:
    label = [layer.node.operator, shape_words(layer.outputs[0].shape) if layer.outputs else ""]
    if layer.node.multiply_adds:
        label.append(f"{layer.node.multiply_adds / 1e6:.2f} M ({layer.share:.1%})")
    attributes = {
        "label": "\n".join(label),
        "tooltip": ", ".join(value.name for value in layer.outputs),
        "id": f"node-{layer.place}",
        "class": str(layer.node.arithmetic),
        "URL": f"#layer-{layer.place}",
    }
    return f"n{layer.place} [{_attributes(attributes)}];"


def _end(name: str, value: Value, kind: str) -> str:
    words = {"label": f"{kind}\n{shape_words(value.shape)} {value.type}", "tooltip": value.name, "class": kind}
    return f'{name} [{_attributes(words)}, shape="oval"];'


def _edges(
    graph: Graph, read: tuple[int, ...], producers: Mapping[int, str], fixed: set[int], reader: str
) -> Iterator[str]:
    for index in read:
        if index in producers and index not in fixed:
            value = graph.values[index]
            tooltip = {"edgetooltip": f"{value.name}: {shape_words(value.shape)} {value.type}"}
            yield f"{producers[index]} -> {reader} [{_attributes(tooltip)}];"


def _attributes(values: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={_quoted(value)}" for key, value in values.items())


def _quoted(text: str) -> str:
    """A string of DOT. Names come from a file of anybody's: no control characters, and no escape sequences of DOT."""
    plain = "".join(sign if sign.isprintable() or sign == "\n" else "?" for sign in text)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
