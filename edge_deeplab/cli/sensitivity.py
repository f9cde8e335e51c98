"""``edge-deeplab sensitivity``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_deeplab.cli.model_path import CHECKPOINT
from edge_deeplab.weights import shipped_checkpoint

if TYPE_CHECKING:
    from calibration.images import CalibrationSet

_SHOWN = 10  # rows of the table


@click.command()
@click.argument("checkpoint", type=CHECKPOINT, default=shipped_checkpoint)
@click.option(
    "--ranges",
    "ranges_file",
    type=click.Path(path_type=Path),
    help="Quantization ranges; CHECKPOINT.ranges.json beside the checkpoint if it is not given.",
)
@click.option("--images", type=click.Path(path_type=Path), help="Folder of photos, or a data set; else bundled photos.")
@click.option("--split", help="Split of --images; the training split if it has one.")
@click.option("--count", default=8, show_default=True, help="How many photos, evenly spread.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the numbers and the picture.")
def command(
    checkpoint: Path, ranges_file: Path | None, images: Path | None, split: str | None, count: int, out: Path
) -> None:
    """Show which layers of CHECKPOINT int8 hurts.

    CHECKPOINT is a file, or the name of a shipped model: portrait if it is not given.
    Prints the layers that do most harm and what it wins to leave a few of them in float or int16; writes
    DIR/sensitivity.json and DIR/sensitivity.png. Nothing is converted: the integer network is simulated.
    docs/quantization.md explains the numbers. Takes 6 seconds a photo on one core for the shipped model.
    """
    from edge_deeplab.extras import require_extra
    from edge_deeplab.files import make_folder, write_bytes, write_json

    require_extra("convert", "measuring sensitivity", "torch", "safetensors", "matplotlib")

    import numpy as np
    from rich.console import Console

    from edge_deeplab.cli.progress import image_progress
    from edge_deeplab.evaluation.sensitivity_picture import sensitivity_picture
    from edge_deeplab.evaluation.tables import mixed_precision_table, sensitivity_table
    from edge_deeplab.image import resize_area
    from edge_deeplab.models.loading import load_network
    from edge_deeplab.quantization.graph import quantization_graph
    from edge_deeplab.quantization.mixed_precision import choose_mixed_precision
    from edge_deeplab.quantization.ranges import load_ranges, ranges_path
    from edge_deeplab.quantization.sensitivity import measure_sensitivity

    network, loaded = load_network(checkpoint)
    ranges_file = ranges_file or ranges_path(checkpoint)
    ranges = load_ranges(ranges_file)
    ranges.require_checkpoint(loaded.sha256)
    photos = _photos(images, split, count)
    spec = loaded.spec
    pixels = np.stack([resize_area(photo, spec.height, spec.width) for photo in photos])
    graph = quantization_graph(network, spec.network.num_classes)
    graph.require(ranges)
    make_folder(out)

    with image_progress("measuring every layer") as progress:
        sensitivity = measure_sensitivity(graph, ranges, pixels, progress=progress)
    with image_progress("trying wider layers") as progress:
        mixed = choose_mixed_precision(graph, ranges, pixels, sensitivity, progress=progress)
    console = Console()
    console.print(sensitivity_table(sensitivity, count=min(_SHOWN, len(sensitivity.layers))))
    console.print(mixed_precision_table(mixed))

    title = f"{checkpoint.name} in int8, ranges {ranges_file.name}, on {photos.description}"
    numbers, picture = out / "sensitivity.json", out / "sensitivity.png"
    head = {
        "checkpoint": checkpoint.name,
        "checkpoint_sha256": loaded.sha256,
        "ranges": ranges_file.name,
        "photos": photos.description,
    }
    write_json(numbers, head | sensitivity.to_dict() | {"mixed_precision": mixed.to_dict()})
    write_bytes(picture, sensitivity_picture(sensitivity, mixed, graph, ranges, pixels, title=title))
    console.print(f"{numbers} and {picture} written", soft_wrap=True)


def _photos(images: Path | None, split: str | None, count: int) -> CalibrationSet:
    """The photos that were asked for: of the same kind as those of a calibration."""
    from calibration.images import bundled_calibration, open_calibration
    from edge_deeplab.errors import CalibrationError

    if images is not None:
        return open_calibration(images, count, split=split)
    if split is not None:
        raise CalibrationError(f"the bundled photos have no split {split!r}: give --images as well")
    return bundled_calibration(count)
