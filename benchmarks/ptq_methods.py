"""What each method of quantization after training brings, alone and together.

Run: python benchmarks/ptq_methods.py CHECKPOINT DATA [--split val] [--every N] [--row NAME]... [--json FILE]

DATA is a data set with the splits train (calibration) and the one that is scored: choose on val, report on test. Each
row is a real int8 TFLite file: its person IoU and boundary F for each source, and its mean error and mask agreement
against the float32 file. FILE is written after each row, and rows that it holds already are not measured again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from calibration.adaround import Rounding
from calibration.images import DEFAULT_COUNT, open_calibration
from calibration.ptq import PtqMethods, quantize
from calibration.save import save_quantized
from converters.tflite import float32_flatbuffer
from converters.tflite_int8 import convert
from edge_deeplab.cli.progress import stage_progress
from edge_deeplab.data.opening import open_dataset
from edge_deeplab.data.sample import SegmentationDataset
from edge_deeplab.data.subset import Subset
from edge_deeplab.evaluation.agreement import accumulate, deviation
from edge_deeplab.evaluation.evaluate import evaluate
from edge_deeplab.evaluation.machine import describe_machine
from edge_deeplab.files import write_json
from edge_deeplab.image import resize_area
from edge_deeplab.models.loading import load_network
from edge_deeplab.quantization.observers import BEST, OBSERVERS
from edge_deeplab.quantization.ranges import load_ranges, ranges_path
from edge_deeplab.runtime.tflite_session import TfliteSession

FLOAT = "float32"
Progress = Callable[[str, int, int | None], None]


def rows() -> dict[str, PtqMethods]:
    """Name to methods: every observer with and without bias correction; then the others on the default observer."""
    bare = PtqMethods(bias_correction=False)
    found = {f"{name}": replace(bare, observer=name) for name in (*OBSERVERS, BEST)}
    default = bare.observer
    found[f"{default}, CLE"] = replace(bare, equalize=True)
    found[f"{default}, AdaRound"] = replace(bare, adaround=Rounding())
    found |= {f"{name}, bias correction": replace(m, bias_correction=True) for name, m in found.items()}
    full = PtqMethods(adaround=Rounding())
    found[f"{BEST}, AdaRound, bias correction"] = replace(full, observer=BEST)
    found[f"{default}, CLE, AdaRound, bias correction"] = replace(full, equalize=True)
    found[f"{BEST}, CLE, AdaRound, bias correction"] = replace(full, observer=BEST, equalize=True)
    return found


def main() -> None:
    """Quantize, score, print; write the JSON after each row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="val")
    parser.add_argument("--every", type=int, default=1, help="score only every n-th photo")
    parser.add_argument(
        "--row", action="append", choices=list(rows()), help="only this one; may be given several times"
    )
    parser.add_argument("--calibration-images", type=int, default=DEFAULT_COUNT)
    parser.add_argument("--json", type=Path, help="write the numbers here, and go on from those that are here")
    arguments = parser.parse_args()
    bench = Bench(arguments.checkpoint, arguments.data, arguments.split, arguments.every, arguments.calibration_images)
    result = bench.conditions() | {"rows": {}}
    if arguments.json and arguments.json.exists():
        result["rows"] = _continued(arguments.json, bench.conditions())
    console = Console()
    with tempfile.TemporaryDirectory() as folder, stage_progress() as progress:
        bench.prepare(Path(folder))
        for name, methods in {FLOAT: None, **rows()}.items():
            if name in result["rows"] or (arguments.row and name not in (FLOAT, *arguments.row)):
                continue
            result["rows"][name] = row = bench.row(methods, Path(folder), progress)
            console.print(f"{name}: mean error {row['mean error']}, masks agree {row['masks agree']}")
            if arguments.json:
                write_json(arguments.json, result)
    console.print(table(result["rows"]))


