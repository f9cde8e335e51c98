"""A recipe's stages before the integer network: the float network is trained, may settle, and may be finished."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch

from edge_deeplab.checkpoint import load_checkpoint
from edge_deeplab.errors import SpecError
from edge_deeplab.files import sha256
from edge_deeplab.models.deeplab import DeepLab, build_network
from edge_deeplab.training.config import TrainingConfig
from edge_deeplab.training.fine_tuning import CHECKPOINT_SUFFIX, network_for
from edge_deeplab.training.initialization import initialize_backbone
from edge_deeplab.training.recipe import Recipe
from edge_deeplab.training.recipe_data import RecipeData
from edge_deeplab.training.run import train
from edge_deeplab.training.teacher import load_teacher


def train_float(
    recipe: Recipe,
    data: RecipeData,
    out: Path,
    *,
    init: Path | None,
    teacher: Path | None,
    resume: bool = False,
    accelerator: str = "auto",
) -> Path:
    """Train the float network of a recipe.

    Args:
        recipe: what is done.
        data: what it is done with.
        out, resume, accelerator: as for :func:`edge_deeplab.training.run.train`.
        init: the file with the first weights, if the recipe starts from one; a run that resumes needs none.
        teacher: the teacher's file, if the recipe has one.

    Returns:
        The checkpoint's path.

    Raises:
        SpecError: as :func:`init_hash` and :func:`teacher_hash`, or the first weights are a checkpoint of another
            network.
        CheckpointError: the first weights are not this backbone's, or cannot be read; so the teacher.
        ModelFileError: the teacher is a model file that cannot be read.
        DatasetError, CheckpointError, OutputError: as ``train``.
    """
    torch.manual_seed(recipe.training.seed)
    if not resume:
        init_hash(recipe, init)
    network = build_network(recipe.model.network) if resume else _first_network(recipe, data, init)
    return _train(network, recipe, recipe.training, data, out, teacher, resume=resume, accelerator=accelerator)


def train_on(
    recipe: Recipe,
    run: TrainingConfig,
    data: RecipeData,
    parent: Path,
    out: Path,
    *,
    teacher: Path | None,
    resume: bool = False,
    accelerator: str = "auto",
) -> Path:
    """Train a recipe's float network on, in one of its further runs.

    Args:
        recipe: one with a settling.
        run: ``recipe.settling`` or ``recipe.finishing``.
        parent: the checkpoint of the run before it.
        data, out, teacher, resume, accelerator: as for :func:`train_float`.

    Returns:
        The checkpoint's path.

    Raises:
        SpecError: as :func:`teacher_hash`.
        CheckpointError: the parent or the teacher cannot be read.
        ModelFileError: the teacher is a model file that cannot be read.
        DatasetError, CheckpointError, OutputError: as ``train``.
    """
    torch.manual_seed(run.seed)
    network = build_network(recipe.model.network) if resume else network_for(parent, recipe.model.classes)[0]
    return _train(network, recipe, run, data, out, teacher, resume=resume, accelerator=accelerator)


def _train(
    network: DeepLab,
    recipe: Recipe,
    config: TrainingConfig,
    data: RecipeData,
    out: Path,
    teacher: Path | None,
    *,
    resume: bool,
    accelerator: str,
) -> Path:
    """One stage, as ``config`` says: it may leave out the recipe's teacher."""
    teacher_hash(recipe, teacher)
    taught = None
    if teacher is not None and config.distillation:
        taught = load_teacher(teacher, recipe.model.classes, config.teacher)
    return train(
        network,
        recipe.model,
        data.train if config is recipe.float_runs[-1] else data.early,
        data.val,
        out,
        config,
        teacher=taught,
        resume=resume,
        accelerator=accelerator,
    )


def _first_network(recipe: Recipe, data: RecipeData, init: Path | None) -> DeepLab:
    """The recipe's network with its first weights: of the backbone, or of all layers where they are a checkpoint."""
    if init is None or init.suffix.lower() != CHECKPOINT_SUFFIX:
        network = build_network(recipe.model.network)
        initialize_backbone(network, recipe.init if init is None else str(init), data.early, recipe.model)
        return network
    require_same_network(recipe, init)
    return network_for(init, recipe.model.classes, last_bottleneck=recipe.model.network.last_bottleneck)[0]


def require_same_network(recipe: Recipe, init: Path | None) -> None:
    """See that first weights that are a checkpoint are of the recipe's network, whatever their classes.

    They may have a last bottleneck that the recipe does without.

    Raises:
        SpecError: they are of another one; the message says what differs.
        CheckpointError: the checkpoint cannot be read.
    """
    if init is None or init.suffix.lower() != CHECKPOINT_SUFFIX:
        return
    ours = asdict(recipe.model.network)
    theirs = asdict(load_checkpoint(init).spec.network) | {"num_classes": ours["num_classes"]}
    theirs["last_bottleneck"] &= ours["last_bottleneck"]
    if differing := [f"{name} {theirs[name]}, not {ours[name]}" for name in ours if theirs[name] != ours[name]]:
        raise SpecError(
            f"{init} holds another network than the recipe {recipe.name} ({', '.join(differing)}): a checkpoint is "
            "taken whole, so write the recipe's model.network as the checkpoint's (edge-deeplab inspect shows it)"
        )


def init_hash(recipe: Recipe, init: Path | None) -> str:
    """The SHA-256 of the file with the first weights; empty where the recipe starts without a file.

    Raises:
        SpecError: the file is missing, is not the recipe's, or is given to a recipe that takes none.
    """
    return _hash(recipe, "--init", recipe.init if recipe.init_is_file else "", recipe.init_sha256, init)


def teacher_hash(recipe: Recipe, teacher: Path | None) -> str:
    """The SHA-256 of the teacher's file; empty where the recipe has none. Raises: SpecError: as for the init."""
    return _hash(recipe, "--teacher", recipe.teacher, recipe.teacher_sha256, teacher)


def _hash(recipe: Recipe, option: str, wanted: str, wanted_sha256: str, path: Path | None) -> str:
    if not wanted:
        if path is not None:
            raise SpecError(f"the recipe {recipe.name} takes no file there: leave out {option}")
        return ""
    if path is None:
        raise SpecError(f"the recipe {recipe.name} needs {wanted}: say where it is with {option} FILE")
    if not path.is_file():
        raise SpecError(f"there is no file {path}: the recipe {recipe.name} needs {wanted}")
    found = sha256(path)
    if wanted_sha256 not in ("", found):
        raise SpecError(
            f"{path} is not the {wanted} that the recipe {recipe.name} needs (SHA-256 {found[:12]}... instead of "
            f"{wanted_sha256[:12]}...): get that file, or write a recipe of your own with this one"
        )
    return found
