"""Real videos, small enough to be made for each test."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

FilmMaker = Callable[..., Path]

needs_ffmpeg = pytest.mark.skipif(
    shutil.which("ffmpeg") is None or shutil.which("ffprobe") is None,
    reason="ffmpeg and ffprobe are not installed here",
)


def ffmpeg(*words: object) -> bytes:
    """Run ffmpeg, and give what it writes to its standard output."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *map(str, words)]
    return subprocess.run(command, capture_output=True, check=True).stdout


def film_frames(count: int, height: int, width: int) -> list[np.ndarray]:
    """RGB frames of a smooth picture that slides to the right: video codecs keep it within a few code values."""
    random = np.random.default_rng(0)
    wide = cv2.resize(random.integers(0, 256, (4, 16, 3), dtype=np.uint8), (width + 4 * count, height))
    return [np.ascontiguousarray(wide[:, 4 * index : 4 * index + width]) for index in range(count)]


@pytest.fixture
def film(tmp_path: Path) -> FilmMaker:
    """A maker of video files: film("name.mp4", count, codec=...) with 64x96 frames at 12 a second."""

    def make(name: str, count: int, codec: str = "mp4v", fps: float = 12.0) -> Path:
        path = tmp_path / name
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, (96, 64))
        assert writer.isOpened(), codec
        for frame in film_frames(count, 64, 96):
            writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        writer.release()
        return path

    return make
