"""docs/models-compared.md and its picture show what was measured."""

from __future__ import annotations

import importlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

DOCS = Path(__file__).resolve().parents[2] / "docs"
SCRIPT = DOCS / "update_models_compared.py"


@pytest.fixture
def picture_module(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(DOCS)
    return importlib.import_module("models_compared_picture")


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(DOCS)
    return importlib.import_module("update_models_compared")


def numbers(person_iou: float | None, images: int = 4, false_person: float | None = None) -> dict[str, Any]:
    return {
        "images": images,
        "negatives": 0 if false_person is None else images,
        "person_iou": person_iou,
        "boundary_f": person_iou,
        "false_person": false_person,
    }


def record(name: str, iou: float, *, ours: bool) -> dict[str, Any]:
    scored = {
        "total": numbers(iou, false_person=0.034),
        "sources": {"street": numbers(iou), "walls": numbers(None, 2, 0.034)},
    }
    return {
        "name": name,
        "file": f"{name}.tflite",
        "ours": ours,
        "bytes": 2_500_000,
        "identity": {"sha256": name},
        "height": 192,
        "width": 256,
        "runtime": "LiteRT",
        "preprocessing": "takes RGB",
        "machine": {"processor": "a processor", "date": "2026-01-01"},
        **scored,
        "sizes": {"0 to 5 %": numbers(iou - 0.3), "over 50 %": numbers(iou)},
        "undisturbed": {"total": numbers(0.8)},
        "disturbed": {"noise": {"total": numbers(0.7)}, "JPEG": {"total": numbers(0.75)}},
        "film": {"frames": 3, "person_iou": iou, "dt_ssd": 0.0123, "flicker": None},
    }


@pytest.fixture
def found() -> dict[str, Any]:
    """A comparison of two models, one of which was timed."""
    return {
        "conditions": {
            "split": "test",
            "photos": {"street": 4, "walls": 2},
            "disturbed_photos": {"street": 2, "walls": 1},
            "film": "jump",
            "limit": None,
            "probability_threshold": 0.5,
            "boundary_tolerance": 0.008,
            "disturbances": {"noise": "much", "JPEG": "quality 2"},
        },
        "latency": {
            "machine": {"processor": "a processor", "cores": 2, "date": "2026-01-01"},
            "threads": 1,
            "rounds": 9,
            "against": "theirs",
            "models": [{"identity": {"sha256": "own"}, "median_ms": 4.25, "ratio": [1.75, 1.7, 1.8]}],
        },
        "left_out": [{"name": "lost", "reason": "no network"}],
        "models": [record("own", 0.9, ours=True), record("theirs", 0.85, ours=False)],
    }


def test_the_page_is_that_of_the_measurements() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_number_has_its_place(script: Any, found: dict[str, Any]) -> None:
    assert script.scores(found).splitlines() == [
        "| model | input | MB | ms | times | street | boundary F | false person |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
        "| **own** | 256x192 | 2.5 | 4.2 | 1.75 | 0.900 | 0.900 | 3.40 % |",
        "| theirs | 256x192 | 2.5 |  |  | 0.850 | 0.850 | 3.40 % |",
    ]
    assert "| **own** | 0.600 | 0.900 |" in script.sizes(found)
    assert "| **own** | 0.800 | 0.700 | 0.750 |" in script.disturbed(found)
    assert "| theirs | 0.850 | 12.3 |  |" in script.film(found)
    assert "street 4, walls 2; 3 of them disturbed; film: jump" in script.conditions(found)
    assert "Not measured: lost (no network)." in script.conditions(found)
    assert "| theirs | theirs.tflite | LiteRT | takes RGB |" in script.feeding(found)
    assert "quick look" not in script.conditions(found)
    found["latency"], found["conditions"]["limit"] = None, 4
    assert "Latency was not measured" in script.conditions(found)
    assert "A quick look at 4 photos of each source" in script.conditions(found)


def test_what_ours_cannot_do_comes_from_the_numbers_and_the_card(script: Any, found: dict[str, Any]) -> None:
    words = script.limits(found)
    assert "IoU 0.600 where the person fills 0 to 5 % of the photo (4 photos), 0.900 at over 50 % (4)." in words
    assert "noise (10.0 points of IoU), JPEG (5.0 points of IoU)." in words
    assert "calls 3.4 % of the pixels one" in words
    assert "theirs" not in words
    shipped = json.loads((DOCS.parent / "edge_deeplab/weights/portrait.json").read_text())
    found["models"][0]["file"] = "portrait.tflite"
    assert shipped["known_failures"][0] in script.limits(found)


def test_the_front_has_who_is_not_beaten(picture_module: Any) -> None:
    def point(name: str, milliseconds: float | None, accuracy: float) -> Any:
        # Two sources of different weight, did a photo and not a source count.
        return picture_module.Point(name, False, milliseconds, {"a": accuracy - 0.1, "b": accuracy + 0.1})

    points = [
        point("slow and good", 9, 0.9),
        point("quick", 1, 0.7),
        point("as quick and worse", 1, 0.6),
        point("slower and worse", 5, 0.65),
        point("slower and as good", 10, 0.9),
        point("not timed", None, 0.99),
    ]
    assert [one.name for one in picture_module.front(points)] == ["quick", "slow and good"]


def test_the_picture_is_the_same_each_time(script: Any, found: dict[str, Any]) -> None:
    drawn = script.draw(found)
    assert drawn == script.draw(found)
    with Image.open(io.BytesIO(drawn)) as image:
        assert image.size[0] == 1300
        colours = {colour for _, colour in image.convert("RGB").getcolors(1 << 20)}
    assert (0xD5, 0x5E, 0x00) in colours  # ours


def test_names_of_models_that_are_alike_cover_one_another_nowhere(picture_module: Any) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    places = {
        "alike": (4.3, 0.886),
        "twin": (4.3, 0.886),
        "a bit worse": (3.8, 0.88),
        "the best": (7.7, 0.9),
        "far": (60.0, 0.6),
    }
    points = [picture_module.Point(name, False, ms, {"street": iou}) for name, (ms, iou) in places.items()]
    figure = Figure(figsize=(6, 8))
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.semilogx([point.milliseconds for point in points], [point.accuracy for point in points], "o")
    figure.draw_without_rendering()
    picture_module.label(axes, points)
    boxes = {text.get_text(): text.get_window_extent() for text in axes.texts}
    assert set(boxes) == set(places)
    assert not [(a, b) for a in boxes for b in boxes if a < b and boxes[a].overlaps(boxes[b])]
