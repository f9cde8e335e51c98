"""Quantization-aware fine-tuning, for the two commands that offer it: ``train --qat`` and ``quantize --method qat``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from edge_deeplab.data.sample import SegmentationDataset
    from edge_deeplab.training.teacher import Teacher


def fine_tune(
    parent: Path,
    splits: tuple[SegmentationDataset, SegmentationDataset],
    out: Path,
    recipe: Mapping[str, Any],
    *,
    teacher: Teacher | None = None,
    distillation: float | None = None,
    resume: bool,
    devices: int = 1,
    accelerator: str = "auto",
) -> None:
    """Run it with progress, and say what to do next.

    Args:
        parent: the float checkpoint.
        splits: training and validation data.
        out: folder of the run.
        recipe: settings of TrainingConfig that differ from the fine-tune's own.
        teacher: whose probabilities it learns; None: the parent's.
        distillation: share of the loss against them; None: as the fine-tune has it.
        resume, devices, accelerator: as for training.
    """
    from dataclasses import replace

    from calibration.quantization_aware import starting_ranges
    from edge_deeplab.cli.progress import image_progress
    from edge_deeplab.models.loading import load_network
    from edge_deeplab.training.quantization_aware import FINE_TUNING, QuantizationAwareConfig, train_quantized
    from edge_deeplab.training.run import check_run

    config = QuantizationAwareConfig(training=replace(FINE_TUNING, **recipe))
    if distillation is not None:
        config = replace(config, distillation=distillation)
    network, loaded = load_network(parent)
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
