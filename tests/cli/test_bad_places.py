"""Places that cannot be written to: read-only, full, a file where a folder should be. Nothing half-written stays.

The tests may run as root, whom file modes do not stop. So the read-only and the full place are real file systems: a
tmpfs, mounted in a mount namespace of the command's own.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PIL import Image

Refuses = Callable[..., str]
TheLine = Callable[[subprocess.CompletedProcess[str]], str]

_MAY_MOUNT = (
    subprocess.run(
        ["sh", "-c", "command -v unshare && unshare -m mount -t tmpfs none /mnt"], capture_output=True, check=False
    ).returncode
    == 0
)
needs_mount = pytest.mark.skipif(not _MAY_MOUNT, reason="mounting a tmpfs in a namespace is not permitted here")


def on_tmpfs(folder: Path, options: str, words: Sequence[object]) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run a command line with a tmpfs mounted on ``folder``: what it did, and the files that were there afterwards."""
    folder.mkdir(exist_ok=True)
    listing = folder.with_name("listing")
    script = (
        f"mount -t tmpfs -o {options} none {folder} || exit 77; "
        f'"$@"; status=$?; find {folder} -type f > {listing}; exit $status'
    )
    program = [sys.executable, "-m", "edge_deeplab.cli.main", *map(str, words)]
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", *program], capture_output=True, text=True, check=False
    )
    return done, listing.read_text().split()


def labelled(folder: Path, photo: Path) -> Path:
    """A data set in the manifest layout: two photos to train on, two to choose by; the masks are their brightness."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    rows = ["id,source,split,group,width,height,person_fraction"]
    for name, split in {"a": "train", "b": "train", "c": "val", "d": "val"}.items():
        with Image.open(photo) as image:
            image.save(folder / "images" / f"{name}.jpg")
            image.convert("L").save(folder / "masks" / f"{name}.png")
            rows.append(f"{name},here,{split},{name},{image.width},{image.height},0.5")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    return folder


COMMANDS = ["portrait photo", "portrait folder", "evaluate", "parity", "convert", "release", "train"]


@pytest.fixture
def words(tmp_path: Path, photo: Path, model: Path, small_checkpoint: Path) -> Callable[[str, Path], list[object]]:
    """The words of a command that writes into a folder."""

    def of(command: str, out: Path) -> list[object]:
        data = labelled(tmp_path / "data", photo)
        match command:
            case "portrait photo":
                return ["portrait", photo, "-o", out / "out.png"]
            case "portrait folder":
                return ["portrait", data / "images", "-o", out / "made"]
            case "evaluate":
                return ["evaluate", model, "--data", data, "--out", out]
            case "parity":
                return ["parity", model, model, "--out", out, "--target", "tflite-int8"]
            case "convert":
                return ["convert", small_checkpoint, "--target", "onnx", "--out", out]
            case "release":
                return ["release", small_checkpoint, "--target", "onnx", "--out", out / "release"]
            case _:
                small = "--input-size 64 --width 0.35 --head-channels 16 --epochs 1 --batch-size 2 --workers 0"
                return ["train", data, "--out", out, *small.split()]

    return of


@pytest.mark.parametrize("command", COMMANDS)
def test_below_a_regular_file(
    refuses: Refuses, tmp_path: Path, words: Callable[[str, Path], list[object]], command: str
) -> None:
    (tmp_path / "file").write_text("not a folder")
    given = words(command, tmp_path / "file")
    assert "cannot write" in refuses(*given)


@needs_mount
@pytest.mark.parametrize("command", COMMANDS)
def test_a_read_only_folder(
    the_line: TheLine, tmp_path: Path, words: Callable[[str, Path], list[object]], command: str
) -> None:
    place = tmp_path / "place"
    done, left = on_tmpfs(place, "ro", words(command, place))
    assert done.returncode == 1, done
    assert "read-only" in the_line(done)
    assert left == []


@needs_mount
@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk(
    the_line: TheLine, tmp_path: Path, words: Callable[[str, Path], list[object]], command: str
) -> None:
    place = tmp_path / "place"
    done, left = on_tmpfs(place, "size=16k", words(command, place))
    assert done.returncode == 1, done
    assert "the disk is full" in the_line(done)
    assert not [name for name in left if Path(name).name.startswith(".")], "a temporary file was left behind"
    assert not [name for name in left if name.endswith((".png", ".jpg", ".onnx", ".safetensors"))]


@needs_mount
def test_a_disk_that_fills_up_in_training(
    the_line: TheLine, tmp_path: Path, words: Callable[[str, Path], list[object]]
) -> None:
    """The model fits and the larger last.ckpt does not: the model stays, whole, and of last.ckpt nothing does."""
    place = tmp_path / "place"
    done, left = on_tmpfs(place, "size=2000k", words("train", place))
    assert done.returncode == 1, done
    assert "last.ckpt: the disk is full" in the_line(done)
    assert [Path(name).name for name in left if name.endswith((".safetensors", ".ckpt"))] == ["model.safetensors"]
