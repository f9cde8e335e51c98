"""What may be doubted of a label, and that nobody counts it from there on."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from edge_deeplab.data.doubts import missing_person
from edge_deeplab.data.manifest import ManifestDataset
from edge_deeplab.data.sample import IGNORE, MaskKind, Sample
from edge_deeplab.data.transforms import (
    UNKNOWN,
    Augmentation,
    EvaluationTransform,
    TrainingTransform,
    replace_background,
)
from edge_deeplab.errors import DatasetError
from edge_deeplab.image import resize_area, write_image

SIZE = 200


def _ellipse(middle: tuple[int, int], axes: tuple[int, int]) -> NDArray[np.bool_]:
    mask = np.zeros((SIZE, SIZE), np.uint8)
    cv2.ellipse(mask, middle, axes, 0, 0, 360, (1,), cv2.FILLED)
    return mask > 0


HEAD, SHOULDERS = _ellipse((100, 70), (30, 40)), _ellipse((100, 175), (80, 70))
LABEL = (HEAD * 255).astype(np.uint8)


def _sure(*persons: NDArray[np.bool_], probability: float = 0.97) -> NDArray[np.float32]:
    return np.where(np.logical_or.reduce(persons), probability, 0.02).astype(np.float32)


def _around(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    grown: NDArray[np.bool_] = cv2.dilate(mask.astype(np.uint8), disc) > 0
    return grown


def test_shoulders_that_the_label_lacks_are_doubted_to_the_frame() -> None:
    doubted = missing_person(LABEL, _sure(HEAD, SHOULDERS))
    assert doubted[SHOULDERS & ~HEAD].all()
    assert not doubted[HEAD].any()  # what the label calls a person stays one
    assert not doubted[~_around(SHOULDERS, 8)].any()


def test_a_teacher_who_draws_the_outline_a_little_further_out_doubts_nothing() -> None:
    assert not missing_person(LABEL, _sure(_around(HEAD, 2))).any()


def test_who_is_not_sure_doubts_nothing() -> None:
    assert not missing_person(LABEL, _sure(HEAD, SHOULDERS, probability=0.75)).any()


def test_what_is_likely_belongs_to_what_is_sure_beside_it() -> None:
    left = SHOULDERS & (np.arange(SIZE) < 100)
    probability = np.maximum(_sure(left), _sure(SHOULDERS, probability=0.6))
    assert missing_person(LABEL, probability)[SHOULDERS & ~HEAD].all()


def test_a_small_spot_is_not_a_person() -> None:
    assert not missing_person(LABEL, _sure(HEAD, _ellipse((20, 20), (4, 4)))).any()
    assert missing_person(LABEL, _sure(HEAD, _ellipse((20, 20), (12, 12)))).any()


def test_nothing_is_missing_of_a_complete_label() -> None:
    label = ((HEAD | SHOULDERS) * 255).astype(np.uint8)
    assert not missing_person(label, _sure(HEAD, SHOULDERS)).any()
    assert not missing_person(label, _sure(HEAD)).any()  # a teacher who misses something is no reason either


@pytest.fixture
def doubted(tmp_path: Path, photo: NDArray[np.uint8], coverage: NDArray[np.uint8]) -> Path:
    """Two photos with their masks; the lower third of the first one's is doubted."""
    (tmp_path / "masks").mkdir()
    (tmp_path / "doubts").mkdir()
    for id in ("one", "two"):
        write_image(tmp_path / "images" / f"{id}.jpg", photo)
        Image.fromarray(coverage).save(tmp_path / "masks" / f"{id}.png")
    Image.fromarray(_lower_third(photo)).save(tmp_path / "doubts" / "one.png")
    (tmp_path / "manifest.csv").write_text("id,source,split\none,studio,train\ntwo,studio,train\n")
    return tmp_path


