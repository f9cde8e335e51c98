"""Write the tables and the picture of docs/models-compared.md: python docs/update_models_compared.py [--check]

From what benchmarks/compare_models.py measured (models_compared.json beside it) and the cards of the shipped models.
With ``--check`` nothing is written, and the exit status is 1 where the document is not what it would become.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markdown_table import markdown_table
from marked_block import put
from models_compared_picture import Point, picture

from edge_deeplab.files import write_bytes
from edge_deeplab.runtime.contract import plural_threads
from edge_deeplab.weights.card import load_card

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "models-compared.md"
MEASURED = ROOT / "benchmarks" / "models_compared.json"
PICTURE = ROOT / "docs" / "models-compared.png"
CARDS = ROOT / "edge_deeplab" / "weights"
REMEDY = "docs/models-compared.md is not in step with what was measured: python docs/update_models_compared.py"

Found = Mapping[str, Any]
Record = Mapping[str, Any]


def positive_sources(found: Found) -> list[str]:
    """The sources that have persons."""
    return [name for name, scores in found["models"][0]["sources"].items() if scores["person_iou"] is not None]


def latency_of(found: Found, record: Record) -> Record | None:
    """What was timed of a model, if it was."""
    timed = found["latency"]["models"] if found["latency"] else []
    return next((one for one in timed if one["identity"] == record["identity"]), None)


def conditions(found: Found) -> str:
    """On what, and where."""
    held = found["conditions"]
    photos = ", ".join(f"{source} {count}" for source, count in held["photos"].items())
    disturbed = sum(held["disturbed_photos"].values())
    machine = found["models"][0]["machine"]
    lines = [
        f"Photos of the {held['split']} split: {photos}; {disturbed} of them disturbed; "
        f"film: {held['film'] or 'none'}. Threshold {held['probability_threshold']:g}, boundary within "
        f"{100 * held['boundary_tolerance']:g} % of the diagonal. "
        f"Measured on {machine['processor']}, {machine['date']}."
    ]
    if held["limit"]:
        lines.insert(0, f"**A quick look at {held['limit']} photos of each source: no more than a hint.**")
    if found["latency"]:
        timed = found["latency"]
        machine = timed["machine"]
        lines.append(
            f"Latency: median of {timed['rounds']} rounds in turns, threads: {timed['threads']}, on "
            f"{machine['processor']}, {machine['cores']} cores, {machine['date']}; beside it how many times as long as "
            f"{timed['against']}."
        )
        lines.append(f"![Accuracy against latency, and each source]({PICTURE.name})")
    else:
        lines.append("Latency was not measured in this run.")
    if found["left_out"]:
        left_out = "; ".join(f"{one['name']} ({one['reason']})" for one in found["left_out"])
        lines.append(f"Not measured: {left_out}.")
    return "\n\n".join(lines) + "\n"


def scores(found: Found) -> str:
    """Person IoU by source, boundary F, false persons, size and latency."""
    sources = positive_sources(found)
    heads = ("model", "input", "MB", "ms", "times", *sources, "boundary F", "false person")
    rows = []
    for record in found["models"]:
        time = latency_of(found, record)
        rows.append(
            (
                _name(record),
                f"{record['width']}x{record['height']}",
                f"{record['bytes'] / 1e6:.1f}",
                f"{time['median_ms']:.1f}" if time else "",
                f"{time['ratio'][0]:.2f}" if time and time["ratio"] else "",
                *(_decimals(record["sources"][source]["person_iou"]) for source in sources),
                _decimals(record["total"]["boundary_f"]),
                _percent(record["total"]["false_person"]),
            )
        )
    return markdown_table(heads, rows)


def sizes(found: Found) -> str:
    """Person IoU by the person's part of the photo."""
    names = list(found["models"][0]["sizes"])
    photos = [str(scores["images"]) for scores in found["models"][0]["sizes"].values()]
    rows = [
        (_name(record), *(_decimals(scores["person_iou"]) for scores in record["sizes"].values()))
        for record in found["models"]
    ]
    return markdown_table(("model", *names), [("photos", *photos), *rows])


