"""Write what a mask of so many cells could score: python docs/update_mask_limits.py [--check]

From benchmarks/mask_limits.json into docs/training.md. With ``--check`` nothing is written, and the exit status is 1
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
MEASURED, DOCUMENT = ROOT / "benchmarks" / "mask_limits.json", ROOT / "docs" / "training.md"
REMEDY = "docs/training.md is not in step with what was measured: python docs/update_mask_limits.py"


def block(found: Mapping[str, Any]) -> str:
    """The table in Markdown: person IoU, and the boundary's F behind it."""
    sources = list(found["photos"])
    rows = [
        [f"{side}x{side}", *(f"{iou[source]:.3f}, {found['boundary_f'][side][source]:.3f}" for source in sources)]
        for side, iou in found["person_iou"].items()
    ]
    counts = ", ".join(f"{source} {count}" for source, count in found["photos"].items())
    return (
        f"Split {found['split']} ({counts}); person IoU, boundary F.\n\n{markdown_table(['cells', *sources], rows)}\n"
    )


def main() -> int:
    """Write or check; the exit status."""
    return put(DOCUMENT, "mask-limits", block(json.loads(MEASURED.read_text())), REMEDY)


if __name__ == "__main__":
    sys.exit(main())
