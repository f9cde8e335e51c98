"""Pascal VOC's layout, written as the development kit has it: palette masks, void borders, lists of names."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from edge_deeplab.data.sample import IGNORE, MaskKind
from edge_deeplab.data.voc import VOC_CLASSES, VocDataset, fill_void
from edge_deeplab.errors import DatasetError
from edge_deeplab.image import write_image

PERSON, SOFA, DOG = 15, 18, 12


@pytest.fixture
def indices(coverage: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A person with a void border 5 pixels wide, a sofa in the corner, a dog in another."""
    mask = np.where(coverage >= 128, PERSON, 0).astype(np.uint8)
    mask[:20, 90:] = SOFA
    mask[:15, :12] = DOG
    person = (mask == PERSON).astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    mask[(cv2.dilate(person, disc) - cv2.erode(person, disc)).astype(bool)] = IGNORE
    return mask


@pytest.fixture
def voc(tmp_path: Path, photo: NDArray[np.uint8], indices: NDArray[np.uint8]) -> Path:
    root = tmp_path / "VOC2012"
    for id in ("2007_000032", "2007_000039", "2007_000063"):
        write_image(root / "JPEGImages" / f"{id}.jpg", photo)
        palette = Image.fromarray(indices)
        palette.putpalette(np.random.default_rng(0).integers(0, 256, 768, dtype=np.uint8).tobytes())
        (root / "SegmentationClass").mkdir(exist_ok=True)
        palette.save(root / "SegmentationClass" / f"{id}.png")
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2007_000039\n2007_000032\n")
    (lists / "val.txt").write_text("2007_000063\n\n")
    (lists / "trainval.txt").write_text("2007_000032\n2007_000039\n2007_000063\n")
    (lists / "empty.txt").write_text("\n")
    return root


def test_the_indices_are_the_development_kits() -> None:
    assert len(VOC_CLASSES) == 21
    assert [VOC_CLASSES[i] for i in (0, 1, 8, DOG, PERSON, SOFA, 20)] == [
        *("background", "aeroplane", "cat", "dog", "person", "sofa", "tvmonitor")
    ]


def test_all_21_classes_come_as_they_stand(voc: Path, indices: NDArray[np.uint8]) -> None:
    dataset = VocDataset(voc, split="val", classes=VOC_CLASSES)
    assert (len(dataset), dataset.classes, dataset.mask_kind) == (1, VOC_CLASSES, MaskKind.CLASSES)
    sample = dataset[0]
    assert (sample.id, sample.source) == ("2007_000063", "voc")
    np.testing.assert_array_equal(sample.mask, indices)


def test_named_classes_are_numbered_in_the_order_given(voc: Path, indices: NDArray[np.uint8]) -> None:
    dataset = VocDataset(voc, split="val", classes=("sofa", "person"))
    assert dataset.classes == ("background", "sofa", "person")
    expected = np.select([indices == SOFA, indices == PERSON, indices == IGNORE], [1, 2, IGNORE], 0)
    np.testing.assert_array_equal(dataset[0].mask, expected)


def test_person_alone_is_coverage_with_the_edge_in_the_middle_of_the_void(
    voc: Path, indices: NDArray[np.uint8], coverage: NDArray[np.uint8]
) -> None:
    dataset = VocDataset(voc, split="val")
    assert (dataset.classes, dataset.mask_kind) == (("person",), MaskKind.COVERAGE)
    mask = dataset[0].mask
    assert set(np.unique(mask)) == {0, 255}
    assert (mask[indices == PERSON] == 255).all()
    assert (mask[(indices != PERSON) & (indices != IGNORE)] == 0).all()
    # The person was drawn, and only its border made void: the border must come back to within a pixel or so.
    true = coverage >= 128
    assert (true & (mask > 0)).sum() / (true | (mask > 0)).sum() > 0.98


def test_splits(voc: Path) -> None:
    assert len(VocDataset(voc, split="train")) == 2
    assert len(VocDataset(voc)) == 3
    with pytest.raises(DatasetError, match=r"no split 'test': it has empty, train, trainval, val"):
        VocDataset(voc, split="test")
    with pytest.raises(DatasetError, match=r"empty\.txt lists no photo"):
        VocDataset(voc, split="empty")
    for path in (voc / "ImageSets" / "Segmentation").iterdir():
        path.unlink()
    with pytest.raises(DatasetError, match=r"there is no list of photos in .*Segmentation"):
        VocDataset(voc)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("astronaut",), r"has no class 'astronaut': it has background, aeroplane"),
        ((), r"cannot be the classes"),
        (("person", "person"), r"cannot be the classes"),
        (("background",), r"cannot be the classes"),
        (("person", "background"), r"'background' is class 0: put it first"),
    ],
)
def test_impossible_classes_are_refused(voc: Path, classes: tuple[str, ...], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        VocDataset(voc, classes=classes)


def test_a_listed_photo_without_mask_is_named(voc: Path) -> None:
    (voc / "SegmentationClass" / "2007_000063.png").unlink()
    with pytest.raises(DatasetError, match=r"2007_000063\.jpg has no mask"):
        VocDataset(voc, split="val")[0]


@settings(deadline=None)
@given(
    mask=hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.sampled_from([0, 7, 255]))
)
def test_filling_the_void_keeps_labels_and_takes_the_nearest(mask: NDArray[np.uint8]) -> None:
    filled = fill_void(mask)
    assert not (filled == IGNORE).any()
    labelled = np.argwhere(mask != IGNORE)
    np.testing.assert_array_equal(filled[mask != IGNORE], mask[mask != IGNORE])
    for row, column in np.argwhere(mask == IGNORE):
        if not len(labelled):
            assert filled[row, column] == 0
            continue
        # OpenCV's distance is a chamfer one (5x5: within 2 %, so a tie of near-equals may go either way).
        distance = np.hypot(*(labelled - (row, column)).T)
        near = labelled[distance <= distance.min() * 1.05]
        assert filled[row, column] in {mask[r, c] for r, c in near}
