"""A recipe from its photos to the int8 checkpoint: the float network's runs, and the quantization-aware fine-tune."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_deeplab.cli.teacher_options import open_teacher

if TYPE_CHECKING:
    from edge_deeplab.training.run_record import StageResult


def train_recipe(
    name: str,
    data: Path,
    out: Path,
    *,
    init: Path | None,
    teacher: Path | None,
    stop_after: str,
    workers: int | None,
    accelerator: str,
    other_data: bool,
    resume: bool,
) -> None:
    """Train a recipe's model, and say what was done.

    Args:
        name: of the recipe, or its file.
        data: folder with ``manifest.csv``.
        out: folder of the run.
        init: the file with the first weights, where the recipe starts from one.
        teacher: the teacher's file, where the recipe has one.
        stop_after: the stage that is the last: "float", "settled", "finished" or "int8".
        workers: processes that load photos; None: as the recipe says. The result does not depend on it.
        accelerator: Lightning's name.
        other_data: train on photos that the recipe was not made with.
        resume: go on with the run in ``out``, wherever it stopped.

    Raises:
        SpecError: no such recipe, no such stage in it, or another file of first weights than the recipe's.
        DatasetError, CheckpointError, OutputError: as ``open_recipe_data``, ``require_same_run`` and ``train``.
    """
    from edge_deeplab.cli.fine_tuning import fine_tune
    from edge_deeplab.cli.progress import image_progress
    from edge_deeplab.data.subset import check_dataset
    from edge_deeplab.errors import SpecError
    from edge_deeplab.evaluation.machine import describe_machine
    from edge_deeplab.training.float_stage import init_hash, require_same_network, teacher_hash, train_float, train_on
    from edge_deeplab.training.recipe import load_recipe
    from edge_deeplab.training.recipe_data import open_recipe_data
    from edge_deeplab.training.run import CHECKPOINT, RESUME, check_run
    from edge_deeplab.training.run_record import (
        FLOAT,
        INT8,
        begin_run,
        finish_stage,
        finished_stages,
        require_no_run,
        require_same_run,
        require_same_teacher,
        stages,
    )

    recipe = load_recipe(name)
    if stop_after not in stages(recipe):
        raise SpecError(f"the recipe {recipe.name} has no stage {stop_after!r}: it has {', '.join(stages(recipe))}")
    if workers is not None:
        recipe = recipe.with_workers(workers)
    with image_progress("comparing the photos with the recipe's") as progress:
        photos = open_recipe_data(recipe, data, other_data=other_data, progress=progress)
    if resume:
        require_same_run(out, recipe, photos.photos)
        done = finished_stages(out)
        if not {*stages(recipe)} - {INT8} <= done.keys():
            require_same_teacher(out, teacher_hash(recipe, teacher))
            if teacher is not None:
                open_teacher(teacher, recipe.model.classes, recipe.training.teacher)
    else:
        require_no_run(out)
        files = {"init_sha256": init_hash(recipe, init), "teacher_sha256": teacher_hash(recipe, teacher)}
        require_same_network(recipe, init)
        if teacher is not None:
            open_teacher(teacher, recipe.model.classes, recipe.training.teacher)
        for split in (photos.train, photos.val):
            check_dataset(split)
        check_run(recipe.model, photos.early, photos.val, out / FLOAT, recipe.training, resume=False, devices=1)
        begin_run(out, recipe, photos.photos, describe_machine(["torch", "torchvision", "lightning"]), **files)
        done = {}
    parent = out
    for stage in stages(recipe):
        folder = out / stage
        if stage not in done:
            how: Any = {"resume": (folder / RESUME).exists(), "accelerator": accelerator}
            if stage == FLOAT:
                train_float(recipe, photos, folder, init=init, teacher=teacher, **how)
            elif stage == INT8:
                splits, spec = (photos.train, photos.val), recipe.deployed_model
                fine_tune(parent, splits, folder, recipe.quantization_aware, spec=spec, **how)
            else:
                run = recipe.float_runs[stages(recipe).index(stage)]
                train_on(recipe, run, photos, parent, folder, teacher=teacher, **how)
            _say(folder / CHECKPOINT, finish_stage(out, stage))
        parent = folder / CHECKPOINT
        if stage == stop_after:
            break


def _say(checkpoint: Path, result: StageResult) -> None:
    click.echo(f"{checkpoint}: val IoU {result.val_iou:.4f} at the network's size, epoch {result.epoch}")
