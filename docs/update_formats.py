"""Write every format's parity with the shipped portrait into README.md: python docs/update_formats.py [--check]

From what benchmarks/portrait_formats.py measured. With ``--check`` nothing is written, and the exit status is 1 where
the document is not what it would become. Where another portrait is shipped by now, the block says that it is about an
earlier one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markdown_table import markdown_table
from marked_block import put

from edge_deeplab.files import sha256
from edge_deeplab.weights import shipped_checkpoint

ROOT = Path(__file__).resolve().parents[1]
MEASURED, DOCUMENT = ROOT / "benchmarks" / "portrait_formats.json", ROOT / "README.md"
REMEDY = "README.md is not in step with what was measured of each format: python docs/update_formats.py"
HEADS = ("target", "MB", "max error", "mean error", "masks agree", "IoU lost, worst source")


def block(found: Mapping[str, Any], shipped_sha256: str) -> str:
    """The sentence and the table in Markdown."""
    machine = found["machine"]
    which = (
        "Every format of the shipped `portrait` against its checkpoint"
        if found["checkpoint_sha256"] == shipped_sha256
        else "Every format of a `portrait` that was shipped earlier against its checkpoint"
    )
    sentence = (
        f"{which} in PyTorch, on the same {found['images']} photos of the {found['split']} split "
        "(`python benchmarks/portrait_formats.py DATA`, by `edge-deeplab convert` and `parity`; "
        f"{machine['processor']}, {machine['system']}, {machine['date']}; Core ML by our executor in float32):"
    )
    rows = [
        [
            target,
            f"{row['bytes'] / 1e6:.1f}",
            f"{row['max_error']:.1e}",
            f"{row['mean_error']:.1e}",
            f"{row['mask_agreement']:.3%}".replace("%", " %"),
            f"{row['iou_drop']:+z.4f}",
        ]
        for target, row in found["rows"].items()
    ]
    failures = [failure for row in found["rows"].values() for failure in row["failures"]]
    told = "".join(f"\nRejected: {failure}.\n" for failure in failures)
    return f"{sentence}\n\n{markdown_table(HEADS, rows)}{told}"


def main() -> int:
    """Write or check; the exit status."""
    found = json.loads(MEASURED.read_text(encoding="utf-8"))
    return put(DOCUMENT, "formats", block(found, sha256(shipped_checkpoint())), REMEDY)


if __name__ == "__main__":
    sys.exit(main())
