from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_deeplab.data.opening import open_dataset
from edge_deeplab.data.sample import Sample
from edge_deeplab.errors import DatasetError, ImageError
from edge_deeplab.evaluation.evaluate import evaluate
from edge_deeplab.evaluation.scores import by_size
from edge_deeplab.runtime.opening import open_session

SHARED = Path(__file__).resolve().parents[2] / "../shared"
PORTRAIT, SELFIE = SHARED / "data/portrait", SHARED / "peers/selfie_segmenter.tflite"


def sample(id: str, source: str, *, red_columns: int, true_columns: int, side: int = 8) -> Sample:
    """A picture of which the first columns are red, with a mask of its own first columns."""
    image = np.zeros((side, side, 3), dtype=np.uint8)
    image[:, :red_columns, 0] = 255
    mask = np.zeros((side, side), dtype=np.uint8)
    mask[:, :true_columns] = 255
    return Sample(id, source, image, mask)


PHOTOS = [
    sample("right", "a", red_columns=4, true_columns=4),
    sample("half", "a", red_columns=4, true_columns=8),
    sample("third", "b", red_columns=6, true_columns=2),
    sample("negative", "none", red_columns=2, true_columns=0),
]


def test_what_is_doubted_does_not_count(red_session: Any, dataset_of: Any) -> None:
    """Each of these is wrong in columns that the mask is doubted in, and nowhere else."""
    doubted = np.zeros((8, 8), np.bool_)
    doubted[:, 2:] = True
    photos = [replace(photo, ignored=doubted) for photo in PHOTOS[1:]]
    photos[2] = replace(photos[2], ignored=~doubted)
    result = evaluate(red_session, dataset_of(photos))
    assert [image.person_iou for image in result.images] == [1.0, 1.0, None]
    assert result.images[2].false_person == 0.0
    assert result.total.class_iou["person"] == 1.0


def test_scores_by_hand(red_session: Any, dataset_of: Any) -> None:
    result = evaluate(red_session, dataset_of(PHOTOS))
    assert [image.person_iou for image in result.images] == [1.0, 0.5, pytest.approx(1 / 3), None]
    assert [image.false_person for image in result.images] == [None, None, None, 0.25]
    assert [image.boundary_f for image in result.images] == [1.0, 0.0, 0.0, None]
    assert [image.person_fraction for image in result.images] == [0.5, 1.0, 0.25, 0.0]
    assert result.sources["a"].person_iou == 0.75
    assert result.sources["b"].boundary_f == 0.0
    assert result.sources["none"].person_iou is None
    assert result.sources["none"].false_person == 0.25
    total = result.total
    assert (total.images, total.negatives) == (4, 1)
    assert total.person_iou == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert total.boundary_f == pytest.approx(1 / 3)
    # In columns of 8 pixels: person 4+4+2 right, 4 missed, 4+2 extra; background 4+2+6 right.
    assert total.class_iou == {"background": pytest.approx(12 / 22), "person": pytest.approx(10 / 20)}
    assert total.mean_iou == pytest.approx((12 / 22 + 10 / 20) / 2)


def test_pictures_are_grouped_by_the_size_of_the_person(red_session: Any, dataset_of: Any) -> None:
    result = evaluate(red_session, dataset_of(PHOTOS))  # persons of 1/2, all, 1/4 and none of the picture
    sizes = by_size(result.images, result.names)
    assert {size: scores.images for size, scores in sizes.items()} == {"15 to 30 %": 1, "over 50 %": 2}
    assert list(sizes) == ["15 to 30 %", "over 50 %"]
    assert sizes["over 50 %"].person_iou == 0.75


def test_each_picture_is_scored_at_its_own_size(red_session: Any, dataset_of: Any) -> None:
    # 32x32 through a network of 8x8: the edge at column 14 is in the middle of a pixel of the network, which gives one
    # half; resized back bilinearly, the threshold falls on column 14 again. A mask of 8 columns could not tell.
    photo = sample("fine", "", red_columns=14, true_columns=14, side=32)
    (score,) = evaluate(red_session, dataset_of([photo])).images
    assert score.person_iou == 1.0
    assert score.person_fraction == 14 / 32


def test_the_worst_come_first_and_negatives_take_part(red_session: Any, dataset_of: Any) -> None:
    result = evaluate(red_session, dataset_of(PHOTOS))
    assert [score.id for score in result.worst(3)] == ["third", "half", "negative"]


