"""Cut-outs keep every bit; a folder is there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from demo_app.frame import Frame
from demo_app.sinks.cutout_sequence import CutoutSequenceSink
from edge_deeplab.errors import OutputError, SourceError

from .conftest import film_frames

_RAMP = np.tile(np.linspace(0, 255, 96).astype(np.uint8), (64, 1))  # 0 and 255 are in it, and all between
CUTOUTS = [Frame(rgb, "film", _RAMP) for rgb in film_frames(3, 64, 96)]


def write(folder: Path, frames: list[Frame], suffix: str = ".png", error: BaseException | None = None) -> None:
    with CutoutSequenceSink(folder, suffix) as sink:
        for frame in frames:
            sink.write(frame)
        assert not any(folder.glob("*"))  # under a temporary name until it is whole
        if error is not None:
            raise error


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_colours_and_alpha_are_kept_to_the_bit(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / "out", CUTOUTS, suffix)
    paths = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in paths] == [f"00000{index}{suffix}" for index in range(3)]
    for path, frame in zip(paths, CUTOUTS, strict=True):
        with Image.open(path) as image:
            assert image.mode == "RGBA"
            read = np.asarray(image)
        assert np.array_equal(read[:, :, :3], frame.rgb)  # also where alpha is 0
        assert np.array_equal(read[:, :, 3], _RAMP)
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SourceError("it broke off")], ids=["Ctrl-C", "source"])
def test_an_interrupted_sequence_is_kept(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        write(tmp_path / "out", CUTOUTS[:2], error=error)
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_another_error_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        write(tmp_path / "out", CUTOUTS, error=ZeroDivisionError())
    assert list(tmp_path.iterdir()) == []


def test_a_sequence_without_a_frame_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no frame came"):
        write(tmp_path / "out", [])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.png").write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists already"):
        CutoutSequenceSink(tmp_path / "out").__enter__()


def test_an_opaque_frame_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="film is no cut-out"):
        write(tmp_path / "out", [Frame(CUTOUTS[0].rgb, "film")])


def test_a_format_that_loses_alpha_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"as \.jpg: choose from \.png, \.webp"):
        CutoutSequenceSink(tmp_path / "out", ".jpg")


def test_pixels_beyond_the_format_are_refused(tmp_path: Path) -> None:
    wide = Frame(np.zeros((1, 16_384, 3), np.uint8), "film", np.zeros((1, 16_384), np.uint8))
    with pytest.raises(OutputError, match=r"cannot write 16384x1 pixels as 000000\.webp"):
        write(tmp_path / "out", [wide], ".webp")
    assert list(tmp_path.iterdir()) == []
