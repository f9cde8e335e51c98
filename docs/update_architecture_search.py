"""Write the table and the picture of the search for a network: python docs/update_architecture_search.py [--check]

From benchmarks/architecture_search.json (latencies, and what trained models score) and
benchmarks/architecture_runs.json (what networks score after equal, short trainings) into docs/architecture-search.md
and docs/architecture-search.png. With ``--check`` nothing is written, and the exit status is 1 where the document is
not what it would become.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marked_block import put
from pareto_front import pareto_front

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROOT = Path(__file__).resolve().parents[1]
MEASURED = ROOT / "benchmarks" / "architecture_search.json"
TRAINED_SHORTLY = ROOT / "benchmarks" / "architecture_runs.json"
DOCUMENT, PICTURE = ROOT / "docs" / "architecture-search.md", ROOT / "docs" / "architecture-search.png"
REMEDY = "docs/architecture-search.md is not in step with what was measured: python docs/update_architecture_search.py"
NOTHING = "Not measured yet.\n"

# Okabe and Ito's colours (2008), told apart by people with any kind of colour vision; one for each width.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
LIMITS = (1.0, 2.0)  # of the fast model's latency and of the other's, in selfie segmenters


def table(found: Mapping[str, Any]) -> str:
    """The block in Markdown: a row for each network, the quickest first."""
    machine, peer, scores, short = found["machine"], found["against"], found["scores"], worth(found)
    best = pareto_front(short)
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, {machine['date']}; threads: {found['threads']}, "
        f"{found['runs']} rounds in turns; {peer['name']} takes {peer['median_ms']:.2f} ms.",
        "",
        f"| | network | M parameters | M multiply-adds | ms | times {peer['name']} | 95 % interval | short run "
        "| long run |",
        "|---:|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, number in numbered(found).items():
        row = found["candidates"][name]
        ratio = row["ratio"]
        shortly = f"{short[name][1]:.4f}" if name in short else ""
        shown = f"{scores[name]['mean_person_iou']:.4f}" if name in scores else ""
        lines.append(
            f"| {number} | {f'**{name}**' if name in best else name} | {row['parameters'] / 1e6:.2f} | "
            f"{row['multiply_adds'] / 1e6:.0f} | {row['median_ms']:.2f} | {ratio['median']:.2f} | "
            f"{ratio['low']:.2f}-{ratio['high']:.2f} | {shortly} | {shown} |"
        )
    if best:
        lines += ["", "Bold: none with a short run is both quicker and better. Person IoU: mean of the sources."]
    return (
        "\n".join(lines)
        + "\n\n![Multiply-adds and accuracy against latency, numbered as in the table](architecture-search.png)\n"
    )


def numbered(found: Mapping[str, Any]) -> dict[str, int]:
    """The networks from the quickest on, with the numbers that they have in the picture, where no name has room."""
    quickest = sorted(found["candidates"], key=lambda name: found["candidates"][name]["ratio"]["median"])
    return {name: place for place, name in enumerate(quickest, start=1)}


def worth(found: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Of the networks with a short run: name to (ratio of latency, mean person IoU of the sources)."""
    scored = {name: row["person IoU"].values() for name, row in found["short_runs"].items()}
    return {
        name: (found["candidates"][name]["ratio"]["median"], sum(scores) / len(scores))
        for name, scores in scored.items()
    }


def draw(found: Mapping[str, Any], path: Path) -> None:
    """Draw multiply-adds against latency, and beside it accuracy where it is known, with the Pareto front."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    trained = worth(found)
    figure = Figure(figsize=(13 if trained else 7, 5.5), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)  # draws into memory, whatever screen there is or is not
    machine = found["machine"]
    figure.suptitle(f"int8, one run; {machine['processor']}, {machine['cores']} cores, {machine['date']}", fontsize=11)
    panels = figure.subplots(1, 1 + bool(trained), squeeze=False)[0]
    costs = {name: (row["ratio"]["median"], row["multiply_adds"] / 1e6) for name, row in found["candidates"].items()}
    _scatter(panels[0], costs, found)
    panels[0].set_ylabel("million multiply-adds")
    if trained:
        _scatter(panels[1], trained, found)
        panels[1].set_ylabel("person IoU after a short run, mean of the sources")
        front = [trained[name] for name in pareto_front(trained)]
        panels[1].step(*zip(*front, strict=True), where="post", color="black", linestyle="--", linewidth=1, zorder=0)
    figure.savefig(path, metadata={"Software": None})


def _scatter(axes: Axes, points: Mapping[str, tuple[float, float]], found: Mapping[str, Any]) -> None:
    """Points with their numbers, coloured by the backbone's width."""
    numbers = numbered(found)
    widths = {name: row["spec"]["network"]["width_multiplier"] for name, row in found["candidates"].items()}
    # Neighbours have their numbers on different sides, where one does not cover the other.
    side = {name: place % 2 for place, name in enumerate(sorted(points, key=lambda name: points[name]))}
    for colour, width in zip(COLOURS, sorted(set(widths.values())), strict=False):
        shown = {name: place for name, place in points.items() if widths[name] == width}
        if not shown:
            continue
        axes.plot(*zip(*shown.values(), strict=True), "o", color=colour, label=f"width {width:g}")
        for name, place in shown.items():
            offset = ((-12, 5), (5, -11))[side[name]]
            axes.annotate(str(numbers[name]), place, offset, textcoords="offset points", fontsize=9, color=colour)
    for limit in LIMITS:
        axes.axvline(limit, color="grey", linestyle=":")
    axes.margins(x=0.1, y=0.08)
    axes.set_xlabel(f"times as long as {found['against']['name']}")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")


def main() -> int:
    """Write or check; the exit status."""
    found = json.loads(MEASURED.read_text()) if MEASURED.exists() else None
    if found is not None:
        found["short_runs"] = json.loads(TRAINED_SHORTLY.read_text())["rows"] if TRAINED_SHORTLY.exists() else {}
    if found is not None and "--check" not in sys.argv[1:]:
        draw(found, PICTURE)
    return put(DOCUMENT, "architecture-search", NOTHING if found is None else table(found), REMEDY)


if __name__ == "__main__":
    sys.exit(main())