def test_every_picture_is_counted_once_and_in_order_whatever_the_threads_do(session_of: Any, dataset_of: Any) -> None:
    def slow(pixels: Any) -> Any:
        time.sleep(0.001)  # long enough for another thread to come in, which the session refuses
        return pixels[:, :, :1].astype(np.float32) / np.float32(255)

    photos = [sample(str(n), "a", red_columns=n % 9, true_columns=4) for n in range(60)]
    told: list[tuple[int, int]] = []
    result = evaluate(session_of(slow), dataset_of(photos), progress=lambda done, count: told.append((done, count)))
    assert [score.id for score in result.images] == [str(n) for n in range(60)]
    assert told == [(n, 60) for n in range(1, 61)]


def test_several_classes(session_of: Any, dataset_of: Any) -> None:
    classes = ("background", "cat", "person")
    mask = np.array([[0, 1, 2, 255]] * 8, dtype=np.uint8).repeat(2, axis=1)
    output = np.zeros((8, 8, 3), dtype=np.float32)
    output[:, :2, 0] = output[:, 2:4, 1] = output[:, 4:, 2] = 1
    dataset = dataset_of([Sample("one", "", np.zeros((8, 8, 3), dtype=np.uint8), mask)], classes)
    result = evaluate(session_of(lambda _: output, classes=classes), dataset)
    assert result.total.class_iou == {"background": 1.0, "cat": 1.0, "person": 1.0}
    assert result.images[0].person_iou == 1.0
    assert result.images[0].boundary_f is None  # the ignored pixels hide the boundary


class TestBadPictures:
    def test_the_first_one_stops_the_run(self, red_session: Any, dataset_of: Any) -> None:
        with pytest.raises(ImageError, match=r"b\.jpg"):
            evaluate(red_session, dataset_of([PHOTOS[0], ImageError("b.jpg is truncated")]))

    def test_they_are_left_out_on_request_and_named(self, red_session: Any, dataset_of: Any) -> None:
        photos = [PHOTOS[0], ImageError("b.jpg is truncated"), DatasetError("c has no mask"), PHOTOS[2]]
        result = evaluate(red_session, dataset_of(photos), skip_bad=True)
        assert [score.index for score in result.images] == [0, 3]
        assert [skip.reason for skip in result.skipped] == ["b.jpg is truncated", "c has no mask"]

    def test_nothing_left_is_an_error(self, red_session: Any, dataset_of: Any) -> None:
        with pytest.raises(DatasetError, match=r"none of the 1 images.*b\.jpg"):
            evaluate(red_session, dataset_of([ImageError("b.jpg is truncated")]), skip_bad=True)
        with pytest.raises(DatasetError, match="empty"):
            evaluate(red_session, dataset_of([]))


def test_json_says_the_conditions_and_every_picture(red_session: Any, dataset_of: Any, tmp_path: Path) -> None:
    evaluate(red_session, dataset_of(PHOTOS)).write_json(tmp_path / "scores.json")
    values = json.loads((tmp_path / "scores.json").read_text())
    assert values["conditions"]["boundary_tolerance"] == 0.008
    assert values["total"]["false_person"] == 0.25
    assert values["sources"]["none"]["person_iou"] is None
    assert [image["id"] for image in values["images"]] == ["right", "half", "third", "negative"]


@pytest.mark.shared_data
@pytest.mark.skipif(not PORTRAIT.is_dir(), reason="the real photos of ../shared/data are not beside the checkout")
@pytest.mark.skipif(not SELFIE.is_file(), reason="../shared/peers is not beside this checkout")
def test_a_known_model_gets_its_known_scores() -> None:
    """Google's selfie segmenter on the test split: the numbers that were measured independently of this code."""
    with open_session(SELFIE, threads=os.cpu_count()) as session:
        result = evaluate(session, open_dataset(PORTRAIT, split="test"))
    measured = {source: scores.person_iou for source, scores in result.sources.items()}
    # pennfudan: 0.701 with INTER_AREA alone, which is bilinear where one axis grows; area averaging gives 0.699.
    expected = {"eg1800": 0.962, "picsart": 0.959, "ccp": 0.924, "pennfudan": 0.700, "coco128-negative": None}
    assert measured == {name: value and pytest.approx(value, abs=0.002) for name, value in expected.items()}
    assert result.total.images == 685
    assert result.total.negatives == 13
