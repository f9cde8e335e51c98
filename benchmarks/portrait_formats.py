"""Every format of the shipped portrait against its checkpoint, as README shows it.

    python benchmarks/portrait_formats.py DATA [--split test] [--json FILE]

Runs ``edge-deeplab convert --target all`` and ``edge-deeplab parity`` in a folder that is thrown away (minutes), and
keeps of the report what the table needs: a row for each target, and what it fails. docs/update_formats.py writes it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_deeplab.cli.main import run
from edge_deeplab.evaluation.machine import describe_machine
from edge_deeplab.files import sha256, write_json
from edge_deeplab.spec import Target
from edge_deeplab.weights import shipped_checkpoint

MEASURED = Path(__file__).with_suffix(".json")
PACKAGES = ["torch", "tensorflow", "ai-edge-litert", "onnxruntime", "coremltools", "numpy"]


def main() -> int:
    """Measure and write; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="photos with masks")
    parser.add_argument("--split", default="test")
    parser.add_argument("--json", type=Path, default=MEASURED)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files, out = Path(folder) / "files", Path(folder) / "report"
        status = run(["convert", "portrait", "--target", "all", "--out", str(files)])
        if status:
            return status
        made = sorted(str(path) for path in files.iterdir() if path.suffix in {".onnx", ".tflite", ".mlpackage"})
        data = ["--data", str(arguments.data), "--split", arguments.split]
        status = run(["parity", "portrait", *made, *data, "--out", str(out)])
        if not (out / "parity.json").is_file():  # it is there, too, where a file is further off than it may be
            return status
        report = json.loads((out / "parity.json").read_text(encoding="utf-8"))
    found = {
        "checkpoint_sha256": sha256(shipped_checkpoint()),
        "split": arguments.split,
        "images": report["images"],
        "machine": describe_machine(PACKAGES),
        "rows": {str(target): _row(report, str(target)) for target in Target.all()},
    }
    write_json(arguments.json, found)
    return 0


def _row(report: Mapping[str, Any], target: str) -> dict[str, Any]:
    """What the table says of a target, of a parity report as JSON."""
    (artifact,) = (one for one in report["artifacts"] if one["target"] == target)
    return {
        "file": artifact["name"],
        "bytes": artifact["bytes"],
        "runtime": artifact["runtime"],
        "max_error": artifact["max_error"],
        "mean_error": artifact["mean_error"],
        "mask_agreement": artifact["mask_agreement"],
        "iou_drop": artifact["iou_drop"]["worst"],
        "failures": artifact["failures"],
    }


if __name__ == "__main__":
    sys.exit(main())
