"""The page of a comparison: read as a browser reads it."""

from __future__ import annotations

import base64
import datetime
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console

from edge_deeplab.data.sample import Sample
from edge_deeplab.evaluation.exhibits import exhibits
from edge_deeplab.evaluation.page import parity_page
from edge_deeplab.evaluation.parity import Contender, compare
from edge_deeplab.evaluation.parity_images import DatasetImages, NamedImages
from edge_deeplab.evaluation.tables import parity_tables
from edge_deeplab.image import resize_area
from edge_deeplab.spec import Target

HOSTILE = '"><script>alert(1)</script><img src=https://example.org/x onerror=alert(2)>&amp;.tflite'
VOID = {"meta", "img", "br"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def all(self, tag: str) -> list[Element]:
        found = [self] if self.tag == tag else []
        return found + [one for child in self.children for one in child.all(tag)]

    @property
    def words(self) -> str:
        return self.text + " ".join(child.words for child in self.children)


class Reader(HTMLParser):
    """Builds the tree, and refuses what is not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.root = Element("", {})
        self.open = [self.root]
        self.feed(html)
        self.close()
        assert self.open == [self.root], [element.tag for element in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].text += data


def red(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return pixels[:, :, :1].astype(np.float32) / np.float32(255)


def wider(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Two columns more than there are on the left, and one row less."""
    person = red(pixels)
    person[:, 6:8] = 1
    person[:1] = 0
    return person


@pytest.fixture
def page(session_of: Any, dataset_of: Any) -> Callable[..., Element]:
    """The page of one artifact that is right and one that is off, on pictures with masks."""

    def make(*, names: tuple[str, str] = ("right.tflite", "off.tflite"), ids: str = "picture", count: int = 4) -> Any:
        samples = []
        for n in range(count):
            image, mask = np.zeros((24, 32, 3), dtype=np.uint8), np.zeros((24, 32), dtype=np.uint8)
            image[:, 16:, 0] = 255
            mask[:, 16:] = 255
            samples.append(Sample(f"{ids} {n}", "street", image, mask))
        images = DatasetImages(dataset_of(samples), ("person",), f"data {ids}")
        reference = Contender("model.safetensors", session_of(red, height=16, width=16), 9_000_000)
        candidates = [
            Contender(name, session_of(network, height=16, width=16), 2_500_000, Target.parse("tflite-int8"))
            for name, network in zip(names, (red, wider), strict=True)
        ]
        report = compare(reference, candidates, images)
        shown = exhibits(report, reference, candidates, images)
        html = parity_page(report, shown, day=datetime.date(2026, 1, 31), versions={"python": "3.11"})
        return Reader(html).root, html

    return make


def decoded(element: Element) -> Image.Image:
    kind, data = element.attributes["src"].split(",", 1)
    assert kind in ("data:image/png;base64", "data:image/jpeg;base64")
    image = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
    image.load()
    return image


def test_it_leads_with_the_verdict_and_says_what_when_and_who(page: Any) -> None:
    root, _ = page()
    (verdict,) = [div for div in root.all("div") if "verdict" in div.attributes.get("class", "")]
    assert "FAILED" in verdict.words
    assert "1 of 2 artifacts" in verdict.words
    assert any("off.tflite: person IoU drops" in item.words for item in verdict.all("li"))
    told = " ".join(paragraph.words for paragraph in root.all("p"))
    for words in ("4 images", "data picture", "2026-01-31", "python 3.11"):
        assert words in told


def test_the_table_has_a_row_for_each_artifact_with_its_failing_cells_and_the_reasons(page: Any) -> None:
    root, _ = page()
    (body,) = root.all("tbody")
    reference, right, off = body.all("tr")
    headings = len(root.all("thead")[0].all("th"))
    assert [len(row.all("td")) for row in (reference, right, off)] == [headings] * 3
    assert "model.safetensors" in reference.words
    assert "passed" in right.words
    assert not [cell for cell in right.all("td") if "failed" in cell.attributes.get("class", "")]
    failed = [cell for cell in off.all("td") if "failed" in cell.attributes.get("class", "")]
    assert failed[0].words.split()[0] == "FAILED"
    assert len(failed) == 5  # the verdict, mean error, masks, IoU against the reference, drop; int8 has no max error
    assert all("≤ 0.01: 2.5 of the matte" in cell.attributes["title"] for cell in failed[1:2])
    assert "street" in failed[-1].words
    assert all("numpy" in row.all("td")[-1].words for row in (reference, right, off))
    assert "half a point per source" in root.all("dl")[0].words


def test_masks_show_where_each_artifact_has_less_and_more_than_the_reference(page: Any) -> None:
    root, _ = page()
    figures = root.all("section")[0].all("figure")
    names = [figure.all("b")[0].words for figure in figures]
    assert names == ["photo", "true mask", "model.safetensors", "right.tflite", "off.tflite"]
    assert "8 pixels missing, 30 added" in figures[-1].words
    assert any("missing (the reference has a person there)" in one.words for one in root.all("p"))
    off = np.asarray(decoded(figures[-1].all("img")[0]))
    assert (np.count_nonzero(off == 2), np.count_nonzero(off == 3)) == (8, 30)
    assert not (np.asarray(decoded(figures[-2].all("img")[0])) > 1).any()
    photo = decoded(figures[0].all("img")[0])
    assert (photo.mode, photo.size) == ("RGB", (32, 24))


def test_nothing_is_fetched_and_nothing_runs(page: Any) -> None:
    root, html = page()
    assert not root.all("script")
    assert not root.all("link")
    assert "://" not in html
    assert "url(" not in html
    for element in root.all("img"):
        decoded(element)
    assert not root.all("a")


def test_names_are_words_whatever_is_in_them(page: Any) -> None:
    root, _ = page(names=(HOSTILE, "off.tflite"), ids=HOSTILE)
    assert not root.all("script")
    assert all(element.attributes["src"].startswith("data:") for element in root.all("img"))
    assert all(set(element.attributes) <= {"class", "style", "alt", "src"} for element in root.all("img"))
    assert HOSTILE in root.all("tbody")[0].all("tr")[1].words
    assert HOSTILE in root.all("h3")[0].words
    assert HOSTILE in root.all("img")[0].attributes["alt"]


def test_it_shows_the_worst_of_each_artifact_and_stays_small(session_of: Any) -> None:
    """Thirteen artifacts, each wrong on a noisy photo of its own, at the size of the shipped model."""
    rng = np.random.default_rng(0)
    images = NamedImages([(f"noise {n}", rng.integers(0, 256, (300, 400, 3), dtype=np.uint8)) for n in range(40)])

    def wrong_on(n: int) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
        mine = resize_area(images[n].rgb, 256, 256)
        return lambda pixels: 1 - red(pixels) if np.array_equal(pixels, mine) else red(pixels)

    reference = Contender("reference", session_of(red, height=256, width=256), 1)
    candidates = [
        Contender(f"{n}.tflite", session_of(wrong_on(n), height=256, width=256), 1, Target.parse("tflite-int8"))
        for n in range(13)
    ]
    report = compare(reference, candidates, images)
    shown = exhibits(report, reference, candidates, images)
    assert {f"noise {n}" for n in range(12)} <= {one.image.id for one in shown}
    assert len(shown) == 14  # three spread ones, of which one is among the worst
    html = parity_page(report, shown, day=datetime.date(2026, 1, 31), versions={})
    assert 1_000_000 < len(html) < 3_000_000
    assert Reader(html).root.all("h3")[0].words == "noise 0"


def test_of_several_classes_the_one_that_keeps_least_is_named(session_of: Any) -> None:
    """Red is a cat, blue a bottle of two pixels, of which the other file loses one: it passes, and it is said."""

    def seen(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        scores = (pixels.astype(np.float32) / np.float32(255))[:, :, [1, 0, 2]]
        scores[:, :, 0] = 1 - scores.max(axis=2)
        return scores

    def blind(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        pixels = pixels.copy()
        pixels[31, 31] = 0
        return seen(pixels)

    photo = np.zeros((32, 32, 3), dtype=np.uint8)
    photo[:30, :, 0] = photo[31, 30:, 2] = 255
    classes = ("background", "cat", "bottle")
    reference, *candidates = [
        Contender(name, session_of(network, height=32, width=32, classes=classes), 1, target)
        for name, network, target in (
            ("model.safetensors", seen, None),
            ("same.tflite", seen, Target.parse("tflite-int8")),
            ("off.tflite", blind, Target.parse("tflite-int8")),
        )
    ]
    images = NamedImages([("photo", photo)])
    report = compare(reference, candidates, images)
    assert report.passed
    console = Console(width=120, record=True, force_terminal=False, file=io.StringIO())
    console.print(parity_tables(report, width=120))
    assert "least alike: bottle (IoU 0.5000, 2 pixels): off.tflite\n" in console.export_text()
    shown = exhibits(report, reference, candidates, images)
    html = parity_page(report, shown, day=datetime.date(2026, 1, 31), versions={"python": "3.11"})
    (legend,) = [one.words for one in Reader(html).root.all("p") if "missing" in one.words]
    assert "missing (the reference has a class there, and the artifact not the same)" in legend
    assert "person" not in legend
    assert "The class that keeps least of its mask: off.tflite bottle (IoU 0.5000, 2 pixels)." in html
    assert [one["name"] for one in report.to_dict()["artifacts"][1]["classes"]] == ["cat", "bottle"]
