"""Which reader a folder gets, and what happens to samples that cannot be read."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edge_deeplab.data.coco import CocoDataset
from edge_deeplab.data.folder import FolderDataset
from edge_deeplab.data.manifest import ManifestDataset
from edge_deeplab.data.opening import open_dataset
from edge_deeplab.data.subset import Subset, check_dataset, spread
from edge_deeplab.data.voc import VocDataset
from edge_deeplab.errors import DatasetError
from edge_deeplab.image import write_image

ANNOTATIONS = {"images": [{"id": 1, "file_name": "a.png", "height": 152, "width": 114}], "annotations": []}


@pytest.fixture
def folder(tmp_path: Path, photo: NDArray[np.uint8], coverage: NDArray[np.uint8]) -> Path:
    """Four photos with masks, side by side."""
    (tmp_path / "masks").mkdir()
    for id in "abcd":
        write_image(tmp_path / "images" / f"{id}.png", photo)
        cv2.imwrite(str(tmp_path / "masks" / f"{id}.png"), coverage)
    return tmp_path


def write_coco(root: Path, *names: str) -> None:
    (root / "annotations").mkdir()
    for name in names:
        content = ANNOTATIONS | {"categories": [{"id": 1, "name": "person"}]}
        (root / "annotations" / f"instances_{name}.json").write_text(json.dumps(content))


def test_plain_folder(folder: Path) -> None:
    dataset = open_dataset(folder)
    assert isinstance(dataset, FolderDataset)
    assert len(dataset) == 4
    with pytest.raises(DatasetError, match=r"plain folder without splits: give the folder of 'val' itself"):
        open_dataset(folder, split="val")


def test_manifest_comes_before_the_plain_folder_that_it_describes(folder: Path) -> None:
    (folder / "manifest.csv").write_text("id,source,split,group\na,studio,train,1\nb,studio,val,2\n")
    dataset = open_dataset(folder, split="val")
    assert isinstance(dataset, ManifestDataset)
    assert len(dataset) == 1


def test_a_number_is_spread_evenly() -> None:
    indices = [0, 1, 3, 4, 6, 7]
    assert spread(indices, 3) == [0, 3, 6]
    assert spread(indices, 4) == [0, 1, 4, 6]
    assert spread(indices, 1) == [0]
    assert spread(indices, 99) == indices
    assert spread([], 3) == []


def test_voc(tmp_path: Path, photo: NDArray[np.uint8], coverage: NDArray[np.uint8]) -> None:
    write_image(tmp_path / "JPEGImages" / "x.jpg", photo)
    (tmp_path / "SegmentationClass").mkdir()
    Image.fromarray((coverage // 128 * 15).astype(np.uint8)).save(tmp_path / "SegmentationClass" / "x.png")
    lists = tmp_path / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("x\n")
    dataset = open_dataset(tmp_path, split="val")
    assert isinstance(dataset, VocDataset)
    assert dataset[0].mask.max() == 255
    assert open_dataset(tmp_path, split="val", classes=("dog", "person"))[0].mask.max() == 2


@pytest.mark.parametrize("place", ["val2017", "images/val2017", "images"])
def test_coco_finds_its_photos_in_the_usual_places(tmp_path: Path, photo: NDArray[np.uint8], place: str) -> None:
    write_coco(tmp_path, "val2017", "train2017")
    write_image(tmp_path / place / "a.png", photo)
    dataset = open_dataset(tmp_path, split="val")
    assert isinstance(dataset, CocoDataset)
    assert dataset[0].id == "a"


def test_coco_refusals(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    write_coco(tmp_path, "val2017", "train2017")
    with pytest.raises(DatasetError, match=r"no photos for instances_val2017\.json: looked in"):
        open_dataset(tmp_path, split="val")
    with pytest.raises(DatasetError, match=r"several annotation files: choose a split from train2017, val2017"):
        open_dataset(tmp_path)
    with pytest.raises(DatasetError, match=r"no split 'test': it has train2017, val2017"):
        open_dataset(tmp_path, split="test")


def test_unknown_layout_lists_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    with pytest.raises(DatasetError, match=r"none of the layouts.*manifest\.csv.*images/ and masks/.*VOC.*COCO"):
        open_dataset(tmp_path)
    with pytest.raises(DatasetError, match=r"there is no folder .*nowhere"):
        open_dataset(tmp_path / "nowhere")


def test_subset_keeps_order_and_kind(folder: Path) -> None:
    dataset = FolderDataset(folder)
    part = Subset(dataset, [2, 0])
    assert [part[index].id for index in range(len(part))] == ["c", "a"]
    assert (part.classes, part.mask_kind) == (dataset.classes, dataset.mask_kind)


def test_readers_can_be_sent_to_a_worker(tmp_path: Path, folder: Path) -> None:
    """Spawned workers get the data set by pickle."""
    write_coco(tmp_path, "val2017")
    coco = CocoDataset(tmp_path / "annotations" / "instances_val2017.json", tmp_path / "images")
    for dataset in (FolderDataset(folder), coco, Subset(coco, [0])):
        copy = pickle.loads(pickle.dumps(dataset))
        np.testing.assert_array_equal(copy[0].image, dataset[0].image)


def test_sound_data_set_passes_the_check_as_it_is(folder: Path) -> None:
    dataset = FolderDataset(folder)
    calls: list[None] = []
    checked, skipped = check_dataset(dataset, advance=lambda: calls.append(None))
    assert checked is dataset
    assert skipped == ()
    assert len(calls) == 4


def test_bad_samples_are_refused_or_skipped_and_counted(folder: Path) -> None:
    (folder / "masks" / "b.png").unlink()
    damaged = folder / "images" / "d.png"
    damaged.write_bytes(damaged.read_bytes()[:2000])
    dataset = FolderDataset(folder)
    with pytest.raises(DatasetError, match=r"2 of 4 samples cannot be used; the first: .*b\.png has no mask"):
        check_dataset(dataset)
    checked, skipped = check_dataset(dataset, skip_bad=True)
    assert [checked[index].id for index in range(len(checked))] == ["a", "c"]
    assert [bad.index for bad in skipped] == [1, 3]
    assert "masks/b.png is missing" in skipped[0].reason
    assert "d.png is truncated" in skipped[1].reason


def test_nothing_left_is_an_error_also_when_skipping(folder: Path) -> None:
    for mask in (folder / "masks").iterdir():
        mask.unlink()
    with pytest.raises(DatasetError, match=r"none of the 4 samples can be used; the first: .*a\.png has no mask"):
        check_dataset(FolderDataset(folder), skip_bad=True)


def test_readers_do_without_torch() -> None:
    """Evaluation and calibration of a .tflite file run where torch is not installed."""
    code = (
        "import sys; import edge_deeplab.data.opening, edge_deeplab.data.subset, edge_deeplab.data.bundled; "
        "sys.exit('torch' in sys.modules or 'pycocotools' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
