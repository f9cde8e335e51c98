"""A screen for the window, and hands on its keys: Xvfb and xdotool, as a person at a desk."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_deeplab.data.bundled import bundled_portrait

DEADLINE = 60.0  # seconds for what takes one on an idle machine


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition, as long as it may take on a slow machine."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.02)


@pytest.fixture(scope="session")
def screen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An X server of its own on a display that is free: the environment for programs on it."""
    for program in ("Xvfb", "xdotool"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: apt install xvfb xdotool")
    if ctypes.util.find_library("xcb") is None:
        pytest.skip("libxcb is not installed, which OpenCV's windows need")
    frames = tmp_path_factory.mktemp("screen")
    read, write = os.pipe()
    # Not to be reset when its last program has gone: the next one would come in the middle of it.
    options = ["-noreset", "-nolisten", "tcp", "-screen", "0", "800x600x24", "-fbdir", frames]
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), *options],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as pipe:
        number = pipe.readline().strip()
    assert number, "Xvfb did not start"
    try:
        yield {**os.environ, "DISPLAY": f":{number}", "XVFB_FRAMES": str(frames / "Xvfb_screen0")}
    finally:
        server.terminate()
        server.wait(DEADLINE)


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute of the bundled portrait, standing still, 384x288 at 15 frames a second: longer than any test."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    picture = cv2.resize(bundled_portrait()[:384], (384, 288), interpolation=cv2.INTER_AREA)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 15.0, (384, 288))
    for _ in range(15 * 60):
        writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


@dataclass
class Person:
    """Somebody who has started ``edge-deeplab demo`` and sits before its window."""

    process: subprocess.Popen[str]
    environment: dict[str, str]
    folder: Path
    window: str = ""
    ended: list[tuple[int, str, str]] = field(default_factory=list)

    def find_window(self) -> None:
        """Wait for the window, and give it the keyboard."""

        def found() -> bool:
            assert self.process.poll() is None, self.process.communicate()
            self.window = self._xdotool("search", "--onlyvisible", "--name", "^edge-deeplab: ").strip()
            return bool(self.window)

        until(found, "the window")
        self._xdotool("windowfocus", self.window)
        # The picture comes a moment after the window.
        until(lambda: len(np.unique(self.picture().reshape(-1, 3), axis=0)) > 1000, "the first picture")

    def press(self, *keys: str) -> None:
        self._xdotool("key", "--delay", "100", *keys)

    def picture(self) -> np.ndarray:
        """The screen, RGB, uint8, 600x800x3: Xvfb keeps it in a file in the format of xwd."""
        data = Path(self.environment["XVFB_FRAMES"]).read_bytes()
        header = np.frombuffer(data[:100], ">u4")
        size, width, height, stride, colours = int(header[0]), header[4], header[5], int(header[12]), int(header[19])
        start = size + 12 * colours
        rows = np.frombuffer(data, np.uint8, count=stride * height, offset=start).reshape(height, stride)
        return rows[:, : 4 * width].reshape(height, width, 4)[:, :, 2::-1].copy()

    def until_screen(self, condition: Callable[[np.ndarray], object], what: str) -> None:
        """Wait until the screen shows something."""
        until(lambda: condition(self.picture()), what)

    def close_window(self) -> None:
        """Click on the cross: without a window manager, what it would send is sent here."""
        program = Path(__file__).with_name("close_window.py")
        subprocess.run([sys.executable, str(program), self.window], check=True, env=self.environment)

    def end(self) -> tuple[int, str, str]:
        """Wait for the program to end: (exit status, output, errors)."""
        out, errors = self.process.communicate(timeout=DEADLINE)
        return self.process.returncode, out, errors

    def _xdotool(self, *words: str) -> str:
        return subprocess.run(
            ["xdotool", *words], env=self.environment, capture_output=True, text=True, check=False
        ).stdout


@pytest.fixture
def person(screen: dict[str, str], film: Path, tmp_path: Path) -> Iterator[Callable[..., Person]]:
    """Start the demo on the film with more words: person("--record", path)."""
    started: list[subprocess.Popen[str]] = []

    def start(*words: object) -> Person:
        command = [sys.executable, "-m", "edge_deeplab.cli.main", "demo", str(film), "--folder", str(tmp_path)]
        process = subprocess.Popen(
            [*command, *map(str, words)], env=screen, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        somebody = Person(process, screen, tmp_path)
        somebody.find_window()
        return somebody

    yield start
    for process in started:
        process.kill()  # which does nothing to one that has ended
        process.communicate()
