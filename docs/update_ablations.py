"""Write what each part of a recipe brings: python docs/update_ablations.py [--check]

From benchmarks/ablations.json into docs/training.md. With ``--check`` nothing is written, and the exit status is 1
where the document is not what it would become.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markdown_table import markdown_table
from marked_block import put

ROOT = Path(__file__).resolve().parents[1]
MEASURED, DOCUMENT = ROOT / "benchmarks" / "ablations.json", ROOT / "docs" / "training.md"
REMEDY = "docs/training.md is not in step with what was measured: python docs/update_ablations.py"
RECIPE, SEED = "the recipe", "another seed"  # rows: what the others are compared with, and how far chance goes


def block(found: Mapping[str, Any]) -> str:
    """The table in Markdown: the recipe's scores, and in points how far each change is from them."""
    machine, rows = found["machine"], found["rows"]
    recipe = _points(rows[RECIPE])
    changes = [name for name in dict.fromkeys((SEED, *rows)) if name in rows and name != RECIPE]
    cells = [[RECIPE, *(f"{value:.1f}" for value in recipe.values())]]
    cells += [
        [name, *(f"{value - recipe[key]:+.1f}" for key, value in _points(rows[name]).items())] for name in changes
    ]
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['date']}.\n\n"
        + markdown_table(["", *recipe], cells)
        + "\n"
    )


def _points(row: Mapping[str, Any]) -> dict[str, float]:
    """Scores in hundredths."""
    sources = row["person IoU"]
    return {
        **{source: 100 * iou for source, iou in sources.items()},
        "mean": 100 * sum(sources.values()) / len(sources),
        "boundary F": 100 * row["boundary F"],
        "false person": 100 * row["false person"],
    }


def main() -> int:
    """Write or check; the exit status."""
    return put(DOCUMENT, "ablations", block(json.loads(MEASURED.read_text())), REMEDY)


if __name__ == "__main__":
    sys.exit(main())
