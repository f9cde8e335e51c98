"""What other people's programs make of our files: python benchmarks/clients.py --json benchmarks/clients.json

The shipped model's files, with metadata, go through MediaPipe Tasks' ImageSegmenter (its environment: make clients),
LiteRT's interpreter and onnxruntime, each in a process of its own; the masks are compared with those of our Segmenter
with the same file. MediaPipe then gets files that our own check refuses, to see that the check is right.
--data adds real photos: every source of its split test alike. docs/update_clients.py makes docs/clients.md of the JSON.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from client_process import CLIENTS_PYTHON, Answer, Client, agreement, ask
from client_variants import variants
from numpy.typing import NDArray
from rich.console import Console

from converters.tflite_metadata import with_metadata
from edge_deeplab.artifact import Artifact
from edge_deeplab.cli.conversion import convert_files
from edge_deeplab.data.bundled import bundled_images
from edge_deeplab.data.opening import open_dataset
from edge_deeplab.data.subset import spread
from edge_deeplab.doctor.finding import Client as Judge
from edge_deeplab.doctor.requirement import errors_for
from edge_deeplab.evaluation.machine import describe_machine
from edge_deeplab.files import write_json
from edge_deeplab.image import Rgb, resize_area
from edge_deeplab.models.loading import load_network
from edge_deeplab.quantization.ranges import load_ranges, ranges_path
from edge_deeplab.runtime.opening import open_session
from edge_deeplab.segmenter import Segmenter
from edge_deeplab.spec import Format, IoType, Target
from edge_deeplab.weights import DEFAULT, shipped_card, shipped_checkpoint, shipped_model

MEDIAPIPE = Client(
    "MediaPipe Tasks ImageSegmenter", CLIENTS_PYTHON, "client_mediapipe.py", ("IMAGE", "VIDEO", "LIVE_STREAM")
)
LITERT = Client("LiteRT interpreter", Path(sys.executable), "client_litert.py", ("CPU",))
ONNXRUNTIME = Client("onnxruntime", Path(sys.executable), "client_onnxruntime.py", ("CPU",))
CLIENTS = {Format.TFLITE: (MEDIAPIPE, LITERT), Format.ONNX: (ONNXRUNTIME,)}
TARGETS = ("tflite-float32", "tflite-float16", "tflite-dynamic", "tflite-int8", "onnx", "onnx-qdq")

_PERSON = 0.5  # above it a pixel is the person's
_FOREGROUND = 0  # in MediaPipe's category mask of one channel: tensors_to_segmentation_calculator.cc

Masks = Mapping[str, NDArray[np.bool_]]


def our_masks(model: Path, pictures: Mapping[str, Rgb]) -> tuple[Masks, Mapping[str, Rgb]]:
    """What our Segmenter makes of a file: its masks, and the pictures at the network's size."""
    with open_session(model, threads=1) as session:
        segmenter = Segmenter(session)
        sized = {name: resize_area(picture, session.height, session.width) for name, picture in pictures.items()}
        every = {**pictures, **prefixed(sized)}
        return {name: segmenter(picture) > _PERSON for name, picture in every.items()}, sized


def prefixed(pictures: Mapping[str, Any]) -> dict[str, Any]:
    """The names of the pictures at the network's size, beside those of the pictures as they are."""
    return {f"sized {name}": picture for name, picture in pictures.items()}


def compared(ours: Masks, answer: Answer, names: Mapping[str, Rgb]) -> dict[str, Any]:
    """How far a client's masks are from ours: as they are, at the network's size, and by the category mask."""
    confidence = {name: values > _PERSON for name, values in answer.confidence.items()}
    found = {
        "as_they_are": asdict(agreement({name: ours[name] for name in names}, confidence)),
        "network_sized": asdict(agreement({name: ours[name] for name in prefixed(names)}, confidence)),
    }
    if answer.category:
        category = {name: values == _FOREGROUND for name, values in answer.category.items()}
        found["category_as_they_are"] = asdict(agreement({name: ours[name] for name in names}, category))
    return found


