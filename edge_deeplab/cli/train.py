"""``edge-deeplab train``."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import click


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@click.option("--train-split", default="train", show_default=True, help="Split that is learned.")
@click.option("--val-split", default="val", show_default=True, help="Split that the best epoch is chosen by.")
@click.option("--classes", default="person", show_default=True, help="Class names, separated by commas.")
@click.option("--skip-bad", is_flag=True, help="Leave out photos that cannot be read, and count them.")
@click.option("--init", default="none", show_default=True, help="Backbone: none, imagenet (download), or a .npz file.")
@click.option("--input-size", default=256, show_default=True, help="Height and width of the network's input.")
@click.option("--width", default=1.0, show_default=True, help="MobileNetV2's width multiplier.")
@click.option("--output-stride", default=16, show_default=True, help="8, 16 or 32.")
@click.option("--head-channels", default=128, show_default=True, help="Channels of ASPP and decoder.")
@click.option("--epochs", default=9, show_default=True)
@click.option("--batch-size", default=16, show_default=True, help="Of one process.")
@click.option("--optimizer", type=click.Choice(["adamw", "sgd"]), default="adamw", show_default=True)
@click.option("--schedule", type=click.Choice(["cosine", "poly"]), default="cosine", show_default=True)
@click.option("--lr", default=1e-3, show_default=True, help="Learning rate of the head.")
@click.option("--backbone-rate", default=0.3, show_default=True, help="The backbone's rate, as a factor on --lr.")
@click.option("--freeze-epochs", default=0, show_default=True, help="First epochs with a frozen backbone.")
@click.option("--scale", nargs=2, type=float, default=(0.8, 1.6), show_default=True, help="Range of random zoom.")
@click.option("--background", default=0.0, show_default=True, help="Share of photos with another's background.")
@click.option("--precision", type=click.Choice(["bf16", "float32"]), default="bf16", show_default=True)
@click.option("--devices", default=1, show_default=True, help="GPUs, or CPU processes, by DDP.")
@click.option("--accelerator", type=click.Choice(["auto", "cpu", "gpu"]), default="auto", show_default=True)
@click.option("--workers", default=1, show_default=True, help="Processes that load data.")
@click.option("--seed", default=1, show_default=True)
@click.option("--resume", is_flag=True, help="Continue the run in --out as if nothing had happened.")
def command(
    data: Path,
    out: Path,
    train_split: str,
    val_split: str,
    classes: str,
    skip_bad: bool,
    init: str,
    input_size: int,
    width: float,
    output_stride: int,
    head_channels: int,
    epochs: int,
    batch_size: int,
    optimizer: str,
    schedule: str,
    lr: float,
    backbone_rate: float,
    freeze_epochs: int,
    scale: tuple[float, float],
    background: float,
    precision: str,
    devices: int,
    accelerator: str,
    workers: int,
    seed: int,
    resume: bool,
) -> None:
    """Train a network on DATA: photos with masks.

    DATA is a folder with manifest.csv, with images/ and masks/, Pascal VOC, or COCO (docs/data.md). The averaged
    weights of the best epoch become OUT/model.safetensors.
    """
    from edge_deeplab.errors import MissingExtraError

    try:
        import lightning  # noqa: F401
        import torch
    except ImportError as error:
        raise MissingExtraError(error.name or "lightning", "train", "training") from error

    from edge_deeplab.cli.progress import image_progress
    from edge_deeplab.data.opening import open_dataset
    from edge_deeplab.data.subset import check_dataset
    from edge_deeplab.data.transforms import Augmentation
    from edge_deeplab.models.deeplab import build_network
    from edge_deeplab.spec import ModelSpec, NetworkSpec
    from edge_deeplab.training.config import OptimizerKind, TrainingConfig
    from edge_deeplab.training.initialization import initialize_backbone
    from edge_deeplab.training.run import train
    from edge_deeplab.training.schedules import Schedule

    names = tuple(name.strip() for name in classes.split(","))
    train_data = open_dataset(data, split=train_split, classes=names)
    val_data = open_dataset(data, split=val_split, classes=names)
    # Read everything once: a broken photo is better found now than in the middle of the night.
    with image_progress("checking the photos") as progress:
        total = len(train_data) + len(val_data)
        done = count(1)
        train_data, bad_train = check_dataset(
            train_data, skip_bad=skip_bad, advance=lambda: progress(next(done), total)
        )
        val_data, bad_val = check_dataset(val_data, skip_bad=skip_bad, advance=lambda: progress(next(done), total))
    for skipped in (*bad_train, *bad_val):
        click.echo(f"left out: {skipped.reason}", err=True)
    if bad_train or bad_val:
        click.echo(f"{len(bad_train) + len(bad_val)} of {total} photos left out", err=True)
    spec = ModelSpec(
        network=NetworkSpec(
            width_multiplier=width,
            output_stride=output_stride,
            aspp_channels=head_channels,
            decoder_channels=head_channels,
            num_classes=len(train_data.classes),
        ),
        height=input_size,
        width=input_size,
        classes=train_data.classes,
    )
    config = TrainingConfig(
        epochs=epochs,
        batch_size=batch_size,
        optimizer=OptimizerKind(optimizer),
        schedule=Schedule(schedule),
        learning_rate=lr,
        backbone_rate=backbone_rate,
        freeze_epochs=freeze_epochs,
        precision="bf16-mixed" if precision == "bf16" else "32-true",
        seed=seed,
        workers=workers,
        augmentation=Augmentation(scale=scale, background=background),
    )
    torch.manual_seed(seed)
    network = build_network(spec.network)
    if not resume:
        initialize_backbone(network, init, train_data, spec)
    checkpoint = train(
        network, spec, train_data, val_data, out, config, resume=resume, devices=devices, accelerator=accelerator
    )
    click.echo(f"Wrote {checkpoint}. Next: edge-deeplab convert {checkpoint} --target tflite-int8 --out DIR")