def _lower_third(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    doubts = np.zeros(photo.shape[:2], np.uint8)
    doubts[len(doubts) * 2 // 3 :] = 255
    return doubts


def test_the_manifest_takes_the_doubts_that_there_are(
    doubted: Path, photo: NDArray[np.uint8], coverage: NDArray[np.uint8]
) -> None:
    first, second = (ManifestDataset(doubted)[index] for index in (0, 1))
    np.testing.assert_array_equal(first.mask, coverage)
    assert first.ignored is not None
    np.testing.assert_array_equal(first.ignored, _lower_third(photo) > 0)
    assert second.ignored is None


def test_class_masks_say_it_themselves(doubted: Path, photo: NDArray[np.uint8], coverage: NDArray[np.uint8]) -> None:
    for id in ("one", "two"):
        Image.fromarray(coverage // 128).save(doubted / "masks" / f"{id}.png")
    sample = ManifestDataset(doubted, classes=("background", "person"))[0]
    assert sample.ignored is None
    np.testing.assert_array_equal(sample.mask, np.where(_lower_third(photo) > 0, IGNORE, coverage // 128))


def test_doubts_that_do_not_fit_are_refused(doubted: Path, photo: NDArray[np.uint8]) -> None:
    path = doubted / "doubts" / "one.png"
    Image.fromarray(_lower_third(photo)[1:]).save(path)
    with pytest.raises(DatasetError, match=r"one\.png is 114x151 and its photo .*one\.jpg is 114x152"):
        ManifestDataset(doubted)[0]
    Image.fromarray(_lower_third(photo) // 2).save(path)
    with pytest.raises(DatasetError, match=r"one\.png must hold 255"):
        ManifestDataset(doubted)[0]
    path.rename(path.with_name("three.png"))
    with pytest.raises(DatasetError, match=r"three\.png belongs to no photo"):
        ManifestDataset(doubted)


OFF = Augmentation(
    scale=(1.0, 1.0),
    aspect=(1.0, 1.0),
    rotation=0.0,
    flip=0.0,
    brightness=(1.0, 1.0),
    contrast=(1.0, 1.0),
    saturation=(1.0, 1.0),
    tint=(1.0, 1.0),
    grey=0.0,
    blur=0.0,
    noise=0.0,
)
GEOMETRY = dataclasses.replace(OFF, scale=(0.6, 2.0), aspect=(0.7, 1.4), rotation=40.0, flip=0.5, turn=0.5)


@pytest.fixture
def sample(photo: NDArray[np.uint8], coverage: NDArray[np.uint8]) -> Sample:
    return Sample("portrait", "bundled", photo, coverage, _lower_third(photo) > 0)


def test_unchanged_size_ignores_exactly_what_is_doubted(sample: Sample) -> None:
    assert sample.ignored is not None
    expected = np.where(sample.ignored, UNKNOWN, sample.mask / np.float32(255))
    evaluated = EvaluationTransform(152, 114, MaskKind.COVERAGE)(sample)[1][0]
    trained = TrainingTransform(152, 114, MaskKind.COVERAGE, OFF)(sample)[1][0]
    np.testing.assert_array_equal(evaluated.numpy(), expected)
    np.testing.assert_allclose(trained.numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("size", [(41, 57), (80, 64), (300, 200)])
def test_whatever_is_touched_by_a_doubt_is_ignored(sample: Sample, size: tuple[int, int]) -> None:
    """A photo that is white where it is doubted: what is not black of it counts for nothing, wherever it went."""
    assert sample.ignored is not None
    white = np.repeat(sample.ignored[:, :, None] * np.uint8(255), 3, axis=2)
    own = dataclasses.replace(sample, image=white)
    torch.manual_seed(1)
    seen = 0
    for _ in range(20):
        image, target = TrainingTransform(*size, MaskKind.COVERAGE, GEOMETRY)(own)
        touched = image[:1] > 0.01
        assert (target[touched] == UNKNOWN).all()
        assert (target[image[:1] == 0] >= 0).all()
        seen += bool(touched.any()) and not bool(touched.all())
    assert seen > 15
    image, target = EvaluationTransform(*size, MaskKind.COVERAGE)(own)
    assert torch.equal(target == UNKNOWN, image[:1] > 0)


def test_no_doubt_changes_nothing(sample: Sample) -> None:
    """Not by a bit: a plane of doubts that is empty, and none at all."""
    empty = dataclasses.replace(sample, ignored=np.zeros_like(sample.ignored))
    none = dataclasses.replace(sample, ignored=None)
    for transform in (
        TrainingTransform(80, 64, MaskKind.COVERAGE, GEOMETRY),
        EvaluationTransform(80, 64, MaskKind.COVERAGE),
    ):
        results = []
        for one in (empty, none):
            torch.manual_seed(4)
            results.append(transform(one))
        assert torch.equal(results[0][0], results[1][0])
        assert torch.equal(results[0][1], results[1][1])


def test_what_is_doubted_keeps_its_own_background(sample: Sample) -> None:
    """A label without shoulders must not cut them off: they come along, and count for nothing there either."""
    green = Sample("field", "", np.full((40, 70, 3), (10, 200, 30), np.uint8), np.zeros((40, 70), np.uint8))
    assert sample.ignored is not None
    mixed = replace_background(sample, green)
    np.testing.assert_array_equal(mixed.image[sample.ignored], sample.image[sample.ignored])
    assert (mixed.image[(sample.mask == 0) & ~sample.ignored] == (10, 200, 30)).all()
    assert mixed.ignored is not None
    np.testing.assert_array_equal(mixed.ignored, sample.ignored)


def test_what_is_doubted_in_the_new_background_is_ignored_where_it_is_seen(sample: Sample) -> None:
    known = dataclasses.replace(sample, ignored=None)
    behind = dataclasses.replace(
        sample,
        image=resize_area(sample.image, 90, 70),
        mask=np.zeros((90, 70), np.uint8),
        ignored=np.ones((90, 70), np.bool_),
    )
    mixed = replace_background(known, behind)
    assert mixed.ignored is not None
    np.testing.assert_array_equal(mixed.ignored, sample.mask < 255)
    assert replace_background(known, known).ignored is None
