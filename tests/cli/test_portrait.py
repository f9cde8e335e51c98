"""``edge-deeplab portrait`` from end to end, with a real small network."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

Run = Callable[..., subprocess.CompletedProcess[str]]
Refuses = Callable[..., str]


@pytest.fixture
def film(tmp_path: Path, photo: Path) -> Path:
    """30 frames of the bundled portrait, sliding."""
    path = tmp_path / "film.avi"
    with Image.open(photo) as image:
        bgr = cv2.cvtColor(np.asarray(image.resize((150, 200))), cv2.COLOR_RGB2BGR)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 15.0, (120, 160))
    for index in range(30):
        writer.write(np.ascontiguousarray(bgr[index : index + 160, index : index + 120]))
    writer.release()
    return path


def frame_count(path: Path) -> int:
    capture = cv2.VideoCapture(str(path))
    assert capture.isOpened()
    count = 0
    while capture.grab():
        count += 1
    return count


def test_a_photo(edge_deeplab: Run, photo: Path, small_checkpoint: Path) -> None:
    out = photo.with_name("out.png")
    done = edge_deeplab("portrait", photo, "-o", out, "--model", small_checkpoint, "--f-number", 1, "--threads", 1)
    assert (done.returncode, done.stderr) == (0, "")
    with Image.open(out) as made, Image.open(photo) as given:
        assert made.size == given.size
        assert not np.array_equal(np.asarray(made), np.asarray(given))


def test_a_folder_with_a_bad_photo_does_the_others_and_fails(
    edge_deeplab: Run, photo: Path, small_checkpoint: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.png", "c.png"):
        (folder / name).write_bytes(photo.read_bytes())
    (folder / "b.jpg").write_text("no photo")
    done = edge_deeplab("portrait", folder, "-o", tmp_path / "out", "--model", small_checkpoint)
    assert done.returncode == 1
    first, last = done.stderr.splitlines()
    assert "b.jpg" in first
    assert "1 of 3 photos" in last
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "c.png"]


def test_a_video(edge_deeplab: Run, film: Path, small_checkpoint: Path) -> None:
    out = film.with_name("out.mp4")
    done = edge_deeplab("portrait", film, "-o", out, "--model", small_checkpoint)
    assert (done.returncode, done.stderr) == (0, "")
    assert "30 frames" in done.stdout
    assert frame_count(out) == 30


def test_a_broken_video_keeps_what_was_read(
    edge_deeplab: Run, the_line: Callable[..., str], film: Path, small_checkpoint: Path
) -> None:
    film.write_bytes(film.read_bytes()[: film.stat().st_size // 2])
    out = film.with_name("out.mp4")
    done = edge_deeplab("portrait", film, "-o", out, "--model", small_checkpoint)
    assert done.returncode == 1
    assert "broke off after" in the_line(done)
    assert 8 <= frame_count(out) <= 20


def test_ctrl_c_finishes_the_video(tmp_path: Path, small_checkpoint: Path) -> None:
    path = tmp_path / "long.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 15.0, (640, 360))
    frame = np.zeros((360, 640, 3), np.uint8)
    for _ in range(3000):
        writer.write(frame)
    writer.release()
    out = tmp_path / "out.mp4"
    words = ["portrait", str(path), "-o", str(out), "--model", str(small_checkpoint), "--threads", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "edge_deeplab.cli.main", *words],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    # The container's header is some fifty bytes, written before the first frame; more of it are frames.
    while not any(entry.stat().st_size > 1000 for entry in tmp_path.glob(".out-*")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors.strip() == "edge-deeplab: interrupted"  # click ends the terminal's line with ^C first
    assert 0 < frame_count(out) < 3000
    assert not list(tmp_path.glob(".out-*"))


def test_the_input_is_never_overwritten(refuses: Refuses, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "link.png").symlink_to(photo)
    for output in (photo, tmp_path / "link.png"):
        assert "the input itself" in refuses("portrait", photo, "-o", output)
    assert "the input itself" in refuses("portrait", tmp_path, "-o", tmp_path)


def test_a_folder_in_a_files_place(refuses: Refuses, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert f"for example {tmp_path / 'out' / 'photo.png'}" in refuses("portrait", photo, "-o", tmp_path / "out")


def test_a_file_in_a_folders_place(refuses: Refuses, photo: Path, tmp_path: Path) -> None:
    assert "needs a folder" in refuses("portrait", tmp_path, "-o", photo)


@pytest.mark.parametrize(("source", "name"), [("photo.png", "out.mp4"), ("film.avi", "out.png"), ("0", "out.avi")])
def test_an_output_of_another_kind(refuses: Refuses, film: Path, photo: Path, source: str, name: str) -> None:
    given = source if source == "0" else photo.with_name(source)
    assert "end its name in" in refuses("portrait", given, "-o", photo.with_name(name))


def test_a_camera_that_is_not_there(refuses: Refuses, tmp_path: Path, small_checkpoint: Path) -> None:
    line = refuses("portrait", "97", "-o", tmp_path / "out.mp4", "--model", small_checkpoint, "--seconds", 1)
    assert "camera 97 cannot be opened" in line


def test_seconds_are_for_a_camera(refuses: Refuses, photo: Path, tmp_path: Path) -> None:
    assert "--seconds" in refuses("portrait", photo, "-o", tmp_path / "o.png", "--seconds", 1, status=2)
