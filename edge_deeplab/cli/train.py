"""``edge-deeplab train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_deeplab.cli.model_path import CHECKPOINT
from edge_deeplab.cli.network_options import NETWORK_OPTIONS, network_options
from edge_deeplab.cli.options import given, refuse_options
from edge_deeplab.cli.recipe_training import train_recipe
from edge_deeplab.cli.teacher_options import VIEW_OPTIONS, open_teacher, teacher_view_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_deeplab.data.sample import SegmentationDataset
    from edge_deeplab.spec import NetworkSpec
    from edge_deeplab.training.teacher import Teacher

_WITH_RECIPE = (
    "data",
    "out",
    "recipe",
    "stop_after",
    "other_data",
    "init",
    "teacher",
    "accelerator",
    "workers",
    "resume",
)
_ONLY_WITH_RECIPE = ("stop_after", "other_data")
_OF_THE_NETWORK = (
    *NETWORK_OPTIONS,
    *("init", "init_range", "input_size", "output_stride", "freeze_epochs", "thaw_epochs"),
)


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@click.option(
    "--recipe", metavar="NAME", help="portrait, portrait-fast, portrait-open, ... or FILE.toml: it says the rest."
)
@click.option(
    "--stop-after",
    type=click.Choice(["float", "settled", "finished", "int8"]),
    default="int8",
    show_default=True,
    help="With --recipe: the last stage; --resume goes on from there.",
)
@click.option("--other-data", is_flag=True, help="With --recipe: train on photos that it was not made with.")
@click.option("--train-split", default="train", show_default=True, help="Split that is learned.")
@click.option("--val-split", default="val", show_default=True, help="Split that the best epoch is chosen by.")
@click.option("--classes", default="person", show_default=True, help="Class names, separated by commas.")
@click.option("--skip-bad", is_flag=True, help="Leave out photos that cannot be read, and count them.")
@click.option(
    "--init",
    metavar="none|imagenet|FILE",
    default="none",
    show_default=True,
    help="First weights. Of the backbone: random; torchvision's (download); .npz of Keras; .tflite of a DeepLab. "
    "Of the whole network: a checkpoint, whose classes may be others.",
)
@click.option(
    "--init-range",
    nargs=2,
    type=float,
    metavar="LOW HIGH",
    help="What a .tflite of --init takes for black and white: 0 1, -1 1 or 0 255; from the file, where it says so.",
)
@click.option("--input-size", default=256, show_default=True, help="Height and width of the network's input.")
@network_options
@click.option("--epochs", type=click.IntRange(min=1), help="9; 3 with --qat.")
@click.option("--batch-size", default=16, show_default=True, help="Of one process.")
@click.option("--optimizer", type=click.Choice(["adamw", "sgd"]), default="adamw", show_default=True)
@click.option("--schedule", type=click.Choice(["cosine", "poly"]), default="cosine", show_default=True)
@click.option("--lr", type=float, help="Learning rate of the head: 1e-3; 1e-4 with --qat.")
@click.option("--backbone-rate", type=float, help="The backbone's rate, as a factor on --lr: 0.3; 0.5 with --qat.")
@click.option("--freeze-epochs", default=0, show_default=True, help="First epochs with a frozen backbone.")
@click.option("--thaw-epochs", default=0, show_default=True, help="Epochs after these, in which it thaws from its end.")
@click.option("--scale", nargs=2, type=float, default=(0.8, 1.6), show_default=True, help="Range of random zoom.")
@click.option("--rotation", default=15.0, show_default=True, help="Largest random rotation in degrees, either way.")
@click.option("--turn", default=0.0, show_default=True, help="Share of photos on their side or upside down.")
@click.option("--background", default=0.0, show_default=True, help="Share of photos with another's background.")
@click.option("--precision", type=click.Choice(["bf16", "float32"]), default="bf16", show_default=True)
@click.option("--devices", default=1, show_default=True, help="GPUs, or CPU processes, by DDP.")
@click.option("--accelerator", type=click.Choice(["auto", "cpu", "gpu"]), default="auto", show_default=True)
@click.option("--workers", default=1, show_default=True, help="Processes that load data.")
@click.option("--seed", default=1, show_default=True)
@click.option(
    "--qat",
    "parent",
    metavar="CHECKPOINT",
    type=CHECKPOINT,
    help="Fine-tune this float checkpoint as the int8 network that it becomes: 3 epochs at a low rate by default.",
)
@click.option(
    "--teacher",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A network that teaches this one: a checkpoint, or anybody's .tflite or .onnx. With --qat in place of the "
    "float checkpoint.",
)
@teacher_view_options
@click.option(
    "--teacher-agreement",
    metavar="IOU",
    default=0.0,
    show_default="heed it always",
    help="In photos where it and the mask agree less than this, the mask teaches alone.",
)
@click.option("--distillation", default=0.5, show_default=True, help="Share of the loss that the teacher has.")
@click.option("--resume", is_flag=True, help="Continue the run in --out as if nothing had happened.")
@click.pass_context
def command(
    context: click.Context,
    data: Path,
    out: Path,
    recipe: str | None,
    stop_after: str,
    other_data: bool,
    train_split: str,
    val_split: str,
    classes: str,
    skip_bad: bool,
    init: str,
    init_range: tuple[float, float] | None,
    input_size: int,
    network: Callable[[int], NetworkSpec],
    output_stride: int | None,
    epochs: int | None,
    batch_size: int,
    optimizer: str,
    schedule: str,
    lr: float | None,
    backbone_rate: float | None,
    freeze_epochs: int,
    thaw_epochs: int,
    scale: tuple[float, float],
    rotation: float,
    turn: float,
    background: float,
    precision: str,
    devices: int,
    accelerator: str,
    workers: int,
    seed: int,
    parent: Path | None,
    teacher: Path | None,
    views: dict[str, Any],
    teacher_agreement: float,
    distillation: float,
    resume: bool,
) -> None:
    """Train a network on DATA: photos with masks.

    DATA is a folder with manifest.csv, with images/ and masks/, Pascal VOC, or COCO (docs/data.md). The averaged
    weights of the best epoch become OUT/model.safetensors. With --qat, OUT/model.ranges.json lies beside it.

    With --recipe, the model is trained from its photos to int8: OUT/float, then OUT/int8, after a look that DATA is
    what the recipe was made with.
    """
    from edge_deeplab.extras import require_extra

    require_extra("train", "training", "lightning", "torch", "safetensors")

    if recipe is not None:
        fixed = [option.name for option in context.command.params if option.name and option.name not in _WITH_RECIPE]
        refuse_options(context, fixed, "does not go with --recipe: the recipe says it")
        train_recipe(
            recipe,
            data,
            out,
            init=Path(init) if given(context, "init") else None,
            teacher=teacher,
            stop_after=stop_after,
            workers=workers if given(context, "workers") else None,
            accelerator=accelerator,
            other_data=other_data,
            resume=resume,
        )
        return
    refuse_options(context, _ONLY_WITH_RECIPE, "goes with --recipe")

    from dataclasses import replace

    import torch

    from edge_deeplab.cli.fine_tuning import fine_tune
    from edge_deeplab.cli.training_data import open_splits
    from edge_deeplab.data.transforms import Augmentation
    from edge_deeplab.models.deeplab import build_network
    from edge_deeplab.runtime.foreign.adaptation import InputRange
    from edge_deeplab.spec import ModelSpec
    from edge_deeplab.training.config import OptimizerKind, TeacherViews, TrainingConfig
    from edge_deeplab.training.fine_tuning import CHECKPOINT_SUFFIX, network_for
    from edge_deeplab.training.initialization import initialize_backbone
    from edge_deeplab.training.quantization_aware import FINE_TUNING, QuantizationAwareConfig
    from edge_deeplab.training.run import train
    from edge_deeplab.training.schedules import Schedule

    if teacher is None:
        refuse_options(context, (*VIEW_OPTIONS, "teacher_agreement"), "goes with --teacher only")
    if teacher is None and parent is None:
        refuse_options(context, ("distillation",), "goes with --teacher or --qat only")
    settings: dict[str, Any] = {
        "epochs": epochs,
        "batch_size": batch_size,
        "optimizer": OptimizerKind(optimizer),
        "schedule": Schedule(schedule),
        "learning_rate": lr,
        "backbone_rate": backbone_rate,
        "precision": "bf16-mixed" if precision == "bf16" else "32-true",
        "seed": seed,
        "workers": workers,
        "augmentation": Augmentation(scale=scale, rotation=rotation, turn=turn, background=background),
        "teacher": TeacherViews(**views, agreement=teacher_agreement),
    }
    chosen = {name: value for name, value in settings.items() if value is not None}
    names = tuple(name.strip() for name in classes.split(","))

    def taught_by(data: SegmentationDataset) -> Teacher | None:
        return None if teacher is None else open_teacher(teacher, data.classes, chosen["teacher"])

    if parent is not None:
        refuse_options(context, _OF_THE_NETWORK, "does not go with --qat: the checkpoint says it")
        splits = open_splits(data, train_split, val_split, names, skip_bad=skip_bad)
        fine_tune(
            parent,
            splits,
            out,
            QuantizationAwareConfig(replace(FINE_TUNING, **chosen), distillation=distillation),
            teacher=taught_by(splits[0]),
            resume=resume,
            devices=devices,
            accelerator=accelerator,
        )
        return
    from_checkpoint = init.lower().endswith(CHECKPOINT_SUFFIX)
    if from_checkpoint:
        own = (*NETWORK_OPTIONS, "init_range")
        refuse_options(context, own, "does not go with a checkpoint as --init: the checkpoint says it")
    train_data, val_data = open_splits(data, train_split, val_split, names, skip_bad=skip_bad)
    torch.manual_seed(seed)
    if from_checkpoint:
        built, layers = network_for(Path(init), train_data.classes, output_stride=output_stride)
    else:
        layers = network(len(train_data.classes))
        built = build_network(layers)
    spec = ModelSpec(network=layers, height=input_size, width=input_size, classes=train_data.classes)
    if not resume and not from_checkpoint:
        input_range = None if init_range is None else InputRange.uniform(*init_range)
        initialize_backbone(built, init, train_data, spec, input_range=input_range)
    checkpoint = train(
        built,
        spec,
        train_data,
        val_data,
        out,
        TrainingConfig(
            **chosen,
            freeze_epochs=freeze_epochs,
            thaw_epochs=thaw_epochs,
            distillation=0.0 if teacher is None else distillation,
        ),
        teacher=taught_by(train_data),
        resume=resume,
        devices=devices,
        accelerator=accelerator,
    )
    click.echo(f"Wrote {checkpoint}. Next: edge-deeplab convert {checkpoint} --target tflite-int8 --out DIR")
