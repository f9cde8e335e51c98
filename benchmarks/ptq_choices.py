"""What each choice of quantization after training brings: python benchmarks/ptq_choices.py CHECKPOINT DATA

Every observer, with and without bias correction, from one pass over the calibration photos (the train split); the
probabilities of each int8 file against PyTorch's on every second photo of the validation split.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from machine import describe_machine
from rich.console import Console
from rich.table import Table

from calibration.collect import observe, ranges_from
from calibration.images import DEFAULT_COUNT, open_calibration
from converters.tflite import float32_flatbuffer
from converters.tflite_int8 import convert
from edge_deeplab.cli.progress import image_progress
from edge_deeplab.data.opening import open_dataset
from edge_deeplab.evaluation.agreement import accumulate, deviation
from edge_deeplab.files import write_json
from edge_deeplab.image import resize_area
from edge_deeplab.models.loading import load_network
from edge_deeplab.quantization.observers import OBSERVERS
from edge_deeplab.runtime.tflite_session import TfliteSession
from edge_deeplab.runtime.torch_session import TorchSession


def main() -> None:
    """Quantize, compare, print, write the JSON beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("data", type=Path)
    arguments = parser.parse_args()
    network, loaded = load_network(arguments.checkpoint)
    float32 = float32_flatbuffer(arguments.checkpoint)
    observations = observe(network, loaded.spec, open_calibration(arguments.data, DEFAULT_COUNT))
    photos = open_dataset(arguments.data, split="val")
    chosen = range(0, len(photos), 2)
    with TorchSession(arguments.checkpoint) as reference:
        pixels = [resize_area(photos[index].image, reference.height, reference.width) for index in chosen]
        expected = [reference.run(picture) for picture in pixels]
    rows = []
    with tempfile.TemporaryDirectory() as folder, image_progress("quantizing") as progress:
        for observer in OBSERVERS:
            for correction in (False, True):
                ranges = ranges_from(
                    observations, checkpoint_sha256=loaded.sha256, observer=observer, bias_correction=correction
                )
                path = Path(folder) / "int8.tflite"
                convert(arguments.checkpoint, path, ranges, float32)
                with TfliteSession(path) as session:
                    deviations = [deviation(e, session.run(p)) for e, p in zip(expected, pixels, strict=True)]
                found = accumulate(deviations, [str(index) for index in chosen])
                rows.append(
                    {
                        "observer": observer,
                        "bias correction": correction,
                        "mean error": round(found.mean_error, 5),
                        "masks agree": round(found.mask_agreement, 5),
                    }
                )
                progress(len(rows), 2 * len(OBSERVERS))
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console().print(table)
    result = {"photos": len(chosen), "checkpoint": loaded.sha256, "rows": rows}
    write_json(Path(__file__).with_suffix(".json"), result | {"machine": describe_machine(["torch", "ai-edge-litert"])})


if __name__ == "__main__":
    main()
