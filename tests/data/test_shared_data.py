"""The real photos beside the checkout, where they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_deeplab.data.fingerprint import hash_photos, require_digests
from edge_deeplab.data.manifest import ManifestDataset
from edge_deeplab.data.opening import open_dataset

PORTRAIT = Path(__file__).resolve().parents[2] / "../shared/data/portrait"

pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not PORTRAIT.is_dir(), reason="the real photos of ../shared/data are not beside the checkout"),
]


def test_the_portrait_set_has_the_splits_that_its_readme_counts() -> None:
    counts = {split: len(open_dataset(PORTRAIT, split=split)) for split in ("train", "val", "test")}
    assert counts == {"train": 4040, "val": 325, "test": 685}


def test_every_source_can_be_read() -> None:
    dataset = ManifestDataset(PORTRAIT, split="test")
    first: dict[str, int] = {}
    for index, row in enumerate(dataset.rows):
        first.setdefault(row.source, index)
    assert sorted(first) == ["ccp", "coco128-negative", "eg1800", "pennfudan", "picsart"]
    for source, index in first.items():
        sample = dataset[index]
        assert sample.image.shape == (*sample.mask.shape, 3)
        assert bool(np.any(sample.mask >= 128)) == (source != "coco128-negative")


def test_they_are_those_of_the_shipped_recipes() -> None:
    from edge_deeplab.training.recipe import load_recipe

    recipe = load_recipe("portrait")
    photos = [p for split in ("train", "val") for p in hash_photos(ManifestDataset(PORTRAIT, split=split))]
    require_digests(recipe.data, photos, tuple(recipe.sources), "the shared data")
