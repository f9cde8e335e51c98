"""A recipe's first stage: the float network."""

from __future__ import annotations

from pathlib import Path

import torch

from edge_deeplab.errors import SpecError
from edge_deeplab.files import sha256
from edge_deeplab.models.deeplab import build_network
from edge_deeplab.training.initialization import initialize_backbone
from edge_deeplab.training.recipe import Recipe
from edge_deeplab.training.recipe_data import RecipeData
from edge_deeplab.training.run import train


def train_float(
    recipe: Recipe,
    data: RecipeData,
    init: Path | None,
    out: Path,
    *,
    resume: bool = False,
    accelerator: str = "auto",
    stop_after: int | None = None,
) -> Path:
    """Train the float network of a recipe.

    Args:
        recipe: what is done.
        data: what it is done with.
        init: the file with the first weights, if the recipe has one; a run that resumes needs none.
        out, resume, accelerator, stop_after: as for :func:`edge_deeplab.training.run.train`.

    Returns:
        The checkpoint's path.

    Raises:
        SpecError: as :func:`init_hash`.
        CheckpointError: the first weights are not this backbone's.
        DatasetError, CheckpointError, OutputError: as ``train``.
    """
    torch.manual_seed(recipe.training.seed)
    network = build_network(recipe.model.network)
    if not resume:
        init_hash(recipe, init)
        initialize_backbone(network, recipe.init if init is None else str(init), data.train, recipe.model)
    return train(
        network,
        recipe.model,
        data.train,
        data.val,
        out,
        recipe.training,
        resume=resume,
        accelerator=accelerator,
        stop_after=stop_after,
    )


def init_hash(recipe: Recipe, init: Path | None) -> str:
    """The SHA-256 of the file with the first weights; empty where the recipe starts without a file.

    Raises:
        SpecError: a file is missing, is not the recipe's, or is given to a recipe that takes none.
    """
    if not recipe.init_is_file:
        if init is not None:
            raise SpecError(f"the recipe {recipe.name} starts from {recipe.init!r}: leave out --init")
        return ""
    if init is None:
        raise SpecError(f"the recipe {recipe.name} starts from {recipe.init}: say where it is with --init FILE")
    if not init.is_file():
        raise SpecError(f"there is no file {init}: the recipe {recipe.name} starts from {recipe.init}")
    found = sha256(init)
    if recipe.init_sha256 not in ("", found):
        raise SpecError(
            f"{init} is not the {recipe.init} that the recipe {recipe.name} starts from (SHA-256 {found[:12]}... "
            f"instead of {recipe.init_sha256[:12]}...): get that file, or write a recipe of your own with this one"
        )
    return found
