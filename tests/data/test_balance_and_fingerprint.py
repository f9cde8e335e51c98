"""How often a photo comes, and whether the photos are the expected ones."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_deeplab.data.balance import balance
from edge_deeplab.data.fingerprint import Digest, digest_photos, hash_photos, require_digests, write_photo_hashes
from edge_deeplab.data.manifest import ManifestDataset
from edge_deeplab.errors import DatasetError
from edge_deeplab.image import write_image

_ROWS = ("p0,a,train", "p1,b,train", "p2,a,train", "p3,a,val", "p4,c,train")


@pytest.fixture
def root(tmp_path: Path, photo: NDArray[np.uint8], coverage: NDArray[np.uint8]) -> Path:
    """Five photos of three sources, each a little darker than the one before."""
    (tmp_path / "masks").mkdir()
    for index in range(5):
        write_image(tmp_path / "images" / f"p{index}.jpg", photo - np.uint8(index) * (photo > 9))
        cv2.imwrite(str(tmp_path / "masks" / f"p{index}.png"), coverage)
    (tmp_path / "manifest.csv").write_text("id,source,split\n" + "\n".join(_ROWS) + "\n")
    return tmp_path


def test_photos_come_as_often_as_their_source_in_the_table_s_order(root: Path) -> None:
    data = ManifestDataset(root, split="train")
    balanced = balance(data, {"a": 1, "b": 3, "c": 0, "elsewhere": 2})
    assert [balanced[index].id for index in range(len(balanced))] == ["p0", "p1", "p1", "p1", "p2"]


def test_balancing_refusals(root: Path) -> None:
    data = ManifestDataset(root, split="train")
    with pytest.raises(DatasetError, match="has no photo of x, y: its sources are a, b, c"):
        balance(data, {"x": 1, "y": 2})
    with pytest.raises(DatasetError, match="'a' cannot come -1 times"):
        balance(data, {"a": -1})


def test_a_digest_is_what_the_docstring_says(root: Path) -> None:
    photos = hash_photos(ManifestDataset(root))
    lines = [
        f"{id} {_sha(root / 'images' / f'{id}.jpg')} {_sha(root / 'masks' / f'{id}.png')}\n" for id in ("p0", "p2")
    ]
    expected = Digest(2, hashlib.sha256("".join(lines).encode()).hexdigest())
    digests = digest_photos(photos)
    assert digests["a"]["train"] == expected
    assert {source: {split: d.photos for split, d in splits.items()} for source, splits in digests.items()} == {
        "a": {"train": 2, "val": 1},
        "b": {"train": 1},
        "c": {"train": 1},
    }
    assert digest_photos(photos[::-1]) == digests


def test_the_difference_is_named(root: Path) -> None:
    photos = hash_photos(ManifestDataset(root))
    expected = digest_photos(photos)
    require_digests(expected, photos, ("a", "b", "c"), "DATA")

    mask = root / "masks" / "p1.png"
    changed = cv2.imread(str(mask), cv2.IMREAD_UNCHANGED)
    assert changed is not None
    changed[0, 0] ^= 255
    cv2.imwrite(str(mask), changed)
    manifest = root / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("p3,a,val", "p3,c,val"))
    other = hash_photos(ManifestDataset(root))
    with pytest.raises(DatasetError, match=r"DATA is not what the recipe was made with") as refusal:
        require_digests(expected, other, ("a", "b", "c"), "DATA")
    message = str(refusal.value)
    assert "a (val: 0 photos instead of 1); b (train: 1 photos, other files); c (val: 1 photos instead of 0)" in message
    assert "--other-data" in message
    with pytest.raises(DatasetError, match=r"with: b \(train: 1 photos, other files\) differ"):
        require_digests(expected, other, ("b",), "DATA")


def test_a_missing_file_is_named(root: Path) -> None:
    (root / "masks" / "p2.png").unlink()
    with pytest.raises(DatasetError, match=r"masks/p2\.png cannot be read"):
        hash_photos(ManifestDataset(root))


def test_the_list_of_photos(root: Path, tmp_path: Path) -> None:
    photos = hash_photos(ManifestDataset(root))
    write_photo_hashes(tmp_path / "data.csv", photos)
    with (tmp_path / "data.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == ["p0", "p1", "p2", "p3", "p4"]
    assert rows[3] == {
        "id": "p3",
        "source": "a",
        "split": "val",
        "image_sha256": _sha(root / "images" / "p3.jpg"),
        "mask_sha256": _sha(root / "masks" / "p3.png"),
    }


def _sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