class Bench:
    """One checkpoint with its photos and what its float32 file gives for them."""

    def __init__(self, checkpoint: Path, data: Path, split: str, every: int, count: int) -> None:
        self._checkpoint, self._split = checkpoint, split
        self._network, self._loaded = load_network(checkpoint)
        self._calibration = open_calibration(data, count)
        photos = open_dataset(data, split=split)
        self._photos: SegmentationDataset = Subset(photos, range(0, len(photos), every))

    def conditions(self) -> dict[str, Any]:
        """What must be equal where a run is continued, and the machine."""
        return {
            "checkpoint": self._loaded.sha256,
            "width": self._loaded.spec.network.width_multiplier,
            "split": self._split,
            "photos": len(self._photos),
            "calibration": self._calibration.description,
            "adaround": asdict(Rounding()) | {"exponents": list(Rounding().exponents)},
            "machine": describe_machine(["torch", "tensorflow", "onnx2tf", "ai-edge-litert", "numpy"]),
        }

    def prepare(self, folder: Path) -> None:
        """Make the float32 file, and keep its probabilities."""
        self._float32 = folder / "float32.tflite"
        self._float32.write_bytes(float32_flatbuffer(self._checkpoint))
        with TfliteSession(self._float32) as session:
            self._pixels = [
                resize_area(self._photos[index].image, session.height, session.width)
                for index in range(len(self._photos))
            ]
            self._expected = [session.run(pixels) for pixels in self._pixels]

    def row(self, methods: PtqMethods | None, folder: Path, progress: Progress) -> dict[str, Any]:
        """Quantize by the methods (None: the float32 file itself) and score."""
        start = time.perf_counter()
        path = self._float32 if methods is None else self._int8(methods, folder, progress)
        seconds = time.perf_counter() - start
        with TfliteSession(path) as session:
            scores = evaluate(session, self._photos, progress=lambda done, total: progress("scoring", done, total))
            deviations = [
                deviation(expected, session.run(pixels))
                for expected, pixels in zip(self._expected, self._pixels, strict=True)
            ]
        agreement = accumulate(deviations, [str(index) for index in range(len(deviations))], session.classes)
        return {
            "mean error": round(agreement.mean_error, 5),
            "masks agree": round(agreement.mask_agreement, 5),
            "person IoU": {source: s.person_iou for source, s in _all(scores.sources, scores.total).items()},
            "boundary F": {source: s.boundary_f for source, s in _all(scores.sources, scores.total).items()},
            "seconds to quantize and convert": round(seconds),
        }

    def _int8(self, methods: PtqMethods, folder: Path, progress: Progress) -> Path:
        quantized = quantize(self._network, self._loaded.spec, self._calibration, methods, progress=progress)
        checkpoint = folder / "quantized.safetensors"
        save_quantized(checkpoint, quantized, methods, self._checkpoint)
        float32 = float32_flatbuffer(checkpoint) if methods.changes_weights else self._float32.read_bytes()
        path = folder / "int8.tflite"
        convert(checkpoint, path, load_ranges(ranges_path(checkpoint)), float32)
        return path


def _all(sources: Mapping[str, Any], total: Any) -> dict[str, Any]:
    return {**sources, "all": total}


def _continued(path: Path, conditions: Mapping[str, Any]) -> dict[str, Any]:
    before = json.loads(path.read_text())
    changed = [key for key in conditions if key != "machine" and before.get(key) != conditions[key]]
    if changed:
        raise SystemExit(f"{path} was measured with another {' and '.join(changed)}: give another --json")
    rows: dict[str, Any] = before["rows"]
    return rows


def table(measured: Mapping[str, Mapping[str, Any]]) -> Table:
    """One row a file: the points lost against float32, for each source."""
    sources = [source for source, value in measured[FLOAT]["person IoU"].items() if value is not None]
    found = Table("file", "mean error", "masks agree", *(f"IoU lost: {s}" for s in sources), "boundary F lost: all")
    for name, row in measured.items():
        lost = [100 * (measured[FLOAT]["person IoU"][s] - row["person IoU"][s]) for s in sources]
        edges = 100 * (measured[FLOAT]["boundary F"]["all"] - row["boundary F"]["all"])
        found.add_row(
            name,
            f"{row['mean error']:.5f}",
            f"{row['masks agree']:.3%}",
            *(f"{points:+.2f}" for points in (*lost, edges)),
        )
    return found


if __name__ == "__main__":
    main()
