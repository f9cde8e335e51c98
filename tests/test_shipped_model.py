"""The model in the package: its file is its checkpoint and ranges, and it loses nothing against its float parent."""

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
from edge_deeplab.weights import shipped_checkpoint, shipped_model
from edge_deeplab.weights.card import load_card

ROOT = Path(__file__).resolve().parents[1]
PARENT = ROOT / "benchmarks" / "portrait_float.safetensors"
PORTRAIT = ROOT / "../shared/data/portrait"
# What a quantization-aware model may lose against its float parent. Published for comparable ones: 0.62 points of mIoU
# (TensorFlow Model Garden, DeepLabV3 MobileNetV2), 0.24 (AIMET's model zoo).
IOU_BUDGET, BOUNDARY_BUDGET = 0.003, 0.010


def test_the_card_s_scores_are_within_the_budget() -> None:
    card = load_card(shipped_model().with_suffix(".json"))
    persons = [score for score in card.scores if "person_iou" in score.float32]
    assert {score.name for score in persons} == {"ccp", "eg1800", "pennfudan", "picsart"}
    for score in persons:
        assert score.float32["person_iou"] - score.int8["person_iou"] <= IOU_BUDGET, score.name
        assert score.float32["boundary_f"] - score.int8["boundary_f"] <= BOUNDARY_BUDGET, score.name


def test_the_checkpoint_names_its_parent_and_the_ranges_their_checkpoint() -> None:
    checkpoint = load_checkpoint(shipped_checkpoint())
    assert checkpoint.notes["parent_sha256"] == load_checkpoint(PARENT).sha256
    load_ranges(ranges_path(shipped_checkpoint())).require_checkpoint(checkpoint.sha256)


@pytest.mark.convert
def test_converting_the_checkpoint_again_gives_the_file(tmp_path: Path) -> None:
    from converters.tflite import float32_flatbuffer
    from converters.tflite_int8 import convert

    ranges = load_ranges(ranges_path(shipped_checkpoint()))
    path = tmp_path / "again.tflite"
    convert(shipped_checkpoint(), path, ranges, float32_flatbuffer(shipped_checkpoint()))
    assert path.read_bytes() == shipped_model().read_bytes()


@pytest.mark.shared_data
@pytest.mark.skipif(not PORTRAIT.is_dir(), reason="the real photos of ../shared/data are not beside the checkout")
def test_it_loses_nothing_on_real_photos() -> None:
    photos = open_dataset(PORTRAIT, split="test")
    third = Subset(photos, range(0, len(photos), 3))
    scores = []
    for model in (PARENT, shipped_model()):
        with open_session(model, threads=os.cpu_count()) as session:
            scores.append(evaluate(session, third).sources)
    before, after = scores
    for source in ("ccp", "eg1800", "pennfudan", "picsart"):
        assert before[source].person_iou - after[source].person_iou <= IOU_BUDGET, source
        assert before[source].boundary_f - after[source].boundary_f <= BOUNDARY_BUDGET, source
