"""``edge-deeplab quantize``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_deeplab.quantization.observers import BEST, OBSERVERS

if TYPE_CHECKING:
    from calibration.ptq import PtqMethods


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--method", type=click.Choice(["ptq"]), required=True, help="ptq: after training, with photos alone.")
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder of photos, or a data set, to observe the activations on.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the checkpoint and its ranges.")
@click.option(
    "--observer",
    type=click.Choice([*OBSERVERS, BEST]),
    default="mse",
    show_default=True,
    help="How activation ranges are chosen; best: each by the observer that disturbs the next layers least.",
)
@click.option("--equalize", is_flag=True, help="Cross-layer equalization of the weights.")
@click.option("--adaround", is_flag=True, help="Learn which weights to round up and which down (minutes).")
@click.option("--no-bias-correction", is_flag=True, help="Leave the biases as they are.")
@click.option("--calibration-split", help="Split of --calibration; the training split if it has one.")
@click.option("--calibration-images", default=128, show_default=True, help="How many of them.")
@click.option("--seed", default=0, show_default=True, help="Of the positions that --adaround looks at.")
def command(
    checkpoint: Path,
    method: str,
    calibration: Path,
    out: Path,
    observer: str,
    equalize: bool,
    adaround: bool,
    no_bias_correction: bool,
    calibration_split: str | None,
    calibration_images: int,
    seed: int,
) -> None:
    """Quantize CHECKPOINT: write OUT/NAME.safetensors and OUT/NAME.ranges.json, which ``convert`` takes as they are."""
    from edge_deeplab.extras import require_extra

    require_extra("train", "quantizing", "torch", "safetensors")

    from calibration.adaround import Rounding
    from calibration.ptq import PtqMethods

    methods = PtqMethods(
        observer=observer,
        equalize=equalize,
        adaround=Rounding() if adaround else None,
        bias_correction=not no_bias_correction,
        seed=seed,
    )
    written = _ptq(checkpoint, out, methods, calibration, calibration_split, calibration_images)
    click.echo(f"Wrote {written} and its ranges. Next: edge-deeplab convert {written} --target tflite-int8 --out DIR")


def _ptq(checkpoint: Path, out: Path, methods: PtqMethods, calibration: Path, split: str | None, count: int) -> Path:
    """Quantize after training; the path of the checkpoint that was written."""
    from calibration.images import open_calibration
    from calibration.ptq import quantize
    from calibration.save import quantized_path, save_quantized
    from edge_deeplab.cli.progress import stage_progress
    from edge_deeplab.files import make_folder
    from edge_deeplab.models.loading import load_network

    network, loaded = load_network(checkpoint)
    images = open_calibration(calibration, split=split, count=count)
    path = quantized_path(checkpoint, make_folder(out), methods)
    with stage_progress() as progress:
        quantized = quantize(network, loaded.spec, images, methods, progress=progress)
    save_quantized(path, quantized, methods, checkpoint, notes={"calibration": images.description})
    return path
