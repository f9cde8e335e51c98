"""Write every format's parity with the shipped portrait into README.md, and the Core ML packages' into docs/coreml.md.

    python docs/update_formats.py [--check]

From what benchmarks/portrait_formats.py measured. With ``--check`` nothing is written, and the exit status is 1 where a
document is not what it would become. Where another portrait is shipped by now, the blocks say that they are about an
earlier one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markdown_table import markdown_table
from marked_block import put

from edge_deeplab.files import sha256
from edge_deeplab.spec import Format, Target
from edge_deeplab.weights import shipped_checkpoint

ROOT = Path(__file__).resolve().parents[1]
MEASURED = ROOT / "benchmarks" / "portrait_formats.json"
# A document, and the targets that its table is about.
TABLES = {
    ROOT / "README.md": Target.all(),
    ROOT / "docs" / "coreml.md": tuple(target for target in Target.all() if target.format is Format.COREML),
}
REMEDY = "{} is not in step with what was measured of each format: python docs/update_formats.py"
HEADS = ("target", "MB", "max error", "mean error", "masks agree", "IoU lost, worst source")


def block(found: Mapping[str, Any], shipped_sha256: str, targets: Sequence[Target]) -> str:
    """The sentence and the table of some targets in Markdown."""
    chosen = {str(target): found["rows"][str(target)] for target in targets}
    machine = found["machine"]
    which = (
        "The shipped `portrait`'s formats against its checkpoint"
        if found["checkpoint_sha256"] == shipped_sha256
        else "The formats of a `portrait` that was shipped earlier against its checkpoint"
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
        for target, row in chosen.items()
    ]
    failures = [failure for row in chosen.values() for failure in row["failures"]]
    told = "".join(f"\nRejected: {failure}.\n" for failure in failures)
    return f"{sentence}\n\n{markdown_table(HEADS, rows)}{told}"


def main() -> int:
    """Write or check; the exit status."""
    found = json.loads(MEASURED.read_text(encoding="utf-8"))
    shipped = sha256(shipped_checkpoint())
    return max(
        put(document, "formats", block(found, shipped, targets), REMEDY.format(document.name))
        for document, targets in TABLES.items()
    )


if __name__ == "__main__":
    sys.exit(main())
