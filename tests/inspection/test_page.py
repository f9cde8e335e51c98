"""The page of a model file: its drawing, its rows, and names that try to break out of it."""

from __future__ import annotations

import html.parser
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from edge_deeplab.cli.main import run
from edge_deeplab.errors import MissingExtraError
from edge_deeplab.inspection.dot import draw, graph_dot
from edge_deeplab.inspection.graph import weight_bytes
from edge_deeplab.inspection.layers import layers
from edge_deeplab.inspection.opening import inspect_file, read_graph
from edge_deeplab.inspection.page import inspection_page
from edge_deeplab.spec import Precision
from edge_deeplab.weights import shipped_checkpoint, shipped_model

SVG = "{http://www.w3.org/2000/svg}"
NASTY = '"]; x [label="<script>alert(1)</script>\\n\\N &amp; \x07'


@pytest.fixture(scope="module")
def page() -> str:
    graph = read_graph(shipped_model())
    return inspection_page(inspect_file(shipped_model()), graph, draw(graph_dot(graph)))


def test_every_operator_is_drawn_and_has_a_row(page: str) -> None:
    graph = read_graph(shipped_model())
    drawing = ElementTree.fromstring(page[page.index("<svg") : page.index("</svg>") + len("</svg>")])
    nodes = [each for each in drawing.iter(f"{SVG}g") if "node" in each.get("class", "").split()]
    edges = [each for each in drawing.iter(f"{SVG}g") if each.get("class") == "edge"]
    assert len(nodes) == len(graph.nodes) + 2  # and the two ends
    computed = {index for node in graph.nodes for index in node.outputs} | set(graph.inputs)
    reads = sum(len(computed & set(node.inputs)) for node in graph.nodes)
    assert len(edges) == reads + 1  # and the one to the output
    places = {each.get("id", "").removeprefix("node-") for each in nodes if each.get("id", "").startswith("node-")}
    assert places == set(re.findall(r'<tr id="layer-(\d+)"', page)) == {str(i) for i in range(len(graph.nodes))}
    for node in nodes:
        if node.get("id", "").startswith("node-"):
            place = int(node.get("id", "").removeprefix("node-"))
            words = [text.text for text in node.iter(f"{SVG}text")]
            assert words[0] == graph.nodes[place].operator
            assert graph.nodes[place].arithmetic in node.get("class", "").split()


def test_costs_and_bytes_add_up() -> None:
    summary, shown = inspect_file(shipped_model()), layers(read_graph(shipped_model()))
    assert sum(layer.node.multiply_adds or 0 for layer in shown) == summary.multiply_adds
    assert sum(layer.share or 0.0 for layer in shown) == pytest.approx(1)
    assert sum(layer.stored for layer in shown) == sum(summary.weights.values())


def test_it_is_whole_and_the_same_each_time(page: str) -> None:
    fetched = []

    class Loader(html.parser.HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            links = {name: value or "" for name, value in attrs if name in ("src", "href", "xlink:href")}
            fetched.extend(link for link in links.values() if not link.startswith("#"))
            assert tag not in ("script", "link", "img", "iframe", "object")

    Loader().feed(page)
    assert fetched == []
    graph = read_graph(shipped_model())
    assert inspection_page(inspect_file(shipped_model()), graph, draw(graph_dot(graph))) == page


@pytest.mark.convert
def test_float16_weights_are_unpacked_out_of_sight_and_counted(
    small_flatbuffers: Mapping[Precision, bytes], tmp_path: Path
) -> None:
    path = tmp_path / "small.tflite"
    path.write_bytes(small_flatbuffers[Precision.FLOAT16])
    graph = read_graph(path)
    shown = layers(graph)
    assert {"DEQUANTIZE"} == {node.operator for node in graph.nodes} - {layer.node.operator for layer in shown}
    assert sum(layer.stored for layer in shown) == sum(weight_bytes(graph).values())


def test_names_of_a_foreign_file_stay_text(published: Callable[..., Path], tmp_path: Path) -> None:
    def nasty(sketch: Any) -> None:
        for index in (sketch.graph.inputs[0], *sketch.graph.operators[3].outputs):
            sketch.graph.tensors[index].name = NASTY

    path, out = published(nasty), tmp_path / "page.html"
    assert run(["inspect", str(path), "--html", str(out)]) == 0
    text = out.read_text()
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    drawing = ElementTree.fromstring(text[text.index("<svg") : text.index("</svg>") + len("</svg>")])
    assert (
        sum("node" in each.get("class", "").split() for each in drawing.iter(f"{SVG}g"))
        == len(read_graph(path).nodes) + 2
    )


def test_bad_input_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "page.html"
    (tmp_path / "cut.tflite").write_bytes(shipped_model().read_bytes()[:5000])
    for words, status, message in (
        ([str(tmp_path / "cut.tflite")], 1, "truncated or damaged"),
        ([str(shipped_checkpoint())], 1, "holds no graph"),
        ([str(shipped_model()), "--json"], 2, "does not go with --html"),
    ):
        assert run(["inspect", *words, "--html", str(out)]) == status
        assert message in capsys.readouterr().err
        assert not out.exists()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    with pytest.raises(MissingExtraError, match="graphviz-pure"):
        draw(graph_dot(read_graph(shipped_model())))
