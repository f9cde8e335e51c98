"""Which photos are taken for calibration, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from calibration.images import bundled_calibration, open_calibration
from edge_deeplab.errors import CalibrationError
from edge_deeplab.image import write_image


def write_photos(folder: Path, count: int) -> None:
    for index in range(count):
        write_image(folder / f"{index:02}.png", np.full((4 + index, 6, 3), index, np.uint8))


def values(images: object) -> list[int]:
    return [int(image[0, 0, 0]) for image in images]  # type: ignore[attr-defined]


def test_photos_are_spread_over_the_folder_and_the_same_at_every_call(tmp_path: Path) -> None:
    write_photos(tmp_path, 10)
    chosen = open_calibration(tmp_path, 4)
    assert len(chosen) == 4
    assert values(chosen) == [0, 2, 5, 7]
    assert values(chosen) == [0, 2, 5, 7]
    assert values(open_calibration(tmp_path, 10)) == list(range(10))


def test_fewer_photos_than_asked_for_are_refused(tmp_path: Path) -> None:
    write_photos(tmp_path, 3)
    with pytest.raises(CalibrationError, match="has 3 images, and 4 are asked for"):
        open_calibration(tmp_path, 4)
    with pytest.raises(CalibrationError, match="too few"):
        open_calibration(tmp_path, 0)


def test_a_folder_without_photos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="no picture in"):
        open_calibration(tmp_path, 1)
    with pytest.raises(CalibrationError, match="no folder"):
        open_calibration(tmp_path / "none", 1)


def test_an_unreadable_photo_is_named(tmp_path: Path) -> None:
    write_photos(tmp_path, 2)
    (tmp_path / "01.png").write_bytes(b"no picture")
    with pytest.raises(CalibrationError, match=r"01\.png.*calibration"):
        list(open_calibration(tmp_path, 2))


def test_a_data_set_gives_its_training_photos(tmp_path: Path) -> None:
    write_photos(tmp_path / "images", 4)
    for index in range(4):
        (tmp_path / "masks").mkdir(exist_ok=True)
        from PIL import Image

        Image.fromarray(np.zeros((4 + index, 6), np.uint8)).save(tmp_path / "masks" / f"{index:02}.png")
        (tmp_path / "images" / f"{index:02}.png").rename(tmp_path / "images" / f"{index:02}.jpg")
    rows = [
        f"{index:02},made,{split},g,6,{4 + index},0" for index, split in enumerate(("test", "train", "val", "train"))
    ]
    (tmp_path / "manifest.csv").write_text(
        "\n".join(["id,source,split,group,width,height,person_fraction", *rows]) + "\n"
    )
    assert values(open_calibration(tmp_path, 2)) == [1, 3]
    assert values(open_calibration(tmp_path, 1, split="test")) == [0]
    with pytest.raises(CalibrationError, match="'nothing'"):
        open_calibration(tmp_path, 1, split="nothing")


def test_the_bundled_portrait_serves_as_a_last_resort() -> None:
    images = list(bundled_calibration())
    assert len(images) == len(bundled_calibration()) == 16
    assert "last resort" in bundled_calibration().description
    assert len({image.tobytes() for image in images}) == 16
    assert [image.tobytes() for image in bundled_calibration(4)] == [image.tobytes() for image in images[::4]]
    with pytest.raises(CalibrationError, match="16 images, and 17"):
        bundled_calibration(17)
