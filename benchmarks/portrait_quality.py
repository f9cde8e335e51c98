"""How good the portrait effect is: halo, edge, flicker and lag, ours against what one would write first.

    python benchmarks/portrait_quality.py [--peer FILE.tflite] [--film FILE.mp4] [--sequence FOLDER]
                                          [--seeds 5 6] [--json FILE] [--picture FILE.png]

On made films a real person with an exact alpha moves before made backgrounds, and the networks run on them as on any
camera, each on the same films. A real film (--film, its second half) gives the flicker; frames with true masks
(--sequence: FOLDER/frames and FOLDER/masks) give error, dtSSD and lag. --peer is another person model, MediaPipe's
selfie segmenter for example. The constants were tuned on the first half of a film and on the seeds 0 to 4.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from quality_films import HEIGHT, WIDTH, person, play, shots
from quality_methods import NETWORK, Alpha, Method, methods
from quality_picture import quality_picture
from rich.console import Console
from rich.table import Table

from demo_app.aperture import DEFAULT_F_NUMBER, gaussian_sigma
from demo_app.halo import Scene, halo_psnr
from demo_app.sources.video import VideoSource
from edge_deeplab.cli.progress import stage_progress
from edge_deeplab.evaluation.machine import describe_machine
from edge_deeplab.evaluation.matting import gradient_error, mean_absolute_error, mean_squared_error, uncertain_band
from edge_deeplab.evaluation.metrics import Mask, person_mask
from edge_deeplab.evaluation.temporal import dt_ssd, flicker, lag, still_pixels
from edge_deeplab.files import write_json
from edge_deeplab.image import Rgb, list_images, read_mask, read_rgb, write_image
from edge_deeplab.runtime.opening import open_session
from edge_deeplab.segmenter import Segmenter
from edge_deeplab.terminal import number_columns, plain_table
from edge_deeplab.weights import shipped_model

SIGMA = gaussian_sigma(DEFAULT_F_NUMBER, HEIGHT, WIDTH)
STILL, MOVING = ("still", "light flickers"), ("talks", "walks")
PORTRAIT_EVERY = 12  # frames: the exact portrait is a blur at full size
BAND = 4  # pixels on each side of the uncertain ones

Segment = Callable[[Rgb], Alpha]
Row = dict[str, float]


def made_films(segment: Segment, seeds: Sequence[int], progress: Callable[[int, int | None], None]) -> dict[str, Row]:
    """Method to its measures, averaged over the films."""
    cutout = person(HEIGHT, WIDTH)
    found: dict[str, dict[str, list[float]]] = {name: {} for name in methods()}
    motions = shots(WIDTH)
    for turn, seed in enumerate(seeds):
        for index, (motion, instructions) in enumerate(motions.items()):
            progress(turn * len(motions) + index, len(seeds) * len(motions))
            scenes = play(cutout, instructions, seed)
            masks = [segment(scene.frame) for scene in scenes]
            for name, method in methods().items():
                for measure, value in one_film(method, motion, scenes, masks).items():
                    found[name].setdefault(measure, []).append(value)
    return {name: {key: statistics.mean(values) for key, values in row.items()} for name, row in found.items()}


def one_film(method: Method, motion: str, scenes: Sequence[Scene], masks: Sequence[Alpha]) -> Row:
    """The measures that a film of this motion gives for a method."""
    smooth = method.smooth()
    mattes, row = [], {"halo": [], "edge MSE": [], "edge gradient": [], "MAE": []}  # type: ignore[var-annotated]
    for index, (scene, mask) in enumerate(zip(scenes, masks, strict=True)):
        alpha = smooth(scene.frame, mask)
        matte = method.matte(scene.frame, alpha)
        mattes.append(matte)
        row["MAE"].append(mean_absolute_error(matte, scene.alpha))
        if index % PORTRAIT_EVERY == PORTRAIT_EVERY - 1:
            band = uncertain_band(scene.alpha, BAND)
            row["edge MSE"].append(mean_squared_error(matte, scene.alpha, band))
            row["edge gradient"].append(gradient_error(matte, scene.alpha, band))
            row["halo"].append(halo_psnr(method.portrait(scene.frame, alpha), scene, SIGMA))
    means = {key: statistics.mean(values) for key, values in row.items()}
    found = {key: means[key] for key in ("halo", "edge MSE", "edge gradient")} | {f"MAE, {motion}": means["MAE"]}
    exact = [scene.alpha for scene in scenes]
    if motion in STILL:
        found["flicker"] = flicker(mattes, [np.ones((HEIGHT, WIDTH), bool)] * (len(mattes) - 1))
    if motion in MOVING:
        behind = lag(mattes, exact)
        found |= {"dtSSD": dt_ssd(mattes, exact), "lag": behind, f"lag, {motion}": behind}
    return found


def real_film(segment: Segment, frames: Sequence[Rgb]) -> dict[str, Row]:
    """Method to the flicker on a real film."""
    masks = [segment(frame) for frame in frames]
    still = [still_pixels(*pair, NETWORK, NETWORK) for pair in pairwise(frames)]
    return {
        name: {"flicker": flicker(_small_mattes(method, frames, masks), still)} for name, method in methods().items()
    }


def sequence(segment: Segment, frames: Sequence[Rgb], truth: Sequence[Mask]) -> dict[str, Row]:
    """Method to its measures on real frames with true masks."""
    masks = [segment(frame) for frame in frames]
    exact = [_small(mask.astype(np.float32)) for mask in truth]
    rows = {}
    for name, method in methods().items():
        mattes = _small_mattes(method, frames, masks)
        errors = [mean_absolute_error(matte, alpha) for matte, alpha in zip(mattes, exact, strict=True)]
        rows[name] = {"MAE": statistics.mean(errors), "dtSSD": dt_ssd(mattes, exact), "lag": lag(mattes, exact)}
    return rows


def _small_mattes(method: Method, frames: Sequence[Rgb], masks: Sequence[Alpha]) -> list[Alpha]:
    smooth = method.smooth()
    return [
        _small(method.matte(frame, smooth(frame, mask))) for frame, mask in zip(frames, masks, strict=True)
    ]  # fmt: skip


def _small(alpha: Alpha) -> Alpha:
    return cv2.resize(alpha, (NETWORK, NETWORK), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def table(title: str, rows: Mapping[str, Mapping[str, Row]], columns: Mapping[str, tuple[str, float, int]]) -> Table:
    """Model and method by measure; ``columns``: measure to (heading, factor, decimals)."""
    found = plain_table(title, "effect")
    found.columns[0].no_wrap = True
    number_columns(found, *(heading for heading, _, _ in columns.values()))
    for model, of_model in rows.items():
        found.add_section()
        found.add_row(Path(model).stem, style="bold")
        for name, row in of_model.items():
            found.add_row(name, *(f"{row[key] * factor:.{digits}f}" for key, (_, factor, digits) in columns.items()))
    return found


MADE_COLUMNS = {
    "halo": ("halo\ndB", 1.0, 1),
    "edge MSE": ("edge\nMSE", 1e3, 1),
    "edge gradient": ("edge\ngrad", 1e3, 2),
    "flicker": ("flicker", 1e3, 2),
    "dtSSD": ("dtSSD", 1e3, 1),
    "lag": ("lag,\nframes", 1.0, 2),
    "MAE, runs": ("MAE\nruns", 1e3, 1),
}
FILM_COLUMNS = {"flicker": ("flicker", 1e3, 2)}
SEQUENCE_COLUMNS = {"MAE": ("MAE", 1e3, 1), "dtSSD": ("dtSSD", 1e3, 1), "lag": ("lag", 1.0, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peer", type=Path, help="another person model, to run the same effects with")
    parser.add_argument("--film", type=Path, help="a video without cuts: flicker on its second half")
    parser.add_argument("--sequence", type=Path, help="a folder with frames/ and masks/")
    parser.add_argument("--seeds", type=int, nargs="+", default=[5, 6], help="of the made backgrounds")
    parser.add_argument("--json", type=Path, help="write the numbers here too")
    parser.add_argument("--picture", type=Path, help="draw edges and a slice through time here")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)

    console, results = Console(), {}
    with ExitStack() as stack, stage_progress() as progress:
        models: dict[str, Segment] = {}
        for path in [shipped_model(), *([arguments.peer] if arguments.peer else [])]:
            models[path.name] = Segmenter(stack.enter_context(open_session(path, threads=1))).coarse
        made = {
            name: made_films(segment, arguments.seeds, lambda done, total, name=name: progress(name, done, total))
            for name, segment in models.items()
        }
        results["made films"] = made
        console.print(table("Made films with an exact alpha (errors and flicker in 1e-3)", made, MADE_COLUMNS))
        if arguments.film:
            with VideoSource(arguments.film) as source:
                frames = [frame.rgb for frame in source]
            frames = frames[len(frames) // 2 :]
            results["film"] = film = {name: real_film(segment, frames) for name, segment in models.items()}
            console.print(table(f"{arguments.film.name}, second half (1e-3)", film, FILM_COLUMNS))
        if arguments.sequence:
            frames = [read_rgb(path) for path in list_images(arguments.sequence / "frames")]
            truth = [person_mask(read_mask(path)) for path in list_images(arguments.sequence / "masks")]
            results["sequence"] = real = {name: sequence(segment, frames, truth) for name, segment in models.items()}
            console.print(table(f"{arguments.sequence.name} (MAE, dtSSD in 1e-3)", real, SEQUENCE_COLUMNS))
        if arguments.picture:
            write_image(
                arguments.picture, quality_picture(models, play(person(HEIGHT, WIDTH), shots(WIDTH)["talks"], 5))
            )
    if arguments.json:
        write_json(
            arguments.json,
            {
                "machine": describe_machine(["numpy", "opencv-python", "ai-edge-litert"]),
                "seeds": arguments.seeds,
                "size": f"{WIDTH}x{HEIGHT}",
                "f-number": DEFAULT_F_NUMBER,
                "measured": _rounded(results),
            },
        )


def _rounded(results: Mapping[str, Mapping[str, Mapping[str, Row]]]) -> dict[str, object]:
    return {
        part: {
            model: {name: {key: round(value, 5) for key, value in row.items()} for name, row in of_model.items()}
            for model, of_model in of_part.items()
        }
        for part, of_part in results.items()
    }


if __name__ == "__main__":
    main()
