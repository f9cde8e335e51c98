"""``edge-deeplab portrait`` from end to end, with a real small network."""

from __future__ import annotations

import os
import shutil
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

from edge_deeplab.data.bundled import bundled_portrait
from edge_deeplab.image import read_rgb, write_image

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


def test_the_crf_moves_the_edge_only(edge_deeplab: Run, photo: Path) -> None:
    words = ("portrait", photo, "--mode", "cut-out", "--threads", 1, "-o")
    for name, option in (("plain.png", ()), ("crf.png", ("--crf",))):
        done = edge_deeplab(*words, photo.with_name(name), *option)
        assert (done.returncode, done.stderr) == (0, "")
    plain, crf = (np.asarray(Image.open(photo.with_name(name)))[:, :, 3] >= 128 for name in ("plain.png", "crf.png"))
    assert 0 < np.mean(plain != crf) < 0.05


@pytest.mark.parametrize("mode", ["blur", "cut-out"])
def test_the_crf_is_not_for_films(refuses: Refuses, film: Path, tmp_path: Path, mode: str) -> None:
    words = ("portrait", film, "-o", tmp_path / "out.mp4", "--mode", mode, "--crf")
    assert "--crf is for portraits and cut-outs of photos: it takes seconds a frame" in refuses(*words, status=2)


def test_the_crf_does_not_go_with_privacy(refuses: Refuses, photo: Path) -> None:
    words = ("portrait", photo, "-o", photo.with_name("out.png"), "--mode", "privacy", "--crf")
    assert "what is hidden needs room, not a sharp edge" in refuses(*words, status=2)


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


@pytest.mark.parametrize(("source", "name"), [("photo.png", "out.mp4"), ("film.avi", "out.png")])
def test_an_output_of_another_kind(refuses: Refuses, film: Path, photo: Path, source: str, name: str) -> None:
    assert "end its name in" in refuses("portrait", photo.with_name(source), "-o", photo.with_name(name))


def test_a_cut_out_in_a_place_without_alpha(refuses: Refuses, film: Path, photo: Path, tmp_path: Path) -> None:
    assert "end its name in .png, .tif" in refuses("portrait", photo, "-o", tmp_path / "o.jpg", "--mode", "cut-out")
    line = refuses("portrait", film, "-o", tmp_path / "o.mp4", "--mode", "cut-out")
    assert f"for example {tmp_path / 'o'}" in line


def test_a_camera_is_for_the_demo(refuses: Refuses, tmp_path: Path) -> None:
    assert "edge-deeplab demo 97 --no-window --record" in refuses("portrait", "97", "-o", tmp_path / "out.mp4")


def test_a_background_for_a_mode_without_one(refuses: Refuses, photo: Path, tmp_path: Path) -> None:
    words = ("portrait", photo, "-o", tmp_path / "o.png", "--mode", "privacy", "--background", "green")
    assert "--background does not go with --mode privacy" in refuses(*words, status=2)


def test_a_colour_that_does_not_exist(refuses: Refuses, photo: Path, tmp_path: Path, small_checkpoint: Path) -> None:
    words = ("portrait", photo, "-o", tmp_path / "o.png", "--model", small_checkpoint, "--background", "gren")
    assert "gren" in refuses(*words)


# Parts of the bundled portrait: the face, the left edge of the hair, and a corner of the background (the other
# one is a flag, of which the network is not sure).
FACE, OUTLINE, CORNER = np.s_[60:150, 190:260], np.s_[50:110, 150:185], np.s_[:40, -40:]


@pytest.fixture
def portrait(tmp_path: Path) -> Path:
    """The bundled portrait, in which the shipped model finds a person."""
    path = tmp_path / "person.png"
    write_image(path, bundled_portrait())
    return path


def test_a_colour_behind_the_person(edge_deeplab: Run, portrait: Path) -> None:
    out = portrait.with_name("out.png")
    assert edge_deeplab("portrait", portrait, "-o", out, "--background", "#00b140").returncode == 0
    given, made = read_rgb(portrait), read_rgb(out)
    assert np.array_equal(made[FACE], given[FACE])
    assert (made[CORNER] == (0, 177, 64)).all()


def test_privacy_keeps_the_background_and_hides_the_person(edge_deeplab: Run, portrait: Path) -> None:
    out = portrait.with_name("out.png")
    assert edge_deeplab("portrait", portrait, "-o", out, "--mode", "privacy").returncode == 0
    given, made = read_rgb(portrait), read_rgb(out)
    assert np.array_equal(made[CORNER], given[CORNER])
    assert _detail(made[FACE]) < 0.05 * _detail(given[FACE])
    assert _detail(made[OUTLINE]) < 0.05 * _detail(given[OUTLINE])


