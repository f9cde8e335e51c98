"""Numbered pictures and folders as films: also with gaps, and of two sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from demo_app.sources.image_sequence import ImageSequenceSource, folder_as_film, is_pattern, numbered_pictures
from edge_deeplab.errors import SourceError


def write(folder: Path, *names: str, size: tuple[int, int] = (12, 8)) -> None:
    """Pictures whose colour is their place in the list of names."""
    for value, name in enumerate(names):
        Image.new("RGB", size, (value, 0, 0)).save(folder / name)


def test_numbered_pictures_play_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    write(tmp_path, "a0099.png", "a0100.png", "a0101.png", "a101.png", "a0102.jpg", "b0102.png")
    (tmp_path / "a0103.png.part").write_bytes(b"not yet")
    with ImageSequenceSource(numbered_pictures(tmp_path / "a%04d.png"), 24.0) as source:
        assert (source.total, source.fps, source.size) == (3, 24.0, (12, 8))
        frames = list(source)
    assert [(frame.name, int(frame.rgb[0, 0, 0])) for frame in frames] == [
        ("a0099.png", 0),
        ("a0100.png", 1),
        ("a0101.png", 2),
    ]


def test_numbers_that_outgrow_their_place_go_on(tmp_path: Path) -> None:
    write(tmp_path, "98.png", "99.png", "100.png", "0101.png")
    assert [path.name for path in numbered_pictures(tmp_path / "%02d.png")] == ["98.png", "99.png", "100.png"]


def test_a_gap_is_named(tmp_path: Path) -> None:
    write(tmp_path, "007.png", "008.png", "010.png")
    with pytest.raises(SourceError, match=r"there is no picture .*009\.png, but some with a higher number"):
        numbered_pictures(tmp_path / "%03d.png")


@pytest.mark.parametrize("name", ["a.png", "%d-%d.png", "%s.png"])
def test_a_pattern_has_one_place_for_a_number(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match="one place for a number"):
        numbered_pictures(tmp_path / name)


@pytest.mark.parametrize("pattern", ["%03d.png", "gone/%03d.png"])
def test_a_film_without_a_picture_is_refused(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(SourceError, match="there is no"):
        numbered_pictures(tmp_path / pattern)


def test_a_size_that_changes_names_the_file(tmp_path: Path) -> None:
    write(tmp_path, "000.png", "001.png", "002.png")
    write(tmp_path, "003.png", size=(8, 12))
    frames = []
    with (
        ImageSequenceSource(numbered_pictures(tmp_path / "%03d.png")) as source,
        pytest.raises(SourceError, match=r"003\.png changes its size from 12x8 to 8x12"),
    ):
        frames.extend(source)
    assert len(frames) == 3


def test_a_damaged_picture_ends_the_film_by_its_name(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    for name in ("0.jpg", "1.jpg"):
        Image.fromarray(noise).save(tmp_path / name)
    (tmp_path / "1.jpg").write_bytes((tmp_path / "1.jpg").read_bytes()[:300])
    with (
        ImageSequenceSource(numbered_pictures(tmp_path / "%d.jpg")) as source,
        pytest.raises(SourceError, match=r"1\.jpg"),
    ):
        list(source)


def test_a_folder_plays_as_a_film_with_ten_behind_nine(tmp_path: Path) -> None:
    write(tmp_path, "f10.png", "f9.png", "f1.png")
    (tmp_path / "notes.txt").write_text("no picture")
    with ImageSequenceSource(folder_as_film(tmp_path)) as source:
        assert [frame.name for frame in source] == ["f1.png", "f9.png", "f10.png"]


def test_an_empty_folder_is_no_film(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="there is no picture in"):
        folder_as_film(tmp_path)


@pytest.mark.parametrize(("name", "expected"), [("%05d.jpg", True), ("%d.jpg", True), ("100%.jpg", False)])
def test_a_pattern_is_known(name: str, expected: bool) -> None:
    assert is_pattern(name) is expected
