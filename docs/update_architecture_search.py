"""Write the table and the picture of the search for a network: python docs/update_architecture_search.py [--check]

From benchmarks/architecture_search.json into docs/architecture-search.md and docs/architecture-search.png. With
``--check`` nothing is written, and the exit status is 1 where the document is not what it would become.
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
DOCUMENT, PICTURE = ROOT / "docs" / "architecture-search.md", ROOT / "docs" / "architecture-search.png"
REMEDY = "docs/architecture-search.md is not in step with what was measured: python docs/update_architecture_search.py"
NOTHING = "Not measured yet.\n"

# Okabe and Ito's colours (2008), told apart by people with any kind of colour vision; one for each width.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
LIMITS = (1.0, 2.0)  # of the fast model's latency and of the other's, in selfie segmenters


def table(found: Mapping[str, Any]) -> str:
    """The block in Markdown: a row for each network, the quickest first."""
    machine, peer, scores = found["machine"], found["against"], found["scores"]
    best = pareto_front(worth(found))
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, {machine['date']}; threads: {found['threads']}, "
        f"{found['runs']} rounds in turns; {peer['name']} takes {peer['median_ms']:.2f} ms.",
        "",
        f"| network | M parameters | M multiply-adds | ms | times {peer['name']} | 95 % interval | val IoU |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, row in sorted(found["candidates"].items(), key=lambda item: item[1]["ratio"]["median"]):
        ratio = row["ratio"]
        shown = f"{scores[name]['mean_person_iou']:.4f}" if name in scores else ""
        lines.append(
            f"| {f'**{name}**' if name in best else name} | {row['parameters'] / 1e6:.2f} | "
            f"{row['multiply_adds'] / 1e6:.0f} | {row['median_ms']:.2f} | {ratio['median']:.2f} | "
            f"{ratio['low']:.2f}-{ratio['high']:.2f} | {shown} |"
        )
    if best:
        lines += ["", "Bold: none that was trained is both quicker and better. val IoU: mean of the sources."]
    return "\n".join(lines) + "\n\n![Multiply-adds and accuracy against latency](architecture-search.png)\n"


def worth(found: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Of the trained networks: name to (ratio of latency, mean person IoU on val)."""
    return {
        name: (found["candidates"][name]["ratio"]["median"], scores["mean_person_iou"])
        for name, scores in found["scores"].items()
        if name in found["candidates"]
    }


def draw(found: Mapping[str, Any], path: Path) -> None:
    """Draw multiply-adds against latency, and beside it accuracy where it is known, with the Pareto front."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    trained = worth(found)
    figure = Figure(figsize=(15 if trained else 9, 6.5), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)  # draws into memory, whatever screen there is or is not
    machine = found["machine"]
    figure.suptitle(f"int8, one run; {machine['processor']}, {machine['cores']} cores, {machine['date']}", fontsize=11)
    panels = figure.subplots(1, 1 + bool(trained), squeeze=False)[0]
    of_widths = _by_width(found["candidates"])
    costs = {name: (row["ratio"]["median"], row["multiply_adds"] / 1e6) for name, row in found["candidates"].items()}
    _scatter(panels[0], costs, of_widths, found["against"]["name"])
    panels[0].set_ylabel("million multiply-adds")
    if trained:
        _scatter(panels[1], trained, of_widths, found["against"]["name"])
        panels[1].set_ylabel("person IoU on val, mean of the sources")
        front = [trained[name] for name in pareto_front(trained)]
        panels[1].step(*zip(*front, strict=True), where="post", color="black", linestyle="--", linewidth=1, zorder=0)
    figure.savefig(path, metadata={"Software": None})


def _by_width(candidates: Mapping[str, Any]) -> dict[float, list[str]]:
    found: dict[float, list[str]] = {}
    for name, row in candidates.items():
        found.setdefault(row["spec"]["network"]["width_multiplier"], []).append(name)
    return dict(sorted(found.items()))


def _scatter(
    axes: Axes, points: Mapping[str, tuple[float, float]], of_widths: Mapping[float, list[str]], peer: str
) -> None:
    """Points with their names, coloured by the backbone's width."""
    for colour, (width, names) in zip(COLOURS, of_widths.items(), strict=False):
        shown = [name for name in names if name in points]
        axes.plot(*zip(*(points[name] for name in shown), strict=True) if shown else ((), ()), "o", color=colour,
                  label=f"width {width:g}")  # fmt: skip
        for name in shown:
            axes.annotate(
                name.partition("-")[2], points[name], (5, 3), textcoords="offset points", fontsize=7, color=colour
            )
    for limit in LIMITS:
        axes.axvline(limit, color="grey", linestyle=":")
    axes.margins(x=0.15, y=0.08)
    axes.set_xlabel(f"times as long as {peer}")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")


def main() -> int:
    """Write or check; the exit status."""
    found = json.loads(MEASURED.read_text()) if MEASURED.exists() else None
    if found is not None and "--check" not in sys.argv[1:]:
        draw(found, PICTURE)
    return put(DOCUMENT, "architecture-search", NOTHING if found is None else table(found), REMEDY)


if __name__ == "__main__":
    sys.exit(main())