def client_rows(artifact: Artifact, pictures: Mapping[str, Rgb]) -> Iterator[dict[str, Any]]:
    """A file through every client of its format, in each of its modes."""
    ours, sized = our_masks(artifact.path, pictures)
    for client in CLIENTS[artifact.target.format]:
        for mode in client.modes:
            answer = ask(client, artifact.path, mode, {**pictures, **prefixed(sized)})
            row = {
                "client": client.name,
                "version": answer.version,
                "mode": mode,
                "file": artifact.path.name,
                "target": str(artifact.target),
                "io": str(artifact.io),
            }
            if answer.refused:
                yield row | {"refused": answer.refused}
            else:
                yield row | {"milliseconds": round(answer.milliseconds, 1)} | compared(ours, answer, pictures)


def variant_rows(model: Path, pictures: Mapping[str, Rgb], folder: Path) -> Iterator[dict[str, Any]]:
    """Files with other ends and other metadata: what our check says of each, and what MediaPipe does."""
    ours, sized = our_masks(model, pictures)
    expected = {name: ours[f"sized {name}"] for name in sized}
    for variant in variants(model, shipped_card()):
        path = folder / "variant.tflite"
        path.write_bytes(variant.content)
        answer = ask(MEDIAPIPE, path, "IMAGE", sized)
        row: dict[str, Any] = {
            "client": MEDIAPIPE.name,
            "version": answer.version,
            "variant": variant.name,
            "our_check": [error.message for error in errors_for(path, Judge.MEDIAPIPE)],
        }
        if answer.refused:
            yield row | {"refused": answer.refused}
            continue
        found = agreement(expected, {name: values > _PERSON for name, values in answer.confidence.items()})
        values = np.stack([mask.ravel()[[mask.argmin(), mask.argmax()]] for mask in answer.confidence.values()])
        yield row | {"agreement": found.mean, "lowest": float(values.min()), "highest": float(values.max())}


def made_files(folder: Path) -> list[Artifact]:
    """The shipped model in every format and precision; TFLite files with metadata."""
    checkpoint, card = shipped_checkpoint(), shipped_card()
    network, loaded = load_network(checkpoint)
    outputs = [(Target.parse(name), IoType.UINT8 if name == "tflite-int8" else IoType.FLOAT32) for name in TARGETS]
    artifacts = convert_files(checkpoint, network, loaded, outputs, folder, load_ranges(ranges_path(checkpoint)))
    for artifact in artifacts:
        if artifact.target.format is Format.TFLITE:
            with_metadata(artifact.path, artifact.path, card)
    return artifacts


def photos(data: Path | None, count: int) -> dict[str, Rgb]:
    """The bundled pictures, or photos of a data set's test split, spread evenly over it."""
    if data is None:
        return dict(bundled_images())
    dataset = open_dataset(data, split="test")
    samples = [dataset[index] for index in spread(range(len(dataset)), count)]
    return {sample.id: sample.image for sample in samples}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, required=True, help="write the rows here")
    parser.add_argument("--data", type=Path, help="real photos in place of the bundled ones: a data set's test split")
    parser.add_argument("--photos", type=int, default=40, help="how many of --data")
    arguments = parser.parse_args()
    if not CLIENTS_PYTHON.exists():
        raise SystemExit("the clients' environment is not here: make clients")
    pictures = photos(arguments.data, arguments.photos)
    console = Console()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = []
        for artifact in made_files(folder):
            for row in client_rows(artifact, pictures):
                console.print(row)
                rows.append(row)
        tried = []
        for row in variant_rows(shipped_model(), dict(list(pictures.items())[:3]), folder):
            console.print(row)
            tried.append(row)
    write_json(
        arguments.json,
        {
            "machine": describe_machine(["numpy", "opencv-python", "ai-edge-litert", "onnxruntime"]),
            "load": round(os.getloadavg()[2], 1),  # of the last quarter of an hour: what the times are worth
            "model": DEFAULT,
            "data": "bundled" if arguments.data is None else f"{arguments.data.name}, test",
            "pictures": len(pictures),
            "clients": rows,
            "variants": tried,
        },
    )


if __name__ == "__main__":
    main()