def disturbed(found: Found) -> str:
    """Person IoU on the same photos as they are and disturbed."""
    strengths = found["conditions"]["disturbances"]
    rows = [
        (
            _name(record),
            *(
                _decimals(each["total"]["person_iou"])
                for each in (record["undisturbed"], *record["disturbed"].values())
            ),
        )
        for record in found["models"]
    ]
    what = "".join(f"- {name}: {strength}\n" for name, strength in strengths.items())
    return markdown_table(("model", "as they are", *strengths), rows) + "\n" + what


def film(found: Found) -> str:
    """Person IoU, dtSSD and flicker on the film."""
    rows = [
        (
            _name(record),
            _decimals(record["film"]["person_iou"]),
            f"{1000 * record['film']['dt_ssd']:.1f}",
            "" if record["film"]["flicker"] is None else f"{1000 * record['film']['flicker']:.2f}",
        )
        for record in found["models"]
        if record["film"]
    ]
    if not rows:
        return "No film was measured.\n"
    return markdown_table(("model", "person IoU", "dtSSD, 1e-3", "flicker, 1e-3"), rows)


def feeding(found: Found) -> str:
    """How each model is fed and read, and who executed it."""
    rows = [(_name(one), one["file"], one["runtime"], one["preprocessing"]) for one in found["models"]]
    return markdown_table(("model", "file", "executed by", "fed and read"), rows, numbers=False)


def limits(found: Found) -> str:
    """What our models cannot do: where these numbers are low, and what their cards say."""
    blocks = []
    for record in found["models"]:
        if not (record["ours"] and record["file"].endswith(".tflite")):
            continue
        sentences = [_weak_sizes(record), _weak_conditions(record), _false_persons(record)]
        card = CARDS / f"{Path(record['file']).stem}.json"
        if card.is_file():
            sentences += load_card(card).known_failures
        lines = "".join(f"- {sentence}\n" for sentence in sentences if sentence)
        blocks.append(f"**{record['name']}**\n\n{lines}")
    return "\n".join(blocks)


def _weak_sizes(record: Record) -> str:
    if len(record["sizes"]) < 2:
        return ""
    (small, few), *_, (large, many) = record["sizes"].items()
    return (
        f"Small persons: IoU {_decimals(few['person_iou'])} where the person fills {small} of the photo "
        f"({few['images']} photos), {_decimals(many['person_iou'])} at {large} ({many['images']})."
    )


def _weak_conditions(record: Record) -> str:
    before = record["undisturbed"]["total"]["person_iou"]
    lost = {name: 100 * (before - each["total"]["person_iou"]) for name, each in record["disturbed"].items()}
    worst = sorted(lost, key=lambda name: -lost[name])[:3]
    return "What costs most: " + ", ".join(f"{name} ({lost[name]:.1f} points of IoU)" for name in worst) + "."


def _false_persons(record: Record) -> str:
    total = record["total"]
    if total["false_person"] is None:
        return ""
    percent = f"{100 * total['false_person']:.1f} %"
    return f"On {total['negatives']} photos without a person it calls {percent} of the pixels one."


def _name(record: Record) -> str:
    return f"**{record['name']}**" if record["ours"] else record["name"]


def _decimals(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2f} %"


def draw(found: Found) -> bytes:
    """The picture, as a PNG file."""
    sources = positive_sources(found)
    points = []
    for record in found["models"]:
        time = latency_of(found, record)
        points.append(
            Point(
                name=record["name"],
                ours=record["ours"],
                milliseconds=time["median_ms"] if time else None,
                sources={source: record["sources"][source]["person_iou"] for source in sources},
            )
        )
    held, machine = found["conditions"], found["latency"]["machine"]
    photos = sum(held["photos"][source] for source in sources)
    title = (
        f"{photos} photos of the {held['split']} split; {plural_threads(found['latency']['threads'])}, "
        f"{machine['processor']}, {machine['date']}"
    )
    return picture(points, title)


def main() -> int:
    """Write or check; the exit status."""
    found = json.loads(MEASURED.read_text())
    if found["latency"] and "--check" not in sys.argv[1:]:
        write_bytes(PICTURE, draw(found))
    status = 0
    for make in (conditions, scores, sizes, disturbed, film, feeding, limits):
        status |= put(DOCUMENT, f"models-{make.__name__}", make(found), REMEDY)
    return status


if __name__ == "__main__":
    sys.exit(main())
