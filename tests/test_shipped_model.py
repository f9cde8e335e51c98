"""The models in the package: each file is its checkpoint and ranges, and loses nothing against its float parent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_deeplab.checkpoint import load_checkpoint
from edge_deeplab.data.opening import open_dataset
from edge_deeplab.data.subset import Subset
from edge_deeplab.evaluation.evaluate import evaluate
from edge_deeplab.quantization.ranges import load_ranges, ranges_path
from edge_deeplab.runtime.opening import open_session
from edge_deeplab.training.recipe import load_recipe
from edge_deeplab.weights import shipped_card, shipped_checkpoint, shipped_model, shipped_names

ROOT = Path(__file__).resolve().parents[1]
PORTRAIT = ROOT / "../shared/data/portrait"
# What a quantization-aware model may lose against its float parent. Published for comparable ones: 0.62 points of mIoU
# (TensorFlow Model Garden, DeepLabV3 MobileNetV2), 0.24 (AIMET's model zoo).
IOU_BUDGET, BOUNDARY_BUDGET = 0.003, 0.010

each_model = pytest.mark.parametrize("name", shipped_names())


def _parent(name: str) -> Path:
    return ROOT / "benchmarks" / f"{name}_float.safetensors"


@each_model
def test_the_card_s_scores_are_within_the_budget(name: str) -> None:
    persons = [score for score in shipped_card(name).scores if "person_iou" in score.float32]
    assert {score.name for score in persons} == {"ccp", "eg1800", "pennfudan", "picsart"}
    for score in persons:
        assert score.float32["person_iou"] - score.int8["person_iou"] <= IOU_BUDGET, score.name
        assert score.float32["boundary_f"] - score.int8["boundary_f"] <= BOUNDARY_BUDGET, score.name


@each_model
def test_the_checkpoint_names_its_parent_and_the_ranges_their_checkpoint(name: str) -> None:
    checkpoint, parent = load_checkpoint(shipped_checkpoint(name)), load_checkpoint(_parent(name))
    before = parent.notes.get("sha256_before_half_precision", parent.sha256)
    assert checkpoint.notes["parent_sha256"] == before
    assert shipped_card(name).parent_sha256 == parent.sha256
    load_ranges(ranges_path(shipped_checkpoint(name))).require_checkpoint(checkpoint.sha256)


@each_model
def test_the_recipe_on_the_card_is_the_one_that_comes_with_the_package(name: str) -> None:
    card = shipped_card(name)
    if card.recipe_name is not None:
        assert card.recipe_name == name
        recipe = load_recipe(name)
        assert recipe.sha256 == card.recipe_sha256
        for checkpoint in (_parent(name), shipped_checkpoint(name)):
            assert load_checkpoint(checkpoint).spec == recipe.deployed_model


@pytest.mark.convert
@each_model
def test_converting_the_checkpoint_again_gives_the_file(name: str, tmp_path: Path) -> None:
    from converters.tflite import float32_flatbuffer
    from converters.tflite_int8 import convert

    ranges = load_ranges(ranges_path(shipped_checkpoint(name)))
    path = tmp_path / "again.tflite"
    convert(shipped_checkpoint(name), path, ranges, float32_flatbuffer(shipped_checkpoint(name)))
    assert path.read_bytes() == shipped_model(name).read_bytes()


@pytest.mark.shared_data
@pytest.mark.skipif(not PORTRAIT.is_dir(), reason="the real photos of ../shared/data are not beside the checkout")
@each_model
def test_it_loses_nothing_on_real_photos(name: str) -> None:
    photos = open_dataset(PORTRAIT, split="test")
    third = Subset(photos, range(0, len(photos), 3))
    scores = []
    for model in (_parent(name), shipped_model(name)):
        with open_session(model, threads=os.cpu_count()) as session:
            scores.append(evaluate(session, third).sources)
    before, after = scores
    for source in ("ccp", "eg1800", "pennfudan", "picsart"):
        assert before[source].person_iou - after[source].person_iou <= IOU_BUDGET, source
        assert before[source].boundary_f - after[source].boundary_f <= BOUNDARY_BUDGET, source
