"""The live portrait from end to end: frames a second, latency, processor time, drops and memory at 720p.

    python benchmarks/live_pipeline.py [--film FILE] [--against MODEL] [--seconds 10] [--rounds 3] [--json FILE]

Two ways of playing are measured, both as ``edge-deeplab demo`` does it: live (a film of 66 frames a second, so that
more than 60 can be seen; the newest frame wins, the governor is on), and every frame as fast as they come. Without
--window everything is drawn that the window would show, statistics included, but not sent to a screen. Another model
goes through the same pipeline, in turns with ours; what counts between them is the processor time per shown frame.
--memory plays 5,000 frames once more.

Two cores: run it as ``taskset -c 0,1 python benchmarks/live_pipeline.py`` on a machine with more.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console

from demo_app.frame import Frame
from demo_app.live.controls import Controls
from demo_app.live.display import Display, NoDisplay
from demo_app.live.effects import Effects
from demo_app.live.governor import Governor
from demo_app.live.inference import Matting
from demo_app.live.overlay import Overlay, Status
from demo_app.live.pipeline import Pipeline
from demo_app.live.player import Player, Report
from demo_app.live.recording import Recorder
from demo_app.live.view import View
from demo_app.live.window import Window
from demo_app.matte import Alpha
from demo_app.nothing_to_close import NothingToClose
from demo_app.sinks.video import VideoSink
from demo_app.sources.video import VideoSource
from demo_app.temporal.smoothing import MatteSmoother
from edge_deeplab.data.bundled import bundled_portrait
from edge_deeplab.evaluation.machine import describe_machine
from edge_deeplab.files import write_json
from edge_deeplab.image import Rgb
from edge_deeplab.runtime.opening import open_any_session
from edge_deeplab.runtime.session import Session
from edge_deeplab.segmenter import Segmenter
from edge_deeplab.terminal import number_columns, plain_table
from edge_deeplab.weights import shipped_model

HEIGHT, WIDTH, FPS = 720, 1280, 66.0
FILM_FRAMES = 300
SETTLED, LONG = 500, 5000  # frames at which the memory is compared


@dataclass(frozen=True)
class Run:
    """One way of playing with one model."""

    report: Report
    cpu_ms: float


class Loop(NothingToClose):
    """A film again and again, until enough frames were given."""

    fps = FPS

    def __init__(self, film: Path, frames: int | None) -> None:
        self._film = film
        self.total = frames

    def __iter__(self) -> Iterator[Frame]:
        return itertools.islice(self._endless(), self.total)

    def _endless(self) -> Iterator[Frame]:
        while True:
            with VideoSource(self._film) as source:
                yield from source


class Drawn(NoDisplay):
    """A display that draws what the window would show, and keeps it to itself; notes the memory now and then."""

    def __init__(self) -> None:
        self._view, self._overlay = View(), Overlay()
        self.memory: list[int] = []

    def show(self, frame: Rgb, portrait: Rgb, alpha: Alpha, controls: Controls, status: Status) -> None:
        self._overlay(self._view(frame, portrait, alpha, controls), controls, status)
        self.memory.append(resident())


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def make_film(path: Path) -> Path:
    """The bundled portrait, moving by a sine along both axes: 720p, 66 frames a second, MPEG-4."""
    large = cv2.resize(bundled_portrait(), (1500, 1500), interpolation=cv2.INTER_CUBIC)
    bgr = cv2.cvtColor(large, cv2.COLOR_RGB2BGR)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), FPS, (WIDTH, HEIGHT))
    for index in range(FILM_FRAMES):
        turn = 2.0 * np.pi * index / FILM_FRAMES
        left, top = round(110 + 100 * np.sin(2 * turn)), round(60 + 40 * np.sin(turn))
        writer.write(np.ascontiguousarray(bgr[top : top + HEIGHT, left : left + WIDTH]))
    writer.release()
    return path


def play(
    film: Path, session: Session, display: Display, *, every_frame: bool, frames: int | None, seconds: float | None
) -> Run:
    """Play as ``edge-deeplab demo`` does, with the statistics on the screen."""
    governor = None if every_frame else Governor(1.0 / FPS)
    segmenter = Segmenter(session)
    matting = Matting(
        segmenter.coarse,
        MatteSmoother(),
        lambda: 1 if governor is None else governor.plan.interval,
        segmenter.shrunk,
    )
    pipeline = Pipeline(Loop(film, frames), matting, every_frame=every_frame, play_at=FPS)
    with Recorder(lambda path: VideoSink(path, FPS), FPS, in_real_time=True) as recorder:
        player = Player(pipeline, Effects(), display, recorder, governor=governor)
        start = time.process_time()
        with pipeline:
            player.play(Controls(statistics=True), lambda: False, seconds)
        cpu = time.process_time() - start
    report = player.report()
    return Run(report, 1000.0 * cpu / max(report.shown, 1))


def summary(runs: Sequence[Run]) -> dict[str, float | str]:
    """Medians over the rounds."""

    def median(values: Iterator[float]) -> float:
        return round(statistics.median(values), 2)

    last = runs[-1].report.plan
    return {
        "fps": median(run.report.fps for run in runs),
        "latency_p50_ms": median(run.report.latency.p50 for run in runs),
        "latency_p95_ms": median(run.report.latency.p95 for run in runs),
        "cpu_ms_per_frame": median(run.cpu_ms for run in runs),
        "dropped_share": round(statistics.median(run.report.dropped / run.report.captured for run in runs), 4),
        "plan": f"{last.quality.value}/{last.interval}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--film", type=Path, help="a 720p film in place of the made one; it is played at 66 a second")
    parser.add_argument("--model", type=Path, default=shipped_model(), help="in place of the shipped one")
    parser.add_argument("--against", type=Path, help="another model through the same pipeline, in turns")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each turn")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each, to take the median of")
    parser.add_argument("--threads", type=int, default=1, help="of the network")
    parser.add_argument("--opencv-threads", type=int, default=1)
    parser.add_argument("--window", action="store_true", help="in a real window")
    parser.add_argument("--memory", action="store_true", help=f"also play {LONG} frames, and compare the memory")
    parser.add_argument("--json", type=Path, help="write the numbers here too")
    arguments = parser.parse_args()
    cv2.setNumThreads(arguments.opencv_threads)

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        film = arguments.film or make_film(folder / "film.mp4")
        sessions = {
            path.name: stack.enter_context(open_any_session(path, threads=arguments.threads))
            for path in (arguments.model, arguments.against)
            if path is not None
        }
        display = stack.enter_context(Window("edge-deeplab: benchmark") if arguments.window else Drawn())
        runs: dict[str, list[Run]] = {}
        for _ in range(arguments.rounds):
            for name, session in sessions.items():
                for way in ("live", "every frame"):
                    run = play(
                        film,
                        session,
                        display,
                        every_frame=way == "every frame",
                        frames=None,
                        seconds=arguments.seconds,
                    )
                    runs.setdefault(f"{name}, {way}", []).append(run)
        results = {name: summary(of_name) for name, of_name in runs.items()}
        memory = None
        if arguments.memory:
            drawn = Drawn()
            play(film, sessions[arguments.model.name], drawn, every_frame=True, frames=LONG, seconds=None)
            memory = {f"rss_mb_at_{count}": round(drawn.memory[count - 1] / 1e6, 1) for count in (SETTLED, LONG)}

    table = plain_table(
        f"{WIDTH}x{HEIGHT}, median of {arguments.rounds} turns of {arguments.seconds:g} s", "model, way"
    )
    number_columns(table, "frames/s", "p50 ms", "p95 ms", "CPU ms/frame", "dropped", "quality")
    for name, result in results.items():
        table.add_row(
            name,
            f"{result['fps']:.1f}",
            f"{result['latency_p50_ms']:.1f}",
            f"{result['latency_p95_ms']:.1f}",
            f"{result['cpu_ms_per_frame']:.2f}",
            f"{result['dropped_share']:.1%}",
            str(result["plan"]),
        )
    Console().print(table)
    ratios = None
    if arguments.against is not None:
        ours, theirs = arguments.model.name, arguments.against.name
        ratios = {
            way: round(
                float(results[f"{ours}, {way}"]["cpu_ms_per_frame"])
                / float(results[f"{theirs}, {way}"]["cpu_ms_per_frame"]),
                3,
            )
            for way in ("live", "every frame")
        }
        Console().print(f"processor time per frame, {ours} : {theirs}:", ratios)
    if memory is not None:
        Console().print("memory, MB:", memory)

    if arguments.json:
        write_json(
            arguments.json,
            {
                "machine": describe_machine(["numpy", "opencv-python", "ai-edge-litert"]),
                "size": [WIDTH, HEIGHT],
                "film": "made" if arguments.film is None else arguments.film.name,
                "threads": {"network": arguments.threads, "opencv": arguments.opencv_threads},
                "display": "window" if arguments.window else "drawn, not shown",
                "rounds": arguments.rounds,
                "seconds": arguments.seconds,
                "results": results,
                "cpu_ratio": ratios,
                "memory": memory,
            },
        )


if __name__ == "__main__":
    main()
