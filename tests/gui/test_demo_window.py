"""``edge-deeplab demo`` in a real window, with its keys pressed and its screen looked at."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from demo_app.live.panel import line_panel, text_size
from edge_deeplab.image import read_rgb

from .conftest import Person, until

pytestmark = pytest.mark.gui

Start = Callable[..., Person]
HEIGHT, WIDTH = 288, 384


def first_frame(film: Path) -> np.ndarray:
    capture = cv2.VideoCapture(str(film))
    read, bgr = capture.read()
    assert read
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def frame_count(path: Path) -> int:
    capture = cv2.VideoCapture(str(path))
    assert capture.isOpened(), path
    count = 0
    while capture.grab():
        count += 1
    return count


def part(screen: np.ndarray) -> np.ndarray:
    """The picture in the window: at the screen's corner, without what the slider's height may change at its end."""
    return screen[: HEIGHT - 8, :WIDTH]


def differs(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(int) - other).mean())


def sharpness(picture: np.ndarray) -> float:
    return float(cv2.Laplacian(cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY), cv2.CV_64F).std())


# Of the bundled portrait at this size, as (rows, columns): the face; the flag on the left, the shuttle on the right.
FACE, FLAG, SHUTTLE = np.s_[60:130, 140:200], np.s_[20:170, 0:40], np.s_[20:180, 270:345]


def test_a_person_goes_through_the_keys(person: Start, film: Path, tmp_path: Path) -> None:
    frame = first_frame(film)
    somebody = person()
    somebody.until_screen(lambda screen: differs(part(screen), frame[: HEIGHT - 8]) < 25.0, "the portrait")
    shown = part(somebody.picture())
    assert differs(shown[FACE], frame[FACE]) < 6.0
    assert sharpness(shown[SHUTTLE]) < 0.6 * sharpness(frame[SHUTTLE])

    somebody.press("h")
    somebody.until_screen(lambda screen: differs(part(screen), shown) > 15.0, "the help")
    somebody.press("question")
    somebody.until_screen(lambda screen: differs(part(screen), shown) < 5.0, "no help any more")

    somebody.press("i")
    somebody.until_screen(lambda screen: differs(part(screen), shown) > 10.0, "the statistics")
    somebody.press("i")
    somebody.until_screen(lambda screen: differs(part(screen), shown) < 5.0, "no statistics any more")

    somebody.press("b")
    somebody.until_screen(
        lambda screen: sharpness(part(screen)[FLAG]) > 0.8 * sharpness(frame[FLAG]), "before and after"
    )
    somebody.press("b")
    somebody.until_screen(lambda screen: differs(part(screen), shown) < 5.0, "after alone")

    somebody.press("x")
    somebody.until_screen(lambda screen: differs(part(screen)[:, ::-1], shown) < 8.0, "the mirror")
    somebody.press("x")
    somebody.until_screen(lambda screen: differs(part(screen), shown) < 5.0, "no mirror")

    somebody.press("k")
    somebody.until_screen(
        lambda screen: part(screen)[FACE].mean() > 200.0 and part(screen)[SHUTTLE].mean() < 55.0, "the mask"
    )
    somebody.press("k")
    somebody.until_screen(lambda screen: differs(part(screen), shown) < 5.0, "no mask")

    def next_to_no_blur() -> bool:
        somebody.press("minus")  # which does nothing at f/16
        return sharpness(part(somebody.picture())[SHUTTLE]) > 0.55 * sharpness(frame[SHUTTLE])  # f/8: 0.45

    until(next_to_no_blur, "f/16")

    somebody.press("s")
    until(lambda: list(tmp_path.glob("portrait-*.png")), "the snapshot")
    somebody.press("q")
    status, out, errors = somebody.end()
    assert (status, errors) == (0, "")
    assert re.search(r"\d+ frames shown, \d+ of \d+ dropped, .* latency \d+ ms", out)
    (snapshot,) = tmp_path.glob("portrait-*.png")
    assert snapshot.name in out
    assert differs(read_rgb(snapshot)[FACE], frame[FACE]) < 6.0


def test_modes_follow_one_another(person: Start, film: Path) -> None:
    somebody = person("--background", "#00b140", "--mode", "fast-blur")
    somebody.press("m")
    green = np.array([0, 177, 64])
    somebody.until_screen(lambda screen: np.abs(part(screen)[SHUTTLE] - green).mean() < 12.0, "the colour")
    somebody.press("m")
    frame = first_frame(film)
    somebody.until_screen(lambda screen: differs(part(screen)[SHUTTLE], frame[SHUTTLE]) < 12.0, "the background again")
    assert sharpness(part(somebody.picture())[FACE]) < 0.7 * sharpness(frame[FACE])  # privacy
    somebody.press("m")
    somebody.until_screen(lambda screen: np.ptp(part(screen)[SHUTTLE], axis=2).mean() < 12.0, "grey squares")
    somebody.press("Escape")
    assert somebody.end()[0] == 0


def test_a_recording_by_keys_opens_and_counts(person: Start, tmp_path: Path) -> None:
    somebody = person("--mirror")
    somebody.press("r")
    until(lambda: list(tmp_path.glob(".portrait-*.mp4")), "the recording")
    # The sign: a red dot in the picture's upper right, and the seconds, which go on.
    sign = np.s_[:40, 250:]
    somebody.until_screen(lambda screen: (part(screen)[sign] == (255, 70, 60)).all(axis=2).any(), "the red dot")
    size = text_size(HEIGHT)
    panel = line_panel("REC 0:01", size, red_dot=True).light
    letters = panel.min(axis=2) > 200
    top, left = size // 2, WIDTH - size // 2 - panel.shape[1]
    place = np.s_[top : top + panel.shape[0], left : left + panel.shape[1]]
    somebody.until_screen(lambda screen: screen[place][letters].min() > 150, "the first second")
    somebody.press("r")
    until(lambda: list(tmp_path.glob("portrait-*.mp4")), "the recorded file")
    somebody.press("q")
    status, out, _ = somebody.end()
    assert status == 0
    (recorded,) = tmp_path.glob("portrait-*.mp4")
    assert recorded.name in out
    assert 10 <= frame_count(recorded) < 15 * 60
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("how", "status"), [("the cross", 0), (signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["cross", "INT", "TERM"]
)
def test_however_it_ends_the_file_is_finished(
    person: Start, tmp_path: Path, how: str | signal.Signals, status: int
) -> None:
    film = tmp_path / "out.mp4"
    somebody = person("--record", film)
    if isinstance(how, signal.Signals):
        somebody.process.send_signal(how)
    else:
        somebody.close_window()
    ended, out, errors = somebody.end()
    assert (ended, errors) == (status, "")
    assert "frames shown" in out
    assert frame_count(film) >= 1
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_without_a_screen_there_is_a_sentence(film: Path) -> None:
    for display, word in ((None, "DISPLAY is not set"), (":9753", "DISPLAY=:9753 cannot be opened")):
        environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
        if display is not None:
            environment["DISPLAY"] = display
        done = subprocess.run(
            [sys.executable, "-m", "edge_deeplab.cli.main", "demo", str(film)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert word in done.stderr
        assert len(done.stderr.splitlines()) == 1
