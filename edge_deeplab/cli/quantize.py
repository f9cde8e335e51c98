"""``edge-deeplab quantize``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_deeplab.cli.model_path import CHECKPOINT
from edge_deeplab.cli.options import refuse_options
from edge_deeplab.quantization.observers import BEST, OBSERVERS

if TYPE_CHECKING:
    from calibration.ptq import PtqMethods


_PTQ_ONLY = (
    *("calibration", "observer", "equalize", "adaround", "no_bias_correction"),
    *("calibration_split", "calibration_images"),
)
_QAT_ONLY = ("data", "train_split", "val_split", "epochs", "lr", "batch_size", "resume")


@click.command()
@click.argument("checkpoint", type=CHECKPOINT)
@click.option(
    "--method",
    type=click.Choice(["ptq", "qat"]),
    required=True,
    help="ptq: after training, with photos alone. qat: by a short training, with photos and masks.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the checkpoint and its ranges.")
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    help="ptq: folder of photos, or a data set, to observe the activations on.",
)
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
@click.option("--data", type=click.Path(path_type=Path), help="qat: photos with masks, as for train.")
@click.option("--train-split", default="train", show_default=True, help="qat: split that is learned.")
@click.option("--val-split", default="val", show_default=True, help="qat: split that the best epoch is chosen by.")
@click.option("--epochs", type=click.IntRange(min=1), help="qat: 3.")
@click.option("--lr", type=float, help="qat: learning rate of the head: 1e-4.")
@click.option("--batch-size", type=click.IntRange(min=1), help="qat: 16.")
@click.option("--resume", is_flag=True, help="qat: continue the run in --out.")
@click.option("--seed", default=1, show_default=True, help="Of the positions of --adaround; of the training.")
@click.pass_context
def command(
    context: click.Context,
    checkpoint: Path,
    method: str,
    out: Path,
    calibration: Path | None,
    observer: str,
    equalize: bool,
    adaround: bool,
    no_bias_correction: bool,
    calibration_split: str | None,
    calibration_images: int,
    data: Path | None,
    train_split: str,
    val_split: str,
    epochs: int | None,
    lr: float | None,
    batch_size: int | None,
    resume: bool,
    seed: int,
) -> None:
    """Quantize CHECKPOINT: write a checkpoint with its ranges into OUT, which ``convert`` takes as they are.

    --method qat is ``train --qat``, which has every setting of a training.
    """
    if method == "qat":
        refuse_options(context, _PTQ_ONLY, "goes with --method ptq")
        if data is None:
            raise click.UsageError("--method qat needs --data: photos with masks")
        given = {"epochs": epochs, "learning_rate": lr, "batch_size": batch_size, "seed": seed}
        recipe = {name: value for name, value in given.items() if value is not None}
        _qat(checkpoint, out, data, (train_split, val_split), recipe, resume=resume)
        return
    refuse_options(context, _QAT_ONLY, "goes with --method qat")
    if calibration is None:
        raise click.UsageError("--method ptq needs --calibration: a folder of photos")

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


def _qat(
    checkpoint: Path, out: Path, data: Path, splits: tuple[str, str], recipe: Mapping[str, Any], *, resume: bool
) -> None:
    """Quantize by training, with the checkpoint's own classes."""
    from edge_deeplab.extras import require_extra

    require_extra("train", "quantizing", "lightning", "torch", "safetensors")

    from dataclasses import replace

    from edge_deeplab.checkpoint import load_checkpoint
    from edge_deeplab.cli.fine_tuning import fine_tune
    from edge_deeplab.cli.training_data import open_splits
    from edge_deeplab.training.quantization_aware import FINE_TUNING, QuantizationAwareConfig

    classes = load_checkpoint(checkpoint).spec.classes
    config = QuantizationAwareConfig(replace(FINE_TUNING, **recipe))
    fine_tune(checkpoint, open_splits(data, *splits, classes, skip_bad=False), out, config, resume=resume)


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
