"""``edge-deeplab demo`` without a window, with the shipped model; with one it is in tests/gui."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_deeplab.data.bundled import bundled_portrait

Run = Callable[..., subprocess.CompletedProcess[str]]
Refuses = Callable[..., str]


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """40 frames of the bundled portrait, sliding, 30 a second."""
    path = tmp_path / "film.mp4"
    wide = cv2.cvtColor(bundled_portrait()[:240], cv2.COLOR_RGB2BGR)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30.0, (320, 240))
    for index in range(40):
        writer.write(np.ascontiguousarray(wide[:, 4 * index : 4 * index + 320]))
    writer.release()
    return path


def frames(path: Path) -> list[bytes]:
    capture = cv2.VideoCapture(str(path))
    assert capture.isOpened()
    found = []
    while (read := capture.read())[0]:
        found.append(read[1].tobytes())
    return found


def test_every_frame_is_shown_and_the_same_input_gives_the_same_frames(
    edge_deeplab: Run, film: Path, tmp_path: Path
) -> None:
    made = []
    for name in ("a", "b"):
        out, figures = tmp_path / f"{name}.mp4", tmp_path / f"{name}.json"
        done = edge_deeplab(
            "demo", film, "--no-window", "--every-frame", "--record", out, "--stats-json", figures, "--f-number", 1.4
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "40 frames shown, 0 of 40 dropped" in done.stdout
        assert str(out) in done.stdout
        report = json.loads(figures.read_text())
        assert (report["captured"], report["shown"], report["dropped"]) == (40, 40, 0)
        assert report["quality"] == "full"
        made.append(frames(out))
    assert len(made[0]) == 40
    assert made[0] == made[1]


def test_every_frame_of_a_film_that_is_faster_than_the_machine(edge_deeplab: Run, tmp_path: Path) -> None:
    path = tmp_path / "fast.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 240.0, (640, 480))
    for shade in range(60):
        writer.write(np.full((480, 640, 3), shade, np.uint8))
    writer.release()
    done = edge_deeplab("demo", path, "--no-window", "--every-frame")
    assert "60 frames shown, 0 of 60 dropped" in done.stdout


def test_live_frames_are_shown_or_counted_as_dropped(edge_deeplab: Run, film: Path, tmp_path: Path) -> None:
    done = edge_deeplab("demo", film, "--no-window", "--stats-json", tmp_path / "figures.json")
    assert done.returncode == 0
    report = json.loads((tmp_path / "figures.json").read_text())
    assert report["captured"] == 40
    assert report["shown"] + report["dropped"] == 40
    assert report["shown"] > 0
    assert report["seconds"] > 1.0  # it is 1.3 long, and played at its rate
    assert 0 < report["latency_ms"]["p50"] <= report["latency_ms"]["p95"]


@pytest.mark.parametrize("mode", ["blur", "fast-blur", "colour", "privacy", "cut-out"])
def test_every_mode(edge_deeplab: Run, film: Path, tmp_path: Path, mode: str) -> None:
    out = tmp_path / "out.mp4"
    done = edge_deeplab("demo", film, "--no-window", "--every-frame", "--mode", mode, "--record", out)
    assert done.returncode == 0
    assert len(frames(out)) == 40


def test_a_film_and_a_picture_behind_the_person(edge_deeplab: Run, film: Path, tmp_path: Path) -> None:
    picture = tmp_path / "blue.png"
    cv2.imwrite(str(picture), np.full((20, 30, 3), (250, 20, 10), np.uint8))
    out = tmp_path / "out.mp4"
    assert edge_deeplab("demo", film, "--no-window", "--every-frame", "--background", film).returncode == 0
    done = edge_deeplab("demo", film, "--no-window", "--every-frame", "--background", picture, "--record", out)
    assert done.returncode == 0
    corner = np.frombuffer(frames(out)[0], np.uint8).reshape(240, 320, 3)[100:130, 290:]
    assert np.abs(corner.astype(int) - (250, 20, 10)).mean() < 20.0


def test_the_scene_stops_after_its_seconds(edge_deeplab: Run) -> None:
    done = edge_deeplab("demo", "scene", "--size", "160x120", "--no-window", "--seconds", "0.5")
    assert done.returncode == 0
    assert "scene: " in done.stdout


def test_a_recording_of_nothing_leaves_no_file(edge_deeplab: Run, film: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(film.read_bytes()[:2000])
    done = edge_deeplab("demo", broken, "--no-window", "--record", tmp_path / "out.mp4")
    assert done.returncode == 1
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["gone.mp4"], r"there is no file gone\.mp4"),
        (["97"], "camera 97 cannot be opened"),
        (["-"], "need --size"),
        (["scene", "--size", "0x7"], "is not a size such as 1280x720"),
        (["scene", "--record", "out.avi"], "writes .mp4 files"),
        (["scene", "--mode", "picture"], "needs a --background"),
        (["scene", "--background", "nocolour"], "there is no colour 'nocolour'"),
        (["scene", "--background", "gone.png"], r"there is no picture gone\.png"),
        (["scene", "--model", "gone.tflite"], r"there is no model file gone\.tflite"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(refuses: Refuses, words: list[str], sentence: str) -> None:
    usage = any(word in sentence for word in ("--size", "not a size", ".mp4 files", "--background"))
    assert re.search(sentence, refuses("demo", *words, "--no-window", status=2 if usage else 1))


def test_options_that_a_film_has_no_use_for_are_refused(refuses: Refuses, film: Path) -> None:
    assert "--size is not for a video" in refuses("demo", film, "--no-window", "--size", "64x48", status=2)
    assert "--fps is not for a video" in refuses("demo", film, "--no-window", "--fps", "5", status=2)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="sees in /proc when the demo plays")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_while_its_source_gives_nothing(number: signal.Signals, status: int) -> None:
    """A pipe that is open and silent: the thread that reads from it cannot be woken, and need not be."""
    read, write = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "edge_deeplab.cli.main", "demo", "-", "--size", "32x32", "--no-window"],
        stdin=read,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        end = time.monotonic() + 60.0
        while not _is_playing(process.pid) and time.monotonic() < end:
            time.sleep(0.02)
        process.send_signal(number)
        out, errors = process.communicate(timeout=60.0)
    finally:
        process.kill()
        os.close(read)
        os.close(write)
    assert (process.returncode, errors) == (status, "")
    assert "-: " in out


def _is_playing(pid: int) -> bool:
    """Whether the process catches SIGTERM, which the demo does from the moment that it plays."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    caught = next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt"))
    return bool(caught >> (signal.SIGTERM - 1) & 1)
