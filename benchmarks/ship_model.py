"""Make the shipped model's files and card: python benchmarks/ship_model.py RUN PARENT DATA

RUN is the folder of a quantization-aware run (``edge-deeplab train DATA --qat PARENT --out RUN``), PARENT the float
checkpoint that it started from, DATA the manifest folder that both were trained on. Writes into edge_deeplab/weights:
the checkpoint in half precision; the learned ranges; the int8 file that they give; and the card with what the parent
and the file score on the test split.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from converters import tflite, tflite_int8
from edge_deeplab.artifact import sidecar_path
from edge_deeplab.checkpoint import load_checkpoint, save_checkpoint
from edge_deeplab.cli.progress import image_progress
from edge_deeplab.cli.release_card import card_metrics
from edge_deeplab.data.opening import open_dataset
from edge_deeplab.evaluation.evaluate import Evaluation, evaluate
from edge_deeplab.evaluation.tables import evaluation_table
from edge_deeplab.files import sha256
from edge_deeplab.models.loading import load_network
from edge_deeplab.quantization.affine import quantize_weights
from edge_deeplab.quantization.graph import QuantizationGraph, quantization_graph
from edge_deeplab.quantization.ranges import QuantRanges, load_ranges, ranges_path, save_ranges
from edge_deeplab.runtime.opening import open_session
from edge_deeplab.training.run import CHECKPOINT
from edge_deeplab.weights import NAME
from edge_deeplab.weights.card import Card, Score, TrainingData

WEIGHTS = Path(__file__).resolve().parents[1] / "edge_deeplab" / "weights"

TERMS = {
    "eg1800": "portraits from Flickr (Shen et al. 2016); none stated for the data set",
    "picsart": "selfies and portraits; none stated",
    "ccp": "full-body street fashion (Clothing Co-Parsing); Apache-2.0 by the data set's author",
    "celebamask": "faces (CelebAMask-HQ); non-commercial research",
    "pennfudan": "pedestrians (Penn-Fudan); authors keep copyright, no reposting of the photos",
    "coco128": "people in COCO pictures; annotations CC BY 4.0, photos under Flickr's terms",
    "aisegment": "portraits with alpha; not verified",
    "coco128-negative": "COCO pictures without a person; annotations CC BY 4.0, photos under Flickr's terms",
}
FAILURES = (  # as seen on the contact sheet of the worst 24 of the test split, and on the bundled portrait
    "Groups of pedestrians: whole persons are missed, limbs are cut short (pennfudan).",
    "Trunks of trees and parts of cars beside people are sometimes called a person.",
    "A selfie from above, before ground as bright as the clothes: much of the ground was called a person.",
    "Without a person in the photo: an aeroplane's nose and the silhouettes of houses were called a person, more of "
    "them after the quantization-aware fine-tune than before (two pictures make nearly all of the false persons).",
    "Things that are held, such as a helmet under the arm, are half person and half background.",
    "Photos were turned by at most 15 degrees in training: people lying or upside down are untested.",
)


def main() -> None:
    """Run the steps in order; each file is written whole."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("parent", type=Path)
    parser.add_argument("data", type=Path)
    arguments = parser.parse_args()
    checkpoint, int8 = WEIGHTS / f"{NAME}.safetensors", WEIGHTS / f"{NAME}.tflite"

    parent = load_checkpoint(arguments.parent)
    trained, notes = _in_half_precision(arguments.run / CHECKPOINT, checkpoint)
    if notes["parent_sha256"] != parent.sha256:
        raise SystemExit(f"{arguments.run} was not trained from {arguments.parent}")
    artifact = tflite_int8.convert(checkpoint, int8, trained, tflite.float32_flatbuffer(checkpoint))
    artifact.write_sidecar()

    float32, quantized = (_evaluate(path, arguments.data) for path in (arguments.parent, int8))
    spec, before, after = parent.spec, notes["parent"], notes["quantization_aware"]
    card = Card(
        name=NAME,
        summary=(
            "DeepLabV3+ with MobileNetV2 1.0, output stride 16, ASPP and decoder 128 channels wide, "
            f"{spec.height}x{spec.width} pixels, int8 by quantization-aware training."
        ),
        intended_use="It separates people from the background in portraits, selfies and full-body photos.",
        files={path.name: sha256(path) for path in (checkpoint, ranges_path(checkpoint), int8, sidecar_path(int8))},
        training_data=_sources(arguments.data),
        recipe={
            "backbone": "ImageNet weights of Keras' MobileNetV2 1.0 (Apache-2.0), BatchNorm-folded",
            "chosen_on": "the validation split",
            "float": {"epoch": before["epoch"], "val_iou": before["val_iou"], **before["recipe"]},
            "quantization_aware": {"epoch": notes["epoch"], "val_iou": notes["val_iou"], **after},
        },
        seed=after["seed"],
        scores=tuple(
            Score(source, scores.images, card_metrics(scores), card_metrics(quantized.sources[source]))
            for source, scores in float32.sources.items()
        ),
        known_failures=FAILURES,
    )
    card.write(WEIGHTS / f"{NAME}.json")
    print("Next: python docs/update_readme.py && python docs/make_pictures.py")


def _in_half_precision(source: Path, path: Path) -> tuple[QuantRanges, Mapping[str, Any]]:
    """Write the run's checkpoint in half precision, and its ranges beside it.

    Its weights are integers times their scales, so that half precision moves none of them to another integer.
    """
    network, loaded = load_network(source)
    ranges = load_ranges(ranges_path(source))
    ranges.require_checkpoint(loaded.sha256)
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    save_checkpoint(path, loaded.spec, weights, notes=loaded.notes, half=True)
    graphs = (quantization_graph(one, loaded.spec.network.num_classes) for one in (network, load_network(path)[0]))
    _require_same_integers(*graphs, ranges)
    written = replace(ranges, checkpoint_sha256=sha256(path))
    save_ranges(ranges_path(path), written)
    return written, loaded.notes


def _require_same_integers(trained: QuantizationGraph, stored: QuantizationGraph, ranges: QuantRanges) -> None:
    for layer in trained.convolutions:
        scales = ranges.weight(layer.name).array()
        before, after = (quantize_weights(g.conv(layer).weight.detach().numpy(), scales, 0) for g in (trained, stored))
        if not np.array_equal(before, after):
            raise SystemExit(f"half precision changes integers of {layer.name}: store this checkpoint in float32")


def _evaluate(model: Path, data: Path) -> Evaluation:
    with open_session(model) as session, image_progress(f"evaluating {model.name}") as progress:
        result = evaluate(session, open_dataset(data, split="test"), progress=progress)
    Console().print(evaluation_table(result, title=f"{model.name} on the test split"))
    return result


def _sources(data: Path) -> tuple[TrainingData, ...]:
    with (data / "manifest.csv").open(newline="") as file:
        counts = Counter(row["source"] for row in csv.DictReader(file) if row["split"] == "train")
    return tuple(TrainingData(source, count, TERMS[source]) for source, count in sorted(counts.items()))


if __name__ == "__main__":
    main()
