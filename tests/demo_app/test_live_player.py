"""The main thread's loop, with a display that presses keys; and the effects that it asks for."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest

from demo_app.backdrops.picture import PictureBackdrop
from demo_app.frame import Frame
from demo_app.halo import synthetic_scene
from demo_app.live.controls import Command, Controls, Mode, press
from demo_app.live.display import NoDisplay
from demo_app.live.effects import CHROMA_GREEN, Effects
from demo_app.live.governor import Governor, Quality
from demo_app.live.inference import Matting
from demo_app.live.overlay import Status
from demo_app.live.pipeline import Pipeline
from demo_app.live.player import Player
from demo_app.live.recording import Recorder
from demo_app.matte import Alpha
from demo_app.nothing_to_close import NothingToClose
from demo_app.sinks.null import NullSink
from demo_app.sinks.video import VideoSink
from demo_app.sources.video import VideoSource
from demo_app.temporal.smoothing import MatteSmoother
from edge_deeplab.errors import SourceError
from edge_deeplab.image import Rgb, read_rgb

HEIGHT, WIDTH = 90, 160


class Room(NothingToClose):
    """Red head and shoulders before a textured room."""

    fps = 25.0

    def __init__(self, count: int, error: Exception | None = None) -> None:
        self.total = count
        self._scene = synthetic_scene(HEIGHT, WIDTH, seed=3)
        self._error = error

    def __iter__(self) -> Iterator[Frame]:
        for _ in range(self.total):
            yield Frame(self._scene.frame.copy(), "room")
        if self._error is not None:
            raise self._error


def red(frame: Rgb) -> Alpha:
    """The network: what is as red as the subject."""
    distance = np.abs(frame.astype(np.int16) - (205, 30, 25)).max(axis=2)
    return (distance < 40).astype(np.float32)


class Fingers(NothingToClose):
    """A display on which keys are pressed, each before the frame of its number."""

    def __init__(self, keys: Mapping[int, str]) -> None:
        self._keys = dict(keys)
        self.shown: list[tuple[np.ndarray, Controls, Status]] = []

    def show(self, frame: Rgb, portrait: Rgb, alpha: Alpha, controls: Controls, status: Status) -> None:
        self.shown.append((portrait.copy(), controls, status))

    def poll(self, controls: Controls) -> tuple[Controls, list[Command]]:
        key = self._keys.pop(len(self.shown), None)
        if key is None:
            return controls, []
        controls, command = press(controls, key)
        return controls, [] if command is None else [command]


def player(
    pipeline: Pipeline, display: Fingers | NoDisplay, recorder: Recorder, folder: Path, governor: Governor | None = None
) -> Player:
    return Player(pipeline, Effects(), display, recorder, governor=governor, folder=folder, about=[("model", "red")])


def recorder_to() -> Recorder:
    return Recorder(lambda path: VideoSink(path, 25.0), 25.0, in_real_time=False)


def every_frame(source: Room) -> Pipeline:
    return Pipeline(source, Matting(red, MatteSmoother(), lambda: 1), every_frame=True)


def test_keys_make_snapshots_recordings_and_modes(tmp_path: Path) -> None:
    display = Fingers({2: "r", 4: "s", 5: "m", 8: "r", 9: "i", 11: "s", 12: "q"})
    with recorder_to() as recorder, every_frame(Room(100)) as pipeline:
        playing = player(pipeline, display, recorder, tmp_path)
        playing.play(Controls(modes=(Mode.BLUR, Mode.COLOUR)), lambda: False)
    report = playing.report()
    assert len(display.shown) == report.shown == 12
    assert report.captured == report.shown + report.dropped
    assert sorted(path.suffix for path in report.files) == [".mp4", ".png", ".png"]
    assert sorted(tmp_path.iterdir()) == sorted(report.files)
    (recorded,) = tmp_path.glob("*.mp4")
    with VideoSource(recorded) as source:
        assert len(list(source)) == 6  # frames 2 to 7
    first, second = (read_rgb(path) for path in report.files if path.suffix == ".png")
    assert np.array_equal(first, display.shown[3][0])  # the one that was on the screen
    assert tuple(second[0, 0]) == CHROMA_GREEN
    assert [bool(status.statistics) for _, _, status in display.shown] == [False] * 9 + [True] * 3
    assert dict(display.shown[-1][2].statistics)["model"] == "red"
    assert [status.recorded_seconds is not None for _, _, status in display.shown] == [False] * 2 + [True] * 6 + [
        False
    ] * 4


def test_a_recording_that_runs_at_the_end_is_finished_and_told(tmp_path: Path) -> None:
    with recorder_to() as recorder, every_frame(Room(9)) as pipeline:
        recorder.start(tmp_path / "out.mp4")
        playing = player(pipeline, NoDisplay(), recorder, tmp_path)
        playing.play(Controls(recording=True), lambda: False)
    assert playing.report().files == (tmp_path / "out.mp4",)
    with VideoSource(tmp_path / "out.mp4") as source:
        assert len(list(source)) == 9


def test_a_source_that_breaks_is_told_after_its_last_frame_was_shown_and_recorded(tmp_path: Path) -> None:
    display = Fingers({})
    with recorder_to() as recorder, every_frame(Room(5, SourceError("camera 0 was unplugged"))) as pipeline:
        recorder.start(tmp_path / "out.mp4")
        playing = player(pipeline, display, recorder, tmp_path)
        with pytest.raises(SourceError, match="unplugged"):
            playing.play(Controls(), lambda: False)
    assert len(display.shown) == 5
    with VideoSource(tmp_path / "out.mp4") as source:
        assert len(list(source)) == 5


def test_a_snapshot_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    display = Fingers({2: "s"})
    with recorder_to() as recorder, every_frame(Room(6)) as pipeline:
        player(pipeline, display, recorder, tmp_path / "file").play(Controls(), lambda: False)
    assert len(display.shown) == 6
    assert "cannot write" in display.shown[2][2].notice


def test_it_stops_when_told_and_after_its_seconds(tmp_path: Path) -> None:
    display = Fingers({})
    with recorder_to() as recorder, every_frame(Room(10**6)) as pipeline:
        playing = player(pipeline, display, recorder, tmp_path)
        playing.play(Controls(), lambda: len(display.shown) >= 3)
        assert len(display.shown) == 3
        playing.play(Controls(), lambda: False, seconds=0.2)
    assert playing.report().seconds >= 0.2


def test_a_machine_that_is_too_slow_leaves_masks_out_and_says_so(tmp_path: Path) -> None:
    def slow(frame: Rgb) -> Alpha:
        time.sleep(0.06)
        return red(frame)

    governor = Governor(1 / 25)
    display = Fingers({0: "i"})
    pipeline = Pipeline(Room(10**6), Matting(slow, MatteSmoother(), lambda: governor.plan.interval), play_at=25.0)
    end = time.monotonic() + 60.0
    with recorder_to() as recorder, pipeline:
        playing = player(pipeline, display, recorder, tmp_path, governor)
        playing.play(Controls(), lambda: governor.plan.interval > 1 or time.monotonic() > end)
        playing.play(display.shown[-1][1], lambda: False, seconds=0.6)
    assert playing.report().plan.interval > 1
    assert "mask on every 2nd frame" in dict(display.shown[-1][2].statistics)["quality"] or (
        "mask on every 3rd frame" in dict(display.shown[-1][2].statistics)["quality"]
    )


def test_each_sink_gets_every_portrait(tmp_path: Path) -> None:
    sinks = NullSink(), NullSink()
    with recorder_to() as recorder, every_frame(Room(4)) as pipeline:
        Player(pipeline, Effects(), NoDisplay(), recorder, sinks=sinks).play(Controls(mirror=True), lambda: False)
    assert [sink.count for sink in sinks] == [4, 4]


SCENE = synthetic_scene(240, 320, seed=1)
INSIDE, OUTSIDE = SCENE.alpha == 1.0, cv2.dilate(SCENE.alpha, np.ones((41, 41), np.uint8)) == 0.0
QUALITIES = pytest.mark.parametrize("quality", list(Quality))


def composed(mode: Mode, quality: Quality, effects: Effects | None = None) -> Rgb:
    return (effects or Effects())(mode, 2.0, quality).compose(SCENE.frame, SCENE.alpha).copy()


@QUALITIES
@pytest.mark.parametrize("mode", [Mode.BLUR, Mode.FAST_BLUR, Mode.COLOUR, Mode.CUT_OUT])
def test_the_subject_stays_as_it_is(mode: Mode, quality: Quality) -> None:
    deep = cv2.erode(INSIDE.astype(np.uint8), np.ones((25, 25), np.uint8)) == 1
    assert np.array_equal(composed(mode, quality)[deep], SCENE.frame[deep])
    assert not np.array_equal(composed(mode, quality)[OUTSIDE], SCENE.frame[OUTSIDE])


@QUALITIES
def test_privacy_keeps_the_background_and_hides_the_person(quality: Quality) -> None:
    frame = SCENE.frame.copy()
    face = np.s_[80:120, 145:175]
    frame[face][::4] = 255  # features
    hidden = Effects()(Mode.PRIVACY, 2.0, quality).compose(frame, SCENE.alpha)
    assert np.array_equal(hidden[OUTSIDE], frame[OUTSIDE])
    assert hidden[face].std(axis=0).mean() < 0.4 * frame[face].std(axis=0).mean()


@QUALITIES
def test_a_colour_and_a_picture_fill_the_background(quality: Quality) -> None:
    effects = Effects((10, 20, 200), PictureBackdrop(np.full((9, 9, 3), 77, np.uint8)))
    assert (composed(Mode.COLOUR, quality, effects)[OUTSIDE] == (10, 20, 200)).all()
    assert (composed(Mode.PICTURE, quality, effects)[OUTSIDE] == 77).all()


def test_a_cut_out_is_shown_on_grey_squares_and_saved_with_its_alpha() -> None:
    effect = Effects()(Mode.CUT_OUT, 2.0, Quality.FULL)
    shown = effect.compose(SCENE.frame, SCENE.alpha)
    assert set(np.unique(shown[OUTSIDE])) == {153, 204}
    still = effect.still(Frame(SCENE.frame, "scene"), SCENE.alpha)
    assert still.alpha is not None
    assert still.alpha[OUTSIDE].max() == 0
    assert still.alpha[cv2.erode(INSIDE.astype(np.uint8), np.ones((25, 25), np.uint8)) == 1].min() == 255


def test_other_modes_are_saved_as_they_are_shown() -> None:
    effect = Effects()(Mode.BLUR, 2.0, Quality.FULL)
    still = effect.still(Frame(SCENE.frame, "scene"), SCENE.alpha)
    assert still.alpha is None
    assert np.array_equal(still.rgb, composed(Mode.BLUR, Quality.FULL))


def test_full_quality_is_another_picture_than_fast() -> None:
    assert not np.array_equal(composed(Mode.BLUR, Quality.FULL), composed(Mode.BLUR, Quality.FAST))
    assert np.array_equal(composed(Mode.FAST_BLUR, Quality.FULL), composed(Mode.FAST_BLUR, Quality.FAST))


def test_a_picture_is_a_mode_only_where_there_is_one() -> None:
    assert Mode.PICTURE not in Effects().modes
    assert Mode.PICTURE in Effects(picture=PictureBackdrop(np.zeros((2, 2, 3), np.uint8))).modes


def test_while_it_plays_the_heap_is_left_alone(tmp_path: Path) -> None:
    frozen = []

    class Looking(NoDisplay):
        def show(self, frame: Rgb, portrait: Rgb, alpha: Alpha, controls: Controls, status: Status) -> None:
            frozen.append(gc.get_freeze_count())

    with recorder_to() as recorder, every_frame(Room(2)) as pipeline:
        player(pipeline, Looking(), recorder, tmp_path).play(Controls(), lambda: False)
    assert min(frozen) > 0
    assert gc.get_freeze_count() == 0


@QUALITIES
def test_privacy_hides_as_strongly_at_any_f_number(quality: Quality) -> None:
    weak, strong = (
        Effects()(Mode.PRIVACY, f_number, quality).compose(SCENE.frame, SCENE.alpha).copy() for f_number in (16.0, 0.5)
    )
    assert np.array_equal(weak, strong)


@QUALITIES
def test_privacy_hides_a_rim_around_the_person(quality: Quality) -> None:
    hidden = Effects()(Mode.PRIVACY, 2.0, quality).compose(SCENE.frame, SCENE.alpha)
    rim = (cv2.dilate(SCENE.alpha, np.ones((5, 5))) > 0.0) & (SCENE.alpha == 0.0)
    far = cv2.dilate(SCENE.alpha, np.ones((61, 61))) == 0.0
    assert (hidden != SCENE.frame).any(axis=2)[rim].mean() > 0.95
    assert np.array_equal(hidden[far], SCENE.frame[far])
