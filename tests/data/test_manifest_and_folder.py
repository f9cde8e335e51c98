"""The two layouts of our own: a manifest, and plain folders."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edge_deeplab.data.folder import FolderDataset
from edge_deeplab.data.manifest import ManifestDataset
from edge_deeplab.data.sample import MaskKind
from edge_deeplab.errors import DatasetError, ImageError
from edge_deeplab.image import write_image

HEADER = "id,source,split,group,width,height,person_fraction\n"


@pytest.fixture
def manifest(tmp_path: Path, photo: NDArray[np.uint8], coverage: NDArray[np.uint8]) -> Path:
    """Three photos, two of them for training; each a little darker than the one before, to tell them apart."""
    rows = [("one", "studio", "train"), ("two", "street", "val"), ("three", "street", "train")]
    for number, (id, _, _) in enumerate(rows):
        write_image(tmp_path / "images" / f"{id}.jpg", photo - np.minimum(photo, 40 * number), quality=95)
        cv2.imwrite(str(make(tmp_path / "masks") / f"{id}.png"), coverage)
    lines = "".join(f"{id},{source},{split},g0,114,152,0.5\n" for id, source, split in rows)
    (tmp_path / "manifest.csv").write_text(HEADER + lines)
    return tmp_path


@pytest.fixture
def folder(tmp_path: Path, photo: NDArray[np.uint8], coverage: NDArray[np.uint8]) -> Path:
    """``images/`` (a JPEG and a PNG) and ``masks/``."""
    root = tmp_path / "holidays"
    write_image(root / "images" / "beach.jpg", photo, quality=95)
    write_image(root / "images" / "ascent.png", photo)
    for id in ("beach", "ascent"):
        cv2.imwrite(str(make(root / "masks") / f"{id}.png"), coverage)
    return root


def make(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def test_manifest_gives_its_rows_in_order(
    manifest: Path, photo: NDArray[np.uint8], coverage: NDArray[np.uint8]
) -> None:
    dataset = ManifestDataset(manifest)
    assert [(s.id, s.source) for s in map(dataset.__getitem__, range(3))] == [
        ("one", "studio"),
        ("two", "street"),
        ("three", "street"),
    ]
    assert (dataset.classes, dataset.mask_kind) == (("person",), MaskKind.COVERAGE)
    sample = dataset[0]
    assert np.abs(sample.image.astype(int) - photo).mean() < 4  # JPEG
    np.testing.assert_array_equal(sample.mask, coverage)
    with pytest.raises(IndexError):
        dataset[3]


def test_manifest_filters_by_split(manifest: Path) -> None:
    dataset = ManifestDataset(manifest, split="train")
    assert [dataset[index].id for index in range(len(dataset))] == ["one", "three"]
    with pytest.raises(DatasetError, match=r"nothing in the split 'test': it has train, val"):
        ManifestDataset(manifest, split="test")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,split\na,train\n", r"manifest\.csv lacks the column 'source'"),
        (HEADER, r"manifest\.csv lists no photo"),
        (HEADER + "a,s,train,g,1,1,0\na,s,val,g,1,1,0\n", r"lists 'a' twice"),
        (HEADER + "a,s\n", r"row without id, source or split"),
        ("\x00", r"lacks the column"),
    ],
)
def test_manifest_refuses_a_broken_table(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "manifest.csv").write_text(text)
    with pytest.raises(DatasetError, match=message):
        ManifestDataset(tmp_path)


def test_manifest_refuses_a_table_that_is_not_text_or_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"there is no .*manifest\.csv"):
        ManifestDataset(tmp_path)
    (tmp_path / "manifest.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(DatasetError, match=r"manifest\.csv cannot be read as a table"):
        ManifestDataset(tmp_path)


def test_manifest_of_a_spreadsheet_is_read(manifest: Path) -> None:
    """Excel writes a byte order mark in front and ends lines in CR LF."""
    text = (manifest / "manifest.csv").read_text()
    (manifest / "manifest.csv").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert len(ManifestDataset(manifest, split="train")) == 2


def test_folder_pairs_by_name_whatever_the_photo_ends_in(folder: Path, coverage: NDArray[np.uint8]) -> None:
    dataset = FolderDataset(folder)
    assert [(s.id, s.source) for s in (dataset[0], dataset[1])] == [("ascent", "holidays"), ("beach", "holidays")]
    np.testing.assert_array_equal(dataset[1].mask, coverage)


def test_missing_mask_is_named(folder: Path) -> None:
    (folder / "masks" / "beach.png").unlink()
    dataset = FolderDataset(folder)
    assert dataset[0].id == "ascent"
    with pytest.raises(DatasetError, match=r"beach\.jpg has no mask: .*masks/beach\.png is missing"):
        dataset[1]


def test_size_mismatch_names_both_files_and_sizes(folder: Path, coverage: NDArray[np.uint8]) -> None:
    cv2.imwrite(str(folder / "masks" / "beach.png"), coverage[:-1])
    with pytest.raises(DatasetError, match=r"masks/beach\.png is 114x151 and its photo .*beach\.jpg is 114x152"):
        FolderDataset(folder)[1]


def test_turned_photo_fits_a_mask_of_its_upright_size(
    folder: Path, photo: NDArray[np.uint8], coverage: NDArray[np.uint8]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # held upright, stored lying
    Image.fromarray(np.ascontiguousarray(np.rot90(photo))).save(folder / "images" / "ascent.png", exif=exif)
    sample = FolderDataset(folder)[0]
    np.testing.assert_array_equal(sample.image, photo)
    np.testing.assert_array_equal(sample.mask, coverage)
    # A mask in the stored direction is the usual mistake: refused, because its size is the other way round.
    cv2.imwrite(str(folder / "masks" / "ascent.png"), np.ascontiguousarray(np.rot90(coverage)))
    with pytest.raises(DatasetError, match=r"is 152x114 and its photo .* is 114x152.*upright"):
        FolderDataset(folder)[0]


def test_truncated_photo_or_mask_is_named(folder: Path) -> None:
    for path in (folder / "images" / "beach.jpg", folder / "masks" / "ascent.png"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    dataset = FolderDataset(folder)
    with pytest.raises(ImageError, match=r"masks/ascent\.png is truncated"):
        dataset[0]
    with pytest.raises(ImageError, match=r"beach\.jpg is truncated"):
        dataset[1]


def test_coverage_of_zero_and_one_is_refused(folder: Path, coverage: NDArray[np.uint8]) -> None:
    cv2.imwrite(str(folder / "masks" / "beach.png"), coverage // 128)
    with pytest.raises(DatasetError, match=r"beach\.png holds only 0 and 1.*multiply it by 255"):
        FolderDataset(folder)[1]
    cv2.imwrite(str(folder / "masks" / "beach.png"), coverage * 0)  # nobody in it: a negative, and welcome
    assert FolderDataset(folder)[1].mask.max() == 0


def test_class_indices_are_checked_against_the_names(folder: Path, coverage: NDArray[np.uint8]) -> None:
    indices = coverage // 128 * 2
    indices[:5] = 255
    for id in ("ascent", "beach"):
        cv2.imwrite(str(folder / "masks" / f"{id}.png"), indices)
    dataset = FolderDataset(folder, classes=("background", "helmet", "astronaut"))
    assert dataset.mask_kind is MaskKind.CLASSES
    np.testing.assert_array_equal(dataset[0].mask, indices)
    with pytest.raises(DatasetError, match=r"holds the class 2, but there are only 2 classes"):
        FolderDataset(folder, classes=("background", "helmet"))[0]


def test_folder_refuses_what_it_cannot_pair(folder: Path, tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    write_image(folder / "images" / "beach.png", photo)
    with pytest.raises(DatasetError, match=r"beach\.jpg and .*beach\.png would share one mask"):
        FolderDataset(folder)
    with pytest.raises(DatasetError, match=r"there is no folder .*masks"):
        FolderDataset(tmp_path / "nowhere")
    (tmp_path / "empty" / "images").mkdir(parents=True)
    (tmp_path / "empty" / "masks").mkdir()
    with pytest.raises(DatasetError, match=r"there is no picture in .*empty/images"):
        FolderDataset(tmp_path / "empty")
