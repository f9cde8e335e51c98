"""What the window shows, as pixels; statistics; recordings and names."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pytest

from demo_app.frame import Frame
from demo_app.live.controls import Controls
from demo_app.live.overlay import Overlay, Status
from demo_app.live.panel import line_panel, table_panel
from demo_app.live.recording import Recorder, free_path
from demo_app.live.statistics import Statistics
from demo_app.live.view import View
from demo_app.sinks.video import VideoSink
from demo_app.sources.video import VideoSource
from edge_deeplab.errors import OutputError

HEIGHT, WIDTH = 120, 160


@pytest.fixture
def frame() -> np.ndarray:
    """Red on the left, green on the right."""
    rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    rgb[:, : WIDTH // 2, 0] = 200
    rgb[:, WIDTH // 2 :, 1] = 200
    return rgb


@pytest.fixture
def portrait() -> np.ndarray:
    """Blue, brighter to the right."""
    rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    rgb[:, :, 2] = np.linspace(50, 250, WIDTH).astype(np.uint8)
    return rgb


ALPHA = np.tile(np.linspace(0.0, 1.0, 16, dtype=np.float32), (16, 1))


def test_the_portrait_is_shown_in_the_windows_channel_order(frame: np.ndarray, portrait: np.ndarray) -> None:
    assert np.array_equal(View()(frame, portrait, ALPHA, Controls()), portrait[:, :, ::-1])


def test_a_mirror_turns_the_window_and_not_the_portrait(frame: np.ndarray, portrait: np.ndarray) -> None:
    kept = portrait.copy()
    assert np.array_equal(View()(frame, portrait, ALPHA, Controls(mirror=True)), portrait[:, ::-1, ::-1])
    assert np.array_equal(portrait, kept)


@pytest.mark.parametrize("mirror", [False, True])
def test_before_is_on_the_left_of_the_screen(frame: np.ndarray, portrait: np.ndarray, mirror: bool) -> None:
    shown = View()(frame, portrait, ALPHA, Controls(mirror=mirror, divider=0.25))
    expected_before = frame[:, ::-1] if mirror else frame
    expected_after = portrait[:, ::-1] if mirror else portrait
    assert np.array_equal(shown[:, : 40 - 2, ::-1], expected_before[:, : 40 - 2])
    assert np.array_equal(shown[:, 40 + 3 :, ::-1], expected_after[:, 40 + 3 :])
    assert shown[:, 40].min() == 255  # the divider


def test_a_divider_at_the_edge_shows_one_of_both(frame: np.ndarray, portrait: np.ndarray) -> None:
    assert np.array_equal(View()(frame, portrait, ALPHA, Controls(divider=0.0))[:, 5:], portrait[:, 5:, ::-1])
    assert np.array_equal(View()(frame, portrait, ALPHA, Controls(divider=1.0))[:, :-5], frame[:, :-5, ::-1])


def test_the_mask_is_stretched_over_the_frame(frame: np.ndarray, portrait: np.ndarray) -> None:
    shown = View()(frame, portrait, ALPHA, Controls(mask=True))
    assert shown.shape == frame.shape
    assert shown[:, :5].max() < 20
    assert shown[:, -5:].min() > 235
    assert np.array_equal(shown[:, :, 0], shown[:, :, 2])


def test_text_is_readable_over_white_and_over_black() -> None:
    """The panel darkens what is below it, and its letters are light on either."""
    for below in (0, 255):
        picture = np.full((200, 600, 3), below, np.uint8)
        panel = table_panel("Keys", [("H", "this help")], size=20)
        panel.lay_over(picture)
        inside = picture[5 : len(panel.light) - 5, 5 : panel.light.shape[1] - 5].astype(int)
        assert np.median(inside) < 90
        assert inside.max() > 220
        assert (picture[len(panel.light) + 1 :] == below).all()


def test_each_row_has_its_name_and_its_text_and_nothing_is_cut() -> None:
    rows = [("hall", "a tall bottle"), ("ball", "table"), ("hall", "a tall bottle")]
    panel = table_panel("", rows, size=20)
    letters = panel.keep[:, :, 0] < 30
    starts = np.flatnonzero(np.diff(letters.any(axis=1).astype(int)) == 1)
    assert len(starts) == 3
    step = starts[1] - starts[0]
    assert np.array_equal(letters[starts[0] : starts[0] + step], letters[starts[2] : starts[2] + step])
    for start, (_, text) in zip(starts, rows, strict=True):
        columns = np.flatnonzero(letters[start : start + step].any(axis=0))
        line = line_panel(text, size=20).keep[:, :, 0] < 30
        assert np.diff(columns).max() > 20  # between the name and the text
        width = np.ptp(np.flatnonzero(line.any(axis=0)))
        assert columns[-1] - columns[np.argmax(np.diff(columns)) + 1] == width
        assert columns[-1] < letters.shape[1] - 5
    again = table_panel("", rows, size=20)
    assert np.array_equal(again.light, panel.light)


def test_a_panel_larger_than_the_picture_is_cut() -> None:
    picture = np.full((10, 12, 3), 255, np.uint8)
    line_panel("saved portrait-20250131-174500-1.png", size=16).lay_over(picture, right=True, bottom=True, margin=8)
    assert picture.shape == (10, 12, 3)
    assert picture.min() < 255


def test_the_overlay_shows_what_is_asked_for_and_nothing_else() -> None:
    status = Status(statistics=[("frames", "30.0 a second")], notice="f/2.8", recorded_seconds=75.0)

    def changed(controls: Controls, status: Status) -> set[str]:
        picture = np.full((720, 1280, 3), 128, np.uint8)
        Overlay()(picture, controls, status)
        corners = {
            "top left": picture[:300, :500],
            "bottom left": picture[300:, :500],
            "top right": picture[:300, 900:],
            "bottom right": picture[500:, 900:],
        }
        return {name for name, part in corners.items() if (part != 128).any()}

    assert changed(Controls(), Status()) == set()
    assert changed(Controls(statistics=True), Status(statistics=status.statistics)) == {"top left"}
    assert changed(Controls(help=True), Status()) == {"bottom left"}
    assert changed(Controls(), status) == {"top right", "bottom right"}


def test_statistics_of_a_steady_film() -> None:
    statistics = Statistics()
    for index in range(1000):
        shown_at = 5.0 + index / 50.0
        statistics.note(captured_at=shown_at - (0.080 if index % 10 == 0 else 0.020), shown_at=shown_at)
        statistics.note_stages(compose=0.004)
    assert statistics.shown == 1000
    assert statistics.fps() == pytest.approx(50.0)
    assert statistics.latency().p50 == pytest.approx(20.0)
    assert statistics.latency_of_all().p95 == pytest.approx(80.0)
    assert statistics.stage_ms == {"compose": pytest.approx(4.0)}


def test_old_frames_are_forgotten() -> None:
    statistics = Statistics()
    for index in range(20_000):
        latency = 1.0 if index < 10_000 else 0.010
        statistics.note(captured_at=index - latency, shown_at=float(index))
    assert statistics.latency_of_all().p95 == pytest.approx(10.0)
    assert statistics.fps() == pytest.approx(1.0)


def test_no_frame_is_no_division_by_zero() -> None:
    assert Statistics().fps() == Statistics().latency().p95 == 0.0


def recorder(in_real_time: bool) -> Recorder:
    return Recorder(lambda path: VideoSink(path, 10.0), 10.0, in_real_time=in_real_time)


def count(path: Path) -> int:
    with VideoSource(path) as source:
        return len(list(source))


def test_a_recording_lasts_as_long_as_it_took(tmp_path: Path, frame: np.ndarray) -> None:
    with recorder(in_real_time=True) as recording:
        recording.start(tmp_path / "a.mp4")
        for index in range(21):  # at 20 frames a second, then a gap of a second
            recording.write(Frame(frame, "a"), 100.0 + index / 20.0)
        recording.write(Frame(frame, "a"), 102.0)
        assert recording.seconds == pytest.approx(2.1)
        assert recording.stop() == tmp_path / "a.mp4"
    assert count(tmp_path / "a.mp4") == 21


def test_every_frame_is_recorded_once(tmp_path: Path, frame: np.ndarray) -> None:
    with recorder(in_real_time=False) as recording:
        recording.start(tmp_path / "a.mp4")
        for index in range(7):
            recording.write(Frame(frame, "a"), index * 3.0)
    assert count(tmp_path / "a.mp4") == 7


def test_what_was_recorded_outlives_what_ends_the_demo(tmp_path: Path, frame: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a bug"), recorder(in_real_time=False) as recording:  # noqa: PT012
        recording.start(tmp_path / "a.mp4")
        recording.write(Frame(frame, "a"), 0.0)
        raise ValueError("a bug")
    assert count(tmp_path / "a.mp4") == 1


def test_a_recording_without_a_frame_leaves_no_file(tmp_path: Path) -> None:
    with recorder(in_real_time=True) as recording:
        recording.start(tmp_path / "a.mp4")
        assert recording.is_on
        assert recording.stop() is None
    assert list(tmp_path.iterdir()) == []


def test_a_second_recording_finishes_the_first(tmp_path: Path, frame: np.ndarray) -> None:
    with recorder(in_real_time=False) as recording:
        for name in ("a.mp4", "b.mp4"):
            recording.start(tmp_path / name)
            recording.write(Frame(frame, "a"), 0.0)
    assert count(tmp_path / "a.mp4") == count(tmp_path / "b.mp4") == 1


def test_a_recording_to_a_place_that_cannot_be_ends_with_a_sentence(tmp_path: Path, frame: np.ndarray) -> None:
    (tmp_path / "file").write_text("")
    with recorder(in_real_time=False) as recording:
        recording.start(tmp_path / "file" / "a.mp4")
        with pytest.raises(OutputError, match="file"):
            recording.write(Frame(frame, "a"), 0.0)


def test_names_are_dated_and_never_taken_twice(tmp_path: Path) -> None:
    now = datetime.datetime(2025, 1, 31, 17, 45, 0)
    first = free_path(tmp_path, ".png", now)
    first.write_bytes(b"")
    assert first.name == "portrait-20250131-174500-1.png"
    assert free_path(tmp_path, ".png", now).name == "portrait-20250131-174500-2.png"
    assert free_path(tmp_path, ".mp4", now).name == "portrait-20250131-174500-1.mp4"
