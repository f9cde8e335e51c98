"""Quantization-aware fine-tuning, for the commands that offer it: ``train`` (also by a recipe) and ``quantize``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from edge_deeplab.data.sample import SegmentationDataset
    from edge_deeplab.spec import ModelSpec
    from edge_deeplab.training.quantization_aware import QuantizationAwareConfig
    from edge_deeplab.training.teacher import Teacher


def fine_tune(
    parent: Path,
    splits: tuple[SegmentationDataset, SegmentationDataset],
    out: Path,
    config: QuantizationAwareConfig,
    *,
    spec: ModelSpec | None = None,
    teacher: Teacher | None = None,
    resume: bool,
    devices: int = 1,
    accelerator: str = "auto",
) -> None:
    """Run it with progress, and say what to do next.

    Args:
        parent: the float checkpoint.
        splits: training and validation data.
        out: folder of the run.
        config: the fine-tune.
        spec: the parent's on other pixels, which the integer network is for; None: those of the parent.
        teacher: whose probabilities it learns; None: the parent's.
        resume, devices, accelerator: as for training.
    """
    from calibration.quantization_aware import starting_ranges
    from edge_deeplab.cli.progress import image_progress
    from edge_deeplab.models.loading import load_network
    from edge_deeplab.training.quantization_aware import train_quantized
    from edge_deeplab.training.run import check_run

    network, loaded = load_network(parent)
    if spec is not None:
        loaded = replace(loaded, spec=spec)
    check_run(loaded.spec, *splits, out, config.training, resume=resume, devices=devices)
    with image_progress("observing where the ranges start") as progress:
        start = starting_ranges(network, loaded, splits[0], out, resume=resume, progress=progress)
    checkpoint = train_quantized(
        network,
        loaded,
        start,
        *splits,
        out,
        config,
        teacher=teacher,
        resume=resume,
        devices=devices,
        accelerator=accelerator,
    )
    click.echo(
        f"Wrote {checkpoint} and its ranges. Next: edge-deeplab convert {checkpoint} --target tflite-int8 --out DIR"
    )
