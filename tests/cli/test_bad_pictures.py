"""Pictures as they come: deep, grey, CMYK, transparent, turned, tiny, broken; through ``edge-deeplab portrait``."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edge_deeplab.image import read_rgb

Run = Callable[..., subprocess.CompletedProcess[str]]
Refuses = Callable[..., str]

# What turns an upright picture into one whose EXIF orientation must undo it (TIFF 6.0, tag 274).
TURNS = {
    2: [Image.Transpose.FLIP_LEFT_RIGHT],
    3: [Image.Transpose.ROTATE_180],
    4: [Image.Transpose.FLIP_TOP_BOTTOM],
    5: [Image.Transpose.TRANSPOSE],
    6: [Image.Transpose.ROTATE_90],
    7: [Image.Transpose.TRANSVERSE],
    8: [Image.Transpose.ROTATE_270],
}


def rgb(path: Path) -> NDArray[np.uint8]:
    """A written portrait."""
    with Image.open(path) as image:
        assert image.mode == "RGB"
        return np.asarray(image)


def portrait(edge_deeplab: Run, source: Path) -> NDArray[np.uint8]:
    """The portrait of a picture that must be taken without a word of complaint."""
    target = source.with_name("portrait.png")
    done = edge_deeplab("portrait", source, "-o", target)
    assert (done.returncode, done.stderr) == (0, "")
    return rgb(target)


@pytest.fixture
def expected(edge_deeplab: Run, photo: Path) -> NDArray[np.uint8]:
    """The portrait of the plain 8-bit RGB picture: blurred, but not the subject's middle."""
    made = portrait(edge_deeplab, photo)
    given = rgb(photo)
    assert made.shape == given.shape == (400, 300, 3)
    change = np.abs(made.astype(int) - given)
    assert change[:200, :40].max() > 40  # the flag
    assert change[120:160, 150:190].max() <= 1
    return made


@pytest.mark.parametrize("orientation", TURNS)
def test_a_turned_photo_comes_out_upright(
    edge_deeplab: Run, photo: Path, expected: NDArray[np.uint8], orientation: int
) -> None:
    turned = photo.with_name("turned.png")
    with Image.open(photo) as image:
        for turn in TURNS[orientation]:
            image = image.transpose(turn)
        exif = Image.Exif()
        exif[274] = orientation
        image.save(turned, exif=exif)
    assert np.array_equal(portrait(edge_deeplab, turned), expected)
    with Image.open(photo.with_name("portrait.png")) as image:
        assert image.getexif().get(274, 1) == 1  # or viewers would turn it once more


def test_alpha_is_dropped(edge_deeplab: Run, photo: Path, expected: NDArray[np.uint8]) -> None:
    with Image.open(photo) as image:
        image.putalpha(128)
        image.save(photo.with_name("alpha.png"))
    assert np.array_equal(portrait(edge_deeplab, photo.with_name("alpha.png")), expected)


def test_16_bits_a_channel(edge_deeplab: Run, photo: Path, expected: NDArray[np.uint8]) -> None:
    deep = photo.with_name("deep.png")
    cv2.imwrite(str(deep), rgb(photo)[:, :, ::-1].astype(np.uint16) * 257)
    assert np.array_equal(portrait(edge_deeplab, deep), expected)


def test_16_bit_grey_is_8_bit_grey(edge_deeplab: Run, photo: Path) -> None:
    grey = photo.with_name("grey.png")
    with Image.open(photo) as image:
        image.convert("L").save(grey)
    shallow = portrait(edge_deeplab, grey)
    assert shallow.shape == (400, 300, 3)
    assert np.array_equal(shallow[:, :, 0], shallow[:, :, 2])
    with Image.open(grey) as image:
        Image.fromarray(np.asarray(image).astype(np.uint16) * 257).save(grey)
    with Image.open(grey) as image:
        assert image.mode == "I;16"
    assert np.array_equal(portrait(edge_deeplab, grey), shallow)


@pytest.mark.parametrize(("mode", "name"), [("CMYK", "a.tif"), ("CMYK", "a.jpg"), ("P", "a.png"), ("LA", "a.png")])
def test_other_colours_come_out_as_rgb(edge_deeplab: Run, photo: Path, mode: str, name: str) -> None:
    with Image.open(photo) as image:
        image.convert(mode).save(photo.with_name(name))
    made, given = portrait(edge_deeplab, photo.with_name(name)), rgb(photo)
    assert made.shape == given.shape
    subject = np.s_[100:200, 150:210]
    if mode == "LA":
        given = np.repeat(given.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    assert np.abs(made[subject].astype(int) - given[subject]).mean() < 20


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (2, 3)])
def test_a_tiny_picture(edge_deeplab: Run, tmp_path: Path, size: tuple[int, int]) -> None:
    tiny = tmp_path / "tiny.png"
    Image.new("RGB", size, (10, 200, 30)).save(tiny)
    done = edge_deeplab("portrait", tiny, "-o", tmp_path / "portrait.png")
    assert done.returncode == 0
    assert done.stderr == "edge-deeplab: tiny.png: no person was found in it, and it stays as it is\n"
    assert np.array_equal(read_rgb(tmp_path / "portrait.png"), read_rgb(tiny))


@pytest.mark.parametrize("part", [0.0, 0.01, 0.5, 0.97])
def test_a_truncated_picture(refuses: Refuses, photo: Path, part: float) -> None:
    content = photo.read_bytes()
    photo.write_bytes(content[: int(part * len(content))])
    assert photo.name in refuses("portrait", photo, "-o", photo.with_name("out.png"))


def test_text_that_is_called_a_picture(refuses: Refuses, tmp_path: Path) -> None:
    text = tmp_path / "notes.jpg"
    text.write_text("to do: buy milk")
    assert "save it as JPEG or PNG" in refuses("portrait", text, "-o", tmp_path / "out.png")


def test_a_missing_picture(refuses: Refuses, tmp_path: Path) -> None:
    assert "gone.jpg" in refuses("portrait", tmp_path / "gone.jpg", "-o", tmp_path / "out.png")


def test_an_empty_folder(refuses: Refuses, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "no picture in" in refuses("portrait", tmp_path / "empty", "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_ending_that_no_picture_has(refuses: Refuses, photo: Path) -> None:
    assert ".png" in refuses("portrait", photo, "-o", photo.with_name("out.xyz"))


@pytest.mark.parametrize("command", ["evaluate", "train"])
def test_an_empty_folder_of_data(refuses: Refuses, tmp_path: Path, model: Path, command: str) -> None:
    (tmp_path / "empty").mkdir()
    if command == "evaluate":
        refuses("evaluate", model, "--data", tmp_path / "empty", "--out", tmp_path / "out")
    else:
        refuses("train", tmp_path / "empty", "--out", tmp_path / "out")
