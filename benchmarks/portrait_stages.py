"""What each stage of the portrait effect costs at 720p on one thread, and how much halo it leaves.

    python benchmarks/portrait_stages.py [--runs 200] [--json FILE]

Processor time of the one thread, all stages in turns, so that another program disturbs them alike; the last column is
the ratio to a plain full-size Gaussian blur of the same strength in the same run. A busy machine still slows the
stages, which wait for memory, more than that blur.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from demo_app.aperture import DEFAULT_F_NUMBER, gaussian_sigma
from demo_app.backdrops.disc import DiscBlur
from demo_app.backdrops.gaussian import GaussianBlur
from demo_app.compositor import Compositor
from demo_app.halo import Scene, halo_psnr, plain_portrait, synthetic_scene
from demo_app.layers import MIX_TILE, RefinedLayers, StretchedLayers, stretch
from demo_app.matte.cells import shrink_by
from demo_app.matte.foreground import Decontaminator
from demo_app.matte.guided_filter import coefficients
from demo_app.matte.live import LiveRefiner
from demo_app.matte.tighten import tighten
from demo_app.matte.tiles import partition
from edge_deeplab.artifact import load_artifact
from edge_deeplab.evaluation.latency.clock import Clocks, timed
from edge_deeplab.evaluation.latency.rounds import take_turns
from edge_deeplab.evaluation.machine import describe_machine
from edge_deeplab.image import resize_area
from edge_deeplab.weights import shipped_model

HEIGHT, WIDTH, NETWORK = 720, 1280, load_artifact(shipped_model()).spec.height  # a square
SIGMA = gaussian_sigma(DEFAULT_F_NUMBER, HEIGHT, WIDTH)
PLAIN = "plain Gaussian blur at full size"


def network_alpha(scene: Scene) -> NDArray[np.float32]:
    """The exact coverage at the network's size, as soft as a network's edge."""
    small = cv2.resize(scene.alpha, (NETWORK, NETWORK), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(small, (0, 0), 1.5)  # type: ignore[return-value]


def stages(scene: Scene) -> tuple[dict[str, Callable[[], object]], dict[str, float]]:
    """The stages by name, each ready to be called again and again on buffers of its own; and shares of the frame."""
    frame = scene.frame
    alpha = tighten(frame, network_alpha(scene))
    refiner = LiveRefiner(HEIGHT, WIDTH)
    matte = refiner(frame, alpha)
    small: NDArray[np.uint8] = cv2.convertScaleAbs(matte.given, alpha=255.0)  # type: ignore[assignment]
    tight: NDArray[np.uint8] = cv2.convertScaleAbs(alpha, alpha=255.0)  # type: ignore[assignment]
    decontaminator = Decontaminator(refiner.grid)
    gaussian, disc = GaussianBlur(), DiscBlur()
    blurred = gaussian(frame, small).copy()
    out, plain = np.empty_like(frame), np.empty_like(frame)
    refined, stretched = RefinedLayers(HEIGHT, WIDTH), StretchedLayers(HEIGHT, WIDTH)
    refined.separate(frame, alpha)
    stretched.separate(frame, alpha)

    full, full_gaussian = Compositor(), Compositor(GaussianBlur())
    fast = Compositor(GaussianBlur(), refine=False)
    work: dict[str, Callable[[], object]] = {
        PLAIN: lambda: cv2.GaussianBlur(frame, (0, 0), SIGMA, dst=plain),
        f"frame to {NETWORK}x{NETWORK}": lambda: resize_area(frame, NETWORK, NETWORK),
        "matte, tightened": lambda: tighten(frame, alpha),
        "refinement: frame to cells": lambda: shrink_by(frame, refiner.grid.cell),
        "refinement: coefficients, all cells": lambda: coefficients(matte.colours, matte.given, 2),
        "refinement, whole, with the affine cells": lambda: refiner(frame, alpha),
        "decontamination: colours of both sides": lambda: decontaminator.learn(matte),
        "backdrop: Gaussian": lambda: gaussian(frame, small),
        "backdrop: disc": lambda: disc(frame, small),
        "backdrop stretched": lambda: stretch(blurred, out),
        "over it: stretched, decontaminated, mixed": lambda: refined.over(frame, blurred),
        "fast: find the tiles": lambda: partition(tight, MIX_TILE, HEIGHT, WIDTH),
        "fast: alpha stretched, with the tiles": lambda: stretched.separate(frame, alpha),
        "fast: over it: stretched, mixed": lambda: stretched.over(frame, blurred),
        "compositor, full: refined, disc": lambda: full(frame, alpha),
        "compositor, refined, Gaussian": lambda: full_gaussian(frame, alpha),
        "compositor, fast: not refined, Gaussian": lambda: fast(frame, alpha),
    }
    partly = float(np.mean((refined.coverage > 0) & (refined.coverage < 255)))
    shares = {"evaluated": float(matte.evaluated.mean()), "mixed": float(matte.partly.mean()), "partly covered": partly}
    return work, shares


def median_ms(work: dict[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """Median milliseconds of each, over rounds that go through all of them."""
    clocks = Clocks(processor=time.thread_time)
    # The first rounds touch the buffers for the first time.
    seconds = take_turns([partial(timed, call, clocks) for call in work.values()], warm_up=3, runs=runs, seed=0)
    return dict(zip(work, (np.median(seconds.processor, axis=0) * 1e3).tolist(), strict=True))


def halo(seeds: range) -> dict[str, float]:
    """Mean PSNR in the ring around the subject, in dB, over several backgrounds."""
    full, fast = Compositor(GaussianBlur()), Compositor(GaussianBlur(), refine=False)
    scores: dict[str, list[float]] = {name: [] for name in ("plain blur", "plain blur in linear light", "full", "fast")}
    for seed in seeds:
        scene = synthetic_scene(HEIGHT, WIDTH, seed)
        alpha = tighten(scene.frame, network_alpha(scene))
        scores["plain blur"].append(halo_psnr(plain_portrait(scene, SIGMA), scene, SIGMA))
        scores["plain blur in linear light"].append(halo_psnr(plain_portrait(scene, SIGMA, linear=True), scene, SIGMA))
        scores["full"].append(halo_psnr(full(scene.frame, alpha), scene, SIGMA))
        scores["fast"].append(halo_psnr(fast(scene.frame, alpha), scene, SIGMA))
    return {name: statistics.mean(values) for name, values in scores.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=200, help="rounds to take the median of")
    parser.add_argument("--json", type=Path, help="write the numbers here too")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)

    work, shares = stages(synthetic_scene(HEIGHT, WIDTH, seed=0))
    times = median_ms(work, arguments.runs)
    parts = ", ".join(f"{share:.1%} {name}" for name, share in shares.items())
    table = Table(title=f"{WIDTH}x{HEIGHT}, one thread, median of {arguments.runs}; of the frame: {parts}")
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
            "share_of_frame": {name: round(value, 4) for name, value in shares.items()},
            "halo_psnr_db": {name: round(value, 2) for name, value in ring.items()},
        }
        arguments.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
