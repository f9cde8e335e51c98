"""``edge-deeplab demo``: the live portrait in a window."""

from __future__ import annotations

import os
import re
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from demo_app.live.controls import Controls, Mode
from edge_deeplab.cli.effect_options import Background, effect_options, open_background
from edge_deeplab.cli.model_options import foreign_model_options, open_model
from edge_deeplab.cli.model_path import model_option

if TYPE_CHECKING:
    from demo_app.live.display import Display
    from demo_app.live.effects import Effects
    from demo_app.live.player import Report
    from edge_deeplab.runtime.foreign.adaptation import Overrides


class _Size(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of click only
    name = "WIDTHxHEIGHT"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", value)
        if found is None or "0" in found.groups():
            self.fail(f"{value!r} is not a size such as 1280x720", param, ctx)
        return int(found[1]), int(found[2])


@click.command()
@click.argument("source", default="0")
@model_option
@click.option(
    "--mode",
    type=click.Choice([mode.value for mode in Mode]),
    help="What is done with the picture: blur, if there is no --background.",
)
@effect_options
@click.option("--size", type=_Size(), help="Of a camera, the scene or raw frames: 1280x720.")
@click.option("--fps", type=click.FloatRange(min=1.0, max=240.0), help="Frames a second of such a source.")
@click.option("--record", type=click.Path(path_type=Path, dir_okay=False), help="Record to this .mp4 from the start.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Where the keys for snapshots and recordings put them; here if not given.",
)
@click.option("--virtual-camera", is_flag=True, help="Be a camera for other programs.")
@click.option("--no-window", is_flag=True, help="Show nothing; Ctrl-C, --seconds or the end of SOURCE ends it.")
@click.option("--seconds", type=click.FloatRange(min=0.0, min_open=True), help="Stop after this long.")
@click.option("--every-frame", is_flag=True, help="Drop no frame and leave nothing out, however long it takes.")
@click.option("--mirror/--no-mirror", default=None, help="Mirror the window; a camera's is, unless told otherwise.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Threads of the network.")
@click.option(
    "--stats-json", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures here at the end."
)
@foreign_model_options
def command(
    source: str,
    model: Path,
    mode: str | None,
    f_number: float,
    background: str | None,
    size: tuple[int, int] | None,
    fps: float | None,
    record: Path | None,
    folder: Path,
    virtual_camera: bool,
    no_window: bool,
    seconds: float | None,
    every_frame: bool,
    mirror: bool | None,
    threads: int,
    stats_json: Path | None,
    overrides: Overrides,
) -> int:
    """Show SOURCE as a live portrait: the person sharp, the background out of focus.

    SOURCE is a camera's number (0 if not given), a video file, a folder or a pattern of pictures (frames/%05d.jpg),
    - for raw RGB frames on standard input, or "scene" for a made one. Press H in the window for its keys.

    What is recorded or sent to the virtual camera is never mirrored. Exit status: 0 for Q, Esc, a closed window and the
    end of SOURCE; 130 for Ctrl-C, 143 for SIGTERM, with the recorded file finished all the same.
    """
    import cv2

    from demo_app.live.display import NoDisplay
    from demo_app.live.governor import CORES, Governor
    from demo_app.live.inference import Matting
    from demo_app.live.pipeline import Pipeline
    from demo_app.live.player import Player
    from demo_app.live.recording import Recorder
    from demo_app.live.screen import require_screen
    from demo_app.live.stopping import StopSignals
    from demo_app.live.window import Window
    from demo_app.sinks.video import VideoSink
    from demo_app.temporal.smoothing import MatteSmoother
    from edge_deeplab.cli.demo_source import open_source
    from edge_deeplab.segmenter import Segmenter

    if record is not None and record.suffix.lower() != ".mp4":
        raise click.UsageError("--record writes .mp4 files: end its name in .mp4.")
    if not no_window:
        require_screen()  # before the camera's light goes on
    cv2.setNumThreads(1)  # each of the demo's threads has a core's worth of work
    with ExitStack() as stack:
        effects, first_mode = _effects(open_background(stack, background), mode)
        session = stack.enter_context(open_model(model, threads=threads, overrides=overrides))
        opened = open_source(source, size, fps, _warn)
        frames = opened.frames
        governor = None if every_frame else Governor(1.0 / frames.fps, cores=os.cpu_count() or CORES)
        segmenter = Segmenter(session)
        matting = Matting(
            segmenter.coarse,
            MatteSmoother(),
            lambda: 1 if governor is None else governor.plan.interval,
            segmenter.shrunk,
        )
        sinks = []
        if virtual_camera:
            from demo_app.sinks.virtual_camera import VirtualCameraSink

            sinks.append(stack.enter_context(VirtualCameraSink(frames.fps)))

        def open_video(place: Path) -> VideoSink:
            # Sound fits to the pictures where all of them are there.
            return VideoSink(place, frames.fps, opened.film if every_frame else None, _warn)

        recorder = stack.enter_context(Recorder(open_video, frames.fps, in_real_time=not every_frame))
        if record is not None:
            recorder.start(record)
        display: Display = NoDisplay() if no_window else Window(f"edge-deeplab: {source}")
        stack.enter_context(display)
        stop = stack.enter_context(StopSignals())
        pipeline = Pipeline(frames, matting, every_frame=every_frame, play_at=None if opened.is_live else frames.fps)
        player = Player(
            pipeline,
            effects,
            display,
            recorder,
            sinks=sinks,
            governor=governor,
            folder=folder,
            about=(("model", model.name), ("runtime", session.runtime)),
        )
        controls = Controls(
            mode=first_mode,
            modes=effects.modes,
            f_number=f_number,
            mirror=opened.is_camera if mirror is None else mirror,
            recording=record is not None,
        )
        with pipeline:
            player.play(controls, lambda: stop.received is not None, seconds)
    report = player.report()
    if stats_json is not None:
        from edge_deeplab.files import write_json

        write_json(stats_json, _figures(report))
    click.echo(_summary(source, report))
    return 0 if stop.received is None else 128 + stop.received


def _warn(line: str) -> None:
    """Say something on standard error that ends nothing."""
    click.echo(f"edge-deeplab: {line}", err=True)


def _effects(background: Background, mode: str | None) -> tuple[Effects, Mode]:
    """The effects with the background that was given, and the mode to begin with."""
    from demo_app.live.effects import CHROMA_GREEN, Effects

    if background.picture is not None:
        first = Mode.PICTURE
    elif mode == Mode.PICTURE.value:
        raise click.UsageError("--mode picture needs a --background.")
    else:
        first = Mode.BLUR if background.colour is None else Mode.COLOUR
    return Effects(background.colour or CHROMA_GREEN, background.picture), first if mode is None else Mode(mode)


def _summary(source: str, report: Report) -> str:
    saved = f"; saved {', '.join(map(str, report.files))}" if report.files else ""
    return (
        f"{source}: {report.shown} frames shown, {report.dropped} of {report.captured} dropped, "
        f"{report.fps:.1f} a second, latency {report.latency.p50:.0f} ms "
        f"(95 % under {report.latency.p95:.0f} ms){saved}"
    )


def _figures(report: Report) -> dict[str, object]:
    return {
        "captured": report.captured,
        "shown": report.shown,
        "dropped": report.dropped,
        "seconds": round(report.seconds, 3),
        "fps": round(report.fps, 2),
        "latency_ms": {"p50": round(report.latency.p50, 2), "p95": round(report.latency.p95, 2)},
        "stage_ms": {name: round(value, 3) for name, value in report.stage_ms.items()},
        "quality": report.plan.quality.value,
        "mask_interval": report.plan.interval,
        "files": [str(path) for path in report.files],
    }