def test_privacy_of_nobody_says_that_nothing_is_hidden(edge_deeplab: Run, tmp_path: Path) -> None:
    Image.new("RGB", (64, 48), (90, 120, 90)).save(tmp_path / "meadow.png")
    done = edge_deeplab("portrait", tmp_path / "meadow.png", "-o", tmp_path / "out.png", "--mode", "privacy")
    assert done.returncode == 0
    assert "nothing is hidden" in done.stderr
    assert np.array_equal(read_rgb(tmp_path / "out.png"), read_rgb(tmp_path / "meadow.png"))


def test_a_cut_out_has_alpha_and_nothing_of_the_background(edge_deeplab: Run, portrait: Path) -> None:
    out = portrait.with_name("out.png")
    assert edge_deeplab("portrait", portrait, "-o", out, "--mode", "cut-out").returncode == 0
    with Image.open(out) as image:
        made = np.asarray(image)
    assert made.shape[2] == 4
    assert (made[FACE][:, :, 3] == 255).all()
    assert (made[CORNER] == 0).all()


def test_a_cut_out_of_nobody_writes_nothing(edge_deeplab: Run, tmp_path: Path) -> None:
    Image.new("RGB", (64, 48), (90, 120, 90)).save(tmp_path / "meadow.png")
    done = edge_deeplab("portrait", tmp_path / "meadow.png", "-o", tmp_path / "out.png", "--mode", "cut-out")
    assert done.returncode == 1
    assert "no person was found" in done.stderr
    assert not (tmp_path / "out.png").exists()


def test_the_cut_out_of_a_video_is_numbered_pictures(edge_deeplab: Run, film: Path, tmp_path: Path) -> None:
    done = edge_deeplab("portrait", film, "-o", tmp_path / "out", "--mode", "cut-out")
    assert (done.returncode, done.stderr) == (0, "")
    paths = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in paths] == [f"{index:06d}.png" for index in range(30)]
    with Image.open(paths[7]) as image:
        assert (image.mode, image.size) == ("RGBA", (120, 160))


# Parts of the film that are wall, and suit, from the first frame to the last.
WALL, SUIT = np.s_[2:14, 2:10], np.s_[110:140, 60:90]


def first_and_last(path: Path) -> list[np.ndarray]:
    """RGB."""
    capture = cv2.VideoCapture(str(path))
    read = []
    while (found := capture.read())[0]:
        read.append(cv2.cvtColor(found[1], cv2.COLOR_BGR2RGB))
    assert len(read) == 30
    return [read[0], read[-1]]


def test_every_frame_of_a_video_before_a_colour(edge_deeplab: Run, film: Path) -> None:
    out = film.with_name("out.mp4")
    assert edge_deeplab("portrait", film, "-o", out, "--background", "#00ff00").returncode == 0
    for given, made in zip(first_and_last(film), first_and_last(out), strict=True):
        assert np.abs(made[WALL] - (0.0, 255.0, 0.0)).mean() < 12.0
        assert np.abs(made[SUIT].astype(float) - given[SUIT]).mean() < 12.0


def test_every_frame_of_a_video_before_a_picture(edge_deeplab: Run, film: Path, tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), (0, 0, 250)).save(tmp_path / "sea.png")
    out = film.with_name("out.mp4")
    assert edge_deeplab("portrait", film, "-o", out, "--background", tmp_path / "sea.png").returncode == 0
    for made in first_and_last(out):
        assert np.abs(made[WALL] - (0.0, 0.0, 250.0)).mean() < 12.0


def test_every_frame_of_a_video_in_privacy(edge_deeplab: Run, film: Path) -> None:
    out = film.with_name("out.mp4")
    assert edge_deeplab("portrait", film, "-o", out, "--mode", "privacy").returncode == 0
    for given, made in zip(first_and_last(film), first_and_last(out), strict=True):
        assert _detail(made[SUIT]) < 0.1 * _detail(given[SUIT])
        assert np.abs(made[WALL].astype(float) - given[WALL]).mean() < 12.0


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg, which adds a film's sound, is not installed")
def test_a_video_keeps_its_sound_and_is_the_same_every_time(
    edge_deeplab: Run, film: Path, small_checkpoint: Path
) -> None:
    loud = film.with_name("loud.mkv")
    tone = ["-f", "lavfi", "-i", "sine=frequency=440:duration=2"]
    making = ["ffmpeg", "-v", "error", "-i", str(film), *tone, "-c:v", "copy", "-shortest", str(loud)]
    subprocess.run(making, check=True, stdin=subprocess.DEVNULL)
    outs = [film.with_name(name) for name in ("a.mp4", "b.mp4")]
    for out in outs:
        done = edge_deeplab("portrait", loud, "-o", out, "--model", small_checkpoint)
        assert (done.returncode, done.stderr) == (0, "")
    asking = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_type", "-of", "csv=p=0", str(outs[0])]
    assert subprocess.run(asking, capture_output=True, text=True, check=True).stdout.split() == ["video", "audio"]
    assert outs[0].read_bytes() == outs[1].read_bytes()


def _detail(picture: np.ndarray) -> float:
    """How much changes from pixel to pixel."""
    return float(cv2.Laplacian(picture, cv2.CV_32F).var())
