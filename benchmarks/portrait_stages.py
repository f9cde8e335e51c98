"""What each stage of the portrait effect costs at 720p on one thread, and how much halo it leaves.

    python benchmarks/portrait_stages.py [--runs 200] [--json FILE]

Processor time of the one thread, stage after stage in rounds, so that another program disturbs them alike; the last
column is the ratio to a plain full-size Gaussian blur of the same strength in the same run. A busy machine still slows
the stages, which wait for memory, more than that blur.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from machine import describe_machine
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from demo_app.aperture import DEFAULT_F_NUMBER, gaussian_sigma
from demo_app.backdrops.gaussian import GaussianBlur
from demo_app.compositor import MIX_ROWS, Compositor, mix
from demo_app.halo import Scene, halo_psnr, plain_portrait, synthetic_scene
from demo_app.matte.photo import refine
from demo_app.matte.tighten import tighten
from edge_deeplab.image import resize_area

HEIGHT, WIDTH, NETWORK = 720, 1280, 256
SIGMA = gaussian_sigma(DEFAULT_F_NUMBER, HEIGHT, WIDTH)
PLAIN = "plain Gaussian blur at full size"
WHOLE = "compositor, whole"


def stages(scene: Scene) -> dict[str, Callable[[], object]]:
    """The stages by name, each ready to be called again and again on buffers of its own."""
    frame = scene.frame
    alpha: NDArray[np.float32] = cv2.resize(scene.alpha, (NETWORK, NETWORK), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    coverage: NDArray[np.uint8] = cv2.convertScaleAbs(alpha, alpha=255.0)  # type: ignore[assignment]
    blur = GaussianBlur()
    small = blur(frame, coverage).copy()
    background = np.empty_like(frame)
    full = np.empty((HEIGHT, WIDTH), np.uint8)
    cv2.resize(coverage, (WIDTH, HEIGHT), dst=full)
    left, top, columns, rows = cv2.boundingRect(full)
    box = np.s_[top : top + rows, left : left + columns]
    spare, spare_coverage = np.empty((2, MIX_ROWS, WIDTH, 3), np.uint8)
    plain = np.empty_like(frame)
    compose = Compositor()

    def stretch() -> None:
        cv2.resize(small, (WIDTH, HEIGHT), dst=background, interpolation=cv2.INTER_CUBIC)
        cv2.resize(coverage, (WIDTH, HEIGHT), dst=full, interpolation=cv2.INTER_LINEAR)

    return {
        PLAIN: lambda: cv2.GaussianBlur(frame, (0, 0), SIGMA, dst=plain),
        f"frame to {NETWORK}x{NETWORK}": lambda: resize_area(frame, NETWORK, NETWORK),
        "matte, tightened": lambda: tighten(frame, alpha),
        "background: shrink, weigh, blur, divide": lambda: blur(frame, coverage),
        "background and matte stretched": stretch,
        f"mix on the subject's box ({rows * columns / full.size:.0%})": lambda: mix(
            frame[box], background[box], full[box], spare, spare_coverage
        ),
        WHOLE: lambda: compose(frame, alpha),
        "matte refined by the guided filter (photos)": lambda: refine(frame, alpha),
    }


def median_ms(work: dict[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """Median milliseconds of each, over rounds that go through all of them."""
    times: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(runs + 3):  # the first rounds touch the buffers for the first time
        for name, call in work.items():
            start = time.thread_time()
            call()
            if turn >= 3:
                times[name].append((time.thread_time() - start) * 1000.0)
    return {name: statistics.median(values) for name, values in times.items()}


def halo(seeds: range) -> dict[str, float]:
    """Mean PSNR in the ring around the subject, in dB, over several backgrounds."""
    compose = Compositor()
    scores: dict[str, list[float]] = {"plain blur": [], "plain blur in linear light": [], "ours": []}
    for seed in seeds:
        scene = synthetic_scene(HEIGHT, WIDTH, seed)
        alpha: NDArray[np.float32] = cv2.resize(scene.alpha, (NETWORK, NETWORK), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        scores["plain blur"].append(halo_psnr(plain_portrait(scene, SIGMA), scene, SIGMA))
        scores["plain blur in linear light"].append(halo_psnr(plain_portrait(scene, SIGMA, linear=True), scene, SIGMA))
        scores["ours"].append(halo_psnr(compose(scene.frame, alpha), scene, SIGMA))
    return {name: statistics.mean(values) for name, values in scores.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=200, help="rounds to take the median of")
    parser.add_argument("--json", type=Path, help="write the numbers here too")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)

    times = median_ms(stages(synthetic_scene(HEIGHT, WIDTH, seed=0)), arguments.runs)
    table = Table(title=f"{WIDTH}x{HEIGHT}, one thread, median of {arguments.runs}")
    table.add_column("stage")
    table.add_column("ms", justify="right")
    table.add_column("of plain blur", justify="right")
    for name, value in times.items():
        table.add_row(name, f"{value:.2f}", f"{value / times[PLAIN]:.3f}")
    ring = halo(range(5))
    halo_table = Table(title="Ring around the subject, against the exact portrait")
    halo_table.add_column("blur")
    halo_table.add_column("PSNR, dB", justify="right")
    for name, value in ring.items():
        halo_table.add_row(name, f"{value:.1f}")
    Console().print(table, halo_table)

    if arguments.json:
        record = {
            "machine": describe_machine(["numpy", "opencv-python"]),
            "runs": arguments.runs,
            "stage_ms": {name: round(value, 3) for name, value in times.items()},
            "halo_psnr_db": {name: round(value, 2) for name, value in ring.items()},
        }
        arguments.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
