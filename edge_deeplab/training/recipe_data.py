"""The photos that a recipe trains on and chooses by, out of a folder that has more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_deeplab.data.balance import balance
from edge_deeplab.data.fingerprint import PhotoHash, hash_photos, require_digests
from edge_deeplab.data.manifest import MANIFEST, ManifestDataset
from edge_deeplab.data.sample import SegmentationDataset
from edge_deeplab.errors import DatasetError
from edge_deeplab.training.recipe import Recipe

TRAIN, VAL = "train", "val"


@dataclass(frozen=True)
class RecipeData:
    """What a recipe's model is made of.

    Attributes:
        early: what is learned in an epoch of the float network's runs before the last; photos come as often as their
            source is repeated.
        train: the same of the last and of the integer network, which may have more sources.
        val: what the best epoch is chosen by: each photo once.
        photos: those of both, each once, with their hashes.
    """

    early: SegmentationDataset
    train: SegmentationDataset
    val: SegmentationDataset
    photos: tuple[PhotoHash, ...]


def open_recipe_data(
    recipe: Recipe,
    root: Path,
    *,
    other_data: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> RecipeData:
    """Open the splits train and val of the sources that a recipe uses.

    Args:
        recipe: says which, how often, and what they hash to.
        root: a folder with ``manifest.csv``.
        other_data: take photos other than those that the recipe was made with.
        progress: told how many photos are hashed, and of how many.

    Raises:
        DatasetError: no manifest, another file than the recipe's, or nothing of its sources in one of the splits.
    """
    if not (root / MANIFEST).is_file():
        raise DatasetError(f"there is no {root / MANIFEST}: a recipe names sources and splits, which only it tells")
    used = recipe.repeats
    train, val = (ManifestDataset(root, split=split, classes=recipe.model.classes) for split in (TRAIN, VAL))
    total = len(train) + len(val)
    hashed = (
        *hash_photos(train, progress=lambda done, _: progress(done, total)),
        *hash_photos(val, progress=lambda done, _: progress(len(train) + done, total)),
    )
    photos = tuple(photo for photo in hashed if photo.source in used)
    if recipe.data and not other_data:
        require_digests(recipe.data, photos, tuple(used), str(root))
    return RecipeData(
        balance(train, recipe.early_repeats), balance(train, used), balance(val, dict.fromkeys(used, 1)), photos
    )
