"""The main thread's loop: takes mattes, composes, shows, records, and does what the keys say."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from demo_app.frame import Frame
from demo_app.live.controls import Command, Controls
from demo_app.live.display import Display
from demo_app.live.effects import Effects
from demo_app.live.garbage import settled_heap
from demo_app.live.governor import PLANS, Governor, Plan, Quality
from demo_app.live.mailbox import Ended
from demo_app.live.overlay import Status
from demo_app.live.pipeline import Matted, Pipeline
from demo_app.live.recording import Recorder, free_path
from demo_app.live.statistics import Latency, Statistics
from demo_app.sinks.photo import PhotoSink
from demo_app.sinks.sink import Sink
from edge_deeplab.errors import OutputError

# Without frames the window still answers: keys are looked at this often. OpenCV keeps one key only: one that is pressed
# before the last was fetched takes its place.
_IDLE_SECONDS = 0.01
_NOTICE_SECONDS, _STATISTICS_SECONDS = 2.5, 0.25


@dataclass(frozen=True)
class Report:
    """What was done, for the line at the end.

    Attributes:
        captured: frames that the source gave: those shown and those dropped.
        shown: frames that were composed and shown.
        dropped: frames that nobody saw, because a newer one was there.
        seconds: from the first look for a frame to the end.
        fps: frames shown a second.
        latency: from capture to display.
        stage_ms: milliseconds of each stage, smoothed over the last frames.
        plan: in force at the end.
        files: recordings and snapshots that were made on request.
    """

    captured: int
    shown: int
    dropped: int
    seconds: float
    fps: float
    latency: Latency
    stage_ms: dict[str, float]
    plan: Plan
    files: tuple[Path, ...]


class Player:
    """Plays a pipeline until its source ends, a person quits, or it is told to stop.

    Args:
        pipeline: entered already.
        effects: makes the compositors.
        display: where the pictures go, entered already.
        recorder: what records them.
        sinks: entered already; each gets every portrait, at the rate at which they are shown.
        governor: decides what is left out on a slow machine; None: nothing ever.
        folder: where recordings and snapshots go that are made by a key.
        about: (name, text) for the panel of statistics: the model, the runtime.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        effects: Effects,
        display: Display,
        recorder: Recorder,
        *,
        sinks: Sequence[Sink] = (),
        governor: Governor | None = None,
        folder: Path = Path(),
        about: Sequence[tuple[str, str]] = (),
    ) -> None:
        self._pipeline = pipeline
        self._effects = effects
        self._display = display
        self._recorder = recorder
        self._sinks = sinks
        self._governor = governor
        self._folder = folder
        self._about = tuple(about)
        self._statistics = Statistics()
        self._seconds = 0.0
        self._dropped = 0
        self._rows: tuple[tuple[str, str], ...] = ()
        self._rows_due = 0.0
        self._notice, self._notice_until = "", 0.0
        self._files: list[Path] = []
        self._last: Matted | None = None

    def play(self, controls: Controls, stopped: Callable[[], bool], seconds: float | None = None) -> None:
        """Play.

        Args:
            controls: the state to begin with.
            stopped: asked often; True ends the loop after the frame that is being shown.
            seconds: end after this long; None: never.

        Raises:
            EdgeDeeplabError: what broke the source or another stage, after the last good frame was shown.
        """
        start = time.perf_counter()
        self._say("H: help", start)
        try:
            with settled_heap():
                self._loop(controls, stopped, math.inf if seconds is None else start + seconds)
        finally:
            self._seconds = time.perf_counter() - start
        recorded = self._recorder.stop()
        if recorded is not None:
            self._files.append(recorded)

    def _loop(self, controls: Controls, stopped: Callable[[], bool], until: float) -> None:
        while not stopped() and time.perf_counter() < until:
            controls, commands = self._obey(controls)
            if Command.QUIT in commands:
                break
            try:
                matted = self._pipeline.take(_IDLE_SECONDS)
            except Ended:
                break
            if matted is not None:
                self._show(matted, controls)

    def _obey(self, before: Controls) -> tuple[Controls, list[Command]]:
        controls, commands = self._display.poll(before)
        now = time.perf_counter()
        if Command.SNAPSHOT in commands and self._last is not None:
            self._snapshot(self._last, before, now)
        if controls.recording != before.recording:
            if controls.recording:
                self._recorder.start(free_path(self._folder, ".mp4"))
            elif (recorded := self._recorder.stop()) is not None:
                self._keep(recorded, now)
        if controls.mode is not before.mode:
            self._say(controls.mode.value, now)
        elif controls.f_number != before.f_number:
            self._say(f"f/{controls.f_number:g}", now)
        return controls, commands

    def _snapshot(self, matted: Matted, controls: Controls, now: float) -> None:
        path = free_path(self._folder, ".png")
        effect = self._effects(controls.mode, controls.f_number, self._plan.quality)
        try:
            with PhotoSink(path) as sink:
                sink.write(effect.still(matted.captured.frame, matted.alpha))
        except OutputError as error:  # no reason to end a call
            self._say(str(error), now)
        else:
            self._keep(path, now)

    def _keep(self, path: Path, now: float) -> None:
        self._files.append(path)
        self._say(f"saved {path.name}", now)

    def _say(self, notice: str, now: float) -> None:
        self._notice, self._notice_until = notice, now + _NOTICE_SECONDS

    def _show(self, matted: Matted, controls: Controls) -> None:
        plan = self._plan
        frame, start = matted.captured.frame, time.perf_counter()
        effect = self._effects(controls.mode, controls.f_number, plan.quality)
        portrait = effect.compose(frame.rgb, matted.alpha)
        composed = time.perf_counter()
        self._last, out = matted, replace(frame, rgb=portrait)
        self._recorder.write(out, composed)
        for sink in self._sinks:
            sink.write(out)
        recorded = time.perf_counter()
        status = Status(
            statistics=self._statistics_rows(frame, controls, plan, composed) if controls.statistics else (),
            notice=self._notice if composed < self._notice_until else "",
            recorded_seconds=self._recorder.seconds,
        )
        self._display.show(frame.rgb, portrait, matted.alpha, controls, status)
        shown = time.perf_counter()

        self._statistics.note(captured_at=matted.captured.time, shown_at=shown)
        stages = {"mask" if matted.by_network else "between": matted.seconds}
        if self._recorder.is_on or self._sinks:
            stages["write"] = recorded - composed
        self._statistics.note_stages(
            read=matted.captured.seconds, compose=composed - start, show=shown - recorded, **stages
        )
        if self._governor is not None:
            self._governor.note(
                capture=matted.captured.seconds,
                matte=matted.seconds,
                by_network=matted.by_network,
                show=shown - start,
                dropped=self._newly_dropped(),
            )
            decided = self._governor.decide(shown)
            if decided != plan:
                self._say(_in_words(decided), shown)

    def _newly_dropped(self) -> int:
        before, self._dropped = self._dropped, self._pipeline.dropped
        return self._dropped - before

    def _statistics_rows(self, frame: Frame, controls: Controls, plan: Plan, now: float) -> tuple[tuple[str, str], ...]:
        """Set again four times a second: faster, nobody can read it."""
        if now >= self._rows_due or not self._rows:
            self._rows_due = now + _STATISTICS_SECONDS
            latency = self._statistics.latency()
            stages = ", ".join(f"{name} {value:.0f}" for name, value in self._statistics.stage_ms.items())
            self._rows = (
                ("frames", f"{self._statistics.fps():.1f} a second, {frame.rgb.shape[1]} x {frame.rgb.shape[0]}"),
                ("latency", f"{latency.p50:.0f} ms, 95 % under {latency.p95:.0f} ms"),
                ("dropped", f"{self._pipeline.dropped} of {self._pipeline.captured}"),
                ("stages", f"{stages} ms"),
                ("mode", f"{controls.mode.value}, f/{controls.f_number:g}"),
                ("quality", _in_words(plan)),
                *self._about,
            )
        return self._rows

    @property
    def _plan(self) -> Plan:
        return PLANS[0] if self._governor is None else self._governor.plan

    def report(self) -> Report:
        """What was done. The counts add up once the pipeline was left."""
        return Report(
            captured=self._pipeline.captured,
            shown=self._statistics.shown,
            dropped=self._pipeline.dropped,
            seconds=self._seconds,
            fps=self._statistics.shown / max(self._seconds, 1e-9),
            latency=self._statistics.latency_of_all(),
            stage_ms=self._statistics.stage_ms,
            plan=self._plan,
            files=tuple(self._files),
        )


def _in_words(plan: Plan) -> str:
    quality = "full" if plan.quality is Quality.FULL else "fast (slow machine)"
    masks = {1: "every frame", 2: "every 2nd frame", 3: "every 3rd frame"}[plan.interval]
    return f"{quality}, mask on {masks}"
