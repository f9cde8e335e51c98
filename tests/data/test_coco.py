"""COCO's layout: polygons, run lengths packed and unpacked, crowds, several categories."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from edge_deeplab.data.coco import CocoDataset
from edge_deeplab.data.sample import IGNORE, MaskKind
from edge_deeplab.errors import DatasetError, ImageError
from edge_deeplab.image import write_image

PERSON, DOG = 1, 18


@pytest.fixture
def person(coverage: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return coverage >= 128


@pytest.fixture
def content(person: NDArray[np.bool_]) -> dict[str, Any]:
    """Photo 7: a person (packed run lengths), a dog (polygon) in front, a crowd (unpacked run lengths); photo 9: empty.

    The dog is listed first, and drawn last all the same, because it is smaller.
    """
    packed = coco_mask.encode(np.asfortranarray(person.astype(np.uint8)))
    packed["counts"] = packed["counts"].decode()
    crowd = np.zeros(person.shape, np.uint8)
    crowd[10:40, 80:110] = 1
    flat = crowd.flatten(order="F")
    changes = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *changes, flat.size]).tolist()  # begins with a run of zeros, as it must
    height, width = person.shape
    dog = {"id": 1, "image_id": 7, "category_id": DOG, "iscrowd": 0, "area": 400.0}
    return {
        "images": [
            {"id": 9, "file_name": "empty.jpg", "height": height, "width": width},
            {"id": 7, "file_name": "person.jpg", "height": height, "width": width},
        ],
        "categories": [{"id": PERSON, "name": "person"}, {"id": DOG, "name": "dog"}, {"id": 2, "name": "bicycle"}],
        "annotations": [
            dog | {"segmentation": [[30.0, 100.0, 50.0, 100.0, 50.0, 120.0, 30.0, 120.0]]},
            {"id": 2, "image_id": 7, "category_id": PERSON, "iscrowd": 0, "area": 6000.0, "segmentation": packed},
            {
                **{"id": 3, "image_id": 7, "category_id": PERSON, "iscrowd": 1, "area": 900.0},
                "segmentation": {"size": [height, width], "counts": counts},
            },
        ],
    }


def write(root: Path, content: dict[str, Any], photo: NDArray[np.uint8]) -> tuple[Path, Path]:
    for name in ("empty.jpg", "person.jpg"):
        write_image(root / "val2017" / name, photo)
    path = root / "annotations" / "instances_val2017.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))
    return path, root / "val2017"


def test_person_alone_is_coverage_and_a_crowd_of_people_is_people(
    tmp_path: Path, content: dict[str, Any], photo: NDArray[np.uint8], person: NDArray[np.bool_]
) -> None:
    dataset = CocoDataset(*write(tmp_path, content, photo))
    assert (len(dataset), dataset.classes, dataset.mask_kind) == (2, ("person",), MaskKind.COVERAGE)
    sample = dataset[0]
    assert (sample.id, sample.source) == ("person", "coco")
    expected = person.copy()
    expected[10:40, 80:110] = True
    np.testing.assert_array_equal(sample.mask, np.where(expected, 255, 0))


def test_photo_without_the_category_is_a_negative(
    tmp_path: Path, content: dict[str, Any], photo: NDArray[np.uint8]
) -> None:
    sample = CocoDataset(*write(tmp_path, content, photo))[1]
    assert sample.id == "empty"
    assert sample.mask.shape == photo.shape[:2]
    assert not sample.mask.any()


def test_several_categories_keep_the_smaller_in_front_and_ignore_crowds(
    tmp_path: Path, content: dict[str, Any], photo: NDArray[np.uint8], person: NDArray[np.bool_]
) -> None:
    dataset = CocoDataset(*write(tmp_path, content, photo), classes=("person", "dog"))
    assert (dataset.classes, dataset.mask_kind) == (("background", "person", "dog"), MaskKind.CLASSES)
    mask = dataset[0].mask
    assert (mask[101:119, 31:49] == 2).all()
    assert (mask == 2).sum() == pytest.approx(400, abs=45)  # a 20x20 polygon, give or take its border
    assert (mask[(mask != 2) & person] == 1).all()
    only_crowd = np.zeros_like(person)
    only_crowd[10:40, 80:110] = True
    np.testing.assert_array_equal(mask == IGNORE, only_crowd & ~person)
    assert set(np.unique(mask)) == {0, 1, 2, IGNORE}


def test_nothing_is_printed(
    tmp_path: Path, content: dict[str, Any], photo: NDArray[np.uint8], capsys: pytest.CaptureFixture[str]
) -> None:
    CocoDataset(*write(tmp_path, content, photo))[0]
    assert capsys.readouterr().out == ""


def test_unknown_category_lists_those_that_exist(
    tmp_path: Path, content: dict[str, Any], photo: NDArray[np.uint8]
) -> None:
    with pytest.raises(DatasetError, match=r"has no category 'cat': it has person, dog, bicycle"):
        CocoDataset(*write(tmp_path, content, photo), classes=("cat",))


def test_missing_photo_and_wrong_size_are_named(
    tmp_path: Path, content: dict[str, Any], photo: NDArray[np.uint8]
) -> None:
    annotations, images = write(tmp_path, content, photo)
    (images / "empty.jpg").unlink()
    with pytest.raises(ImageError, match=r"there is no picture .*empty\.jpg"):
        CocoDataset(annotations, images)[1]
    write_image(images / "person.jpg", photo[:-2])
    with pytest.raises(DatasetError, match=r"val2017\.json is 114x152 and its photo .*person\.jpg is 114x150"):
        CocoDataset(annotations, images)[0]


@pytest.mark.parametrize("outline", [[], [[1.0, 2.0]], {"size": [5, 5], "counts": [25]}, {"size": [152, 114]}, 3])
def test_broken_outline_names_the_annotation(
    tmp_path: Path, content: dict[str, Any], photo: NDArray[np.uint8], outline: object
) -> None:
    content["annotations"][1]["segmentation"] = outline
    with pytest.raises(DatasetError, match=r"instances_val2017\.json: .*annotation 2"):
        CocoDataset(*write(tmp_path, content, photo))[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read as COCO annotations"),
        ("[]", "cannot be read as COCO annotations"),
        ('{"images": []}', "is not an instance annotation file"),
        ('{"images": [{}], "annotations": [], "categories": []}', "cannot be read as COCO annotations"),
        ('{"images": [], "annotations": [], "categories": [{"id": 1, "name": "person"}]}', "lists no photo"),
    ],
)
def test_broken_annotation_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "instances_val2017.json"
    path.write_text(text)
    with pytest.raises(DatasetError, match=rf"instances_val2017\.json {message}"):
        CocoDataset(path, tmp_path)
    with pytest.raises(DatasetError, match=r"there is no annotation file .*other\.json"):
        CocoDataset(tmp_path / "other.json", tmp_path)


def test_polygon_matches_a_filled_outline(
    tmp_path: Path, content: dict[str, Any], photo: NDArray[np.uint8], person: NDArray[np.bool_]
) -> None:
    """The outline of the person as a polygon, the way annotators gave it, draws the person again."""
    outlines, _ = cv2.findContours(person.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    content["annotations"] = [content["annotations"][1] | {"segmentation": [o.flatten().tolist() for o in outlines]}]
    mask = CocoDataset(*write(tmp_path, content, photo))[0].mask > 0
    assert (mask & person).sum() / (mask | person).sum() > 0.96
