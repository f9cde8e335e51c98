"""What may be doubted of a label, and that a data set says so."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edge_deeplab.data.doubts import missing_person
from edge_deeplab.data.manifest import ManifestDataset
from edge_deeplab.data.sample import IGNORE
from edge_deeplab.errors import DatasetError
from edge_deeplab.image import write_image

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
