"""Our post-training quantization against TensorFlow's, from one SavedModel, on the same calibration images.

Run: python benchmarks/ptq_against_tensorflow.py CHECKPOINT DATA [--split test] [--observer NAME]... [--json FILE]

DATA is a data set with a split train (calibration) and another for the scores. Prints for each source the person IoU
(mean over images, at the image's own size, threshold 0.5), the points lost against float32, and the points gained over
TensorFlow's file with the standard error of that gain (paired: the same image through both).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from calibration.collect import DEFAULT_OBSERVER, observe, ranges_from
from calibration.images import DEFAULT_COUNT, open_calibration
from converters.onnx import export
from converters.tflite_int8 import convert
from edge_deeplab.data.opening import open_dataset
from edge_deeplab.data.subset import Subset
from edge_deeplab.evaluation.evaluate import Evaluation, evaluate
from edge_deeplab.evaluation.machine import describe_machine
from edge_deeplab.image import resize_area
from edge_deeplab.models.loading import load_network
from edge_deeplab.quantization.observers import OBSERVERS
from edge_deeplab.runtime.tflite_session import TfliteSession

FLOAT, TENSORFLOW = "float32", "TensorFlow's PTQ"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--observer", action="append", choices=list(OBSERVERS), help="may be given several times")
    parser.add_argument("--calibration-images", type=int, default=DEFAULT_COUNT)
    parser.add_argument("--split", default="test", help="choose settings on val, report on test")
    parser.add_argument("--every", type=int, default=1, help="score only every n-th image")
    parser.add_argument("--json", type=Path, help="write the numbers here too")
    arguments = parser.parse_args()

    dataset = open_dataset(arguments.data, split=arguments.split)
    chosen = Subset(dataset, range(0, len(dataset), arguments.every))
    console = Console()
    scores: dict[str, Evaluation] = {}
    with tempfile.TemporaryDirectory() as name, Progress(console=console) as progress:
        task = progress.add_task("quantizing", total=None)
        files = quantized_files(
            arguments.checkpoint,
            arguments.data,
            Path(name),
            observers=arguments.observer or [DEFAULT_OBSERVER],
            count=arguments.calibration_images,
        )
        progress.update(task, total=len(files) * len(chosen))
        for label, path in files.items():
            progress.update(task, description=label)
            with TfliteSession(path) as session:
                scores[label] = evaluate(session, chosen, progress=lambda done, total: progress.advance(task))
    console.print(table(scores))
    if arguments.json:
        result = {
            "person IoU": {label: ious(evaluation) for label, evaluation in scores.items()},
            "points over TensorFlow, standard error": {
                label: {
                    source: [round(100 * value, 3) for value in gain(scores[TENSORFLOW], evaluation, source)]
                    for source in ious(evaluation)
                }
                for label, evaluation in scores.items()
            },
            "split": arguments.split,
            "images": len(chosen),
            "calibration images": arguments.calibration_images,
            "checkpoint": load_network(arguments.checkpoint)[1].sha256,
            "machine": describe_machine(["torch", "tensorflow", "onnx2tf", "ai-edge-litert", "numpy"]),
        }
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


def quantized_files(checkpoint: Path, data: Path, folder: Path, *, observers: list[str], count: int) -> dict[str, Path]:
    """The float32 file, TensorFlow's int8 file and ours, one for each observer."""
    network, loaded = load_network(checkpoint)
    spec = loaded.spec
    photos = [resize_area(image, spec.height, spec.width) for image in open_calibration(data, count)]
    (folder / "network.onnx").write_bytes(export(network, spec))
    np.save(folder / "images.npy", np.stack(photos))
    subprocess.run(
        [
            sys.executable,
            str(Path(__file__).resolve().with_name("tensorflow_ptq.py")),
            str(folder / "network.onnx"),
            str(folder / "images.npy"),
            str(folder),
        ],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=(folder / "log").open("wb"),
        check=True,
    )
    files = {FLOAT: folder / "float32.tflite", TENSORFLOW: folder / "tensorflow.tflite"}
    observations = observe(network, spec, photos)
    for observer in observers:
        ranges = ranges_from(observations, checkpoint_sha256=loaded.sha256, observer=observer)
        files[f"ours, {observer}"] = folder / f"{observer}.tflite"
        convert(checkpoint, files[f"ours, {observer}"], ranges, files[FLOAT].read_bytes())
    return files


def ious(evaluation: Evaluation) -> dict[str, float]:
    """Source to mean person IoU; sources without a person are left out."""
    found = {source: scores.person_iou for source, scores in evaluation.sources.items()}
    return {source: round(value, 5) for source, value in found.items() if value is not None}


def gain(reference: Evaluation, other: Evaluation, source: str) -> tuple[float, float]:
    """Mean over a source's images of the IoU gained over ``reference``, and the standard error of that mean."""
    differences = [
        found.person_iou - before.person_iou
        for before, found in zip(reference.images, other.images, strict=True)
        if found.source == source and found.person_iou is not None and before.person_iou is not None
    ]
    return float(np.mean(differences)), float(np.std(differences) / np.sqrt(len(differences)))


def table(scores: dict[str, Evaluation]) -> Table:
    """One row a file and source."""
    result = Table("file", "source", "IoU %", "lost against float32", "gained over TensorFlow")
    reference = ious(scores[FLOAT])
    for label, evaluation in scores.items():
        for source, value in ious(evaluation).items():
            mean, error = gain(scores[TENSORFLOW], evaluation, source)
            result.add_row(
                label,
                source,
                f"{100 * value:.2f}",
                f"{100 * (reference[source] - value):+.2f}",
                f"{100 * mean:+.3f} ± {100 * error:.3f}",
            )
    return result


if __name__ == "__main__":
    main()
