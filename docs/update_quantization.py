"""Write the tables of methods into docs/quantization.md: python docs/update_quantization.py [--check]

From what benchmarks/ptq_methods.py measured (benchmarks/ptq_methods*.json, one network each). With ``--check`` nothing
is written, and the exit status is 1 where the document is not what it would become.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from marked_block import put

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "quantization.md"
FLOAT = "float32"


def tables(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The block in Markdown: file name to what was measured of one network, a table each."""
    if not results:
        return "Not measured yet: `python benchmarks/ptq_methods.py CHECKPOINT DATA --json FILE`.\n"
    return "\n".join(_table(name, result) for name, result in results.items())


def _table(name: str, result: Mapping[str, Any]) -> str:
    rows = result["rows"]
    reference = rows[FLOAT]
    sources = [source for source, value in reference["person IoU"].items() if value is not None]
    heading = (
        f"Width {result['width']}, {result['photos']} photos of the {result['split']} split, calibrated on "
        f"{result['calibration']} (`benchmarks/{name}`). Person IoU and boundary F in points lost against float32:"
    )
    lines = [
        heading,
        "",
        f"| method | mean error | masks agree | {' | '.join(f'IoU {source}' for source in sources)} | boundary F |",
        f"|---|{'---:|' * (len(sources) + 3)}",
        f"| float32 itself | | | {' | '.join(_percent(reference['person IoU'][s]) for s in sources)} "
        f"| {_percent(reference['boundary F']['all'])} |",
    ]
    for method, row in rows.items():
        if method != FLOAT:
            cells = [f"{row['mean error']:.4f}", f"{100 * row['masks agree']:.2f} %"]
            cells += [_lost(reference["person IoU"][s], row["person IoU"][s]) for s in sources]
            cells.append(_lost(reference["boundary F"]["all"], row["boundary F"]["all"]))
            lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %"


def _lost(before: float, after: float) -> str:
    return f"{100 * (before - after):+.2f}"


def main() -> int:
    """Write or check; the exit status."""
    found = {
        path.name: json.loads(path.read_text()) for path in sorted((ROOT / "benchmarks").glob("ptq_methods*.json"))
    }
    remedy = "docs/quantization.md is not in step with what was measured: python docs/update_quantization.py"
    return put(DOCUMENT, "ptq-methods", tables(found), remedy)


if __name__ == "__main__":
    sys.exit(main())
