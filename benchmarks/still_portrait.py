"""What the still mode costs in seconds and memory, and what its looks at the mirrored and the enlarged photo gain.

    python benchmarks/still_portrait.py [--data FOLDER] [--video FOLDER] [--runs 3] [--threads 2]

Costs: from a JPEG file to a JPEG file, on the bundled portrait enlarged to 5.4 and 12 megapixels, wall time in a
process of its own with the shipped model, medians; the memory is what is held at most beyond what was held before the
photo was read. Gains: on the validation split of a data set, and where ``--video`` names a folder with ``frames`` and
``masks``, on every fifth frame of it (people who fill a small part of the picture). Writes still_portrait.json beside
this file.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from demo_app.still.background import OutOfFocus
from demo_app.still.photo_file import read_photo, write_photo
from demo_app.still.portrait import StillPortrait
from demo_app.still.search import search
from edge_deeplab.data.bundled import bundled_portrait
from edge_deeplab.data.opening import open_dataset
from edge_deeplab.evaluation.machine import describe_machine
from edge_deeplab.evaluation.metrics import boundary_f, iou, person_mask
from edge_deeplab.files import write_json
from edge_deeplab.image import Rgb, read_mask, read_rgb, resize_map
from edge_deeplab.runtime.opening import open_session
from edge_deeplab.segmenter import Segmenter
from edge_deeplab.weights import shipped_model

Alpha = NDArray[np.float32]
Pair = tuple[Rgb, NDArray[np.bool_]]

MEGAPIXELS = (5.4, 12.0)
F_NUMBERS = (1.4, 2.0, 16.0)


def cost(photo: Path, out: Path, f_number: float, threads: int) -> dict[str, float]:
    """Seconds of each step and MiB of memory, in this process: call it in a fresh one."""
    cv2.setNumThreads(threads)
    with open_session(shipped_model(), threads=threads) as session:
        portrait = StillPortrait(Segmenter(session).coarse, OutOfFocus(f_number))
        portrait(bundled_portrait()[:64, :64])
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        times = [time.perf_counter()]
        rgb, metadata = read_photo(photo)
        times.append(time.perf_counter())
        matte = portrait.matte(rgb)
        times.append(time.perf_counter())
        made = portrait.compose(rgb, matte)
        times.append(time.perf_counter())
        write_photo(out, made, metadata=metadata)
        times.append(time.perf_counter())
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    read, find, compose, write = np.diff(times).tolist()
    return {"read": read, "find": find, "compose": compose, "write": write, "whole": times[-1] - times[0], "MiB": peak}


def costs(runs: int, threads: int) -> dict[str, dict[str, float]]:
    """The medians for every size and aperture."""
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for megapixels in MEGAPIXELS:
            rows, columns = round((megapixels * 1e6 * 3 / 4) ** 0.5), round((megapixels * 1e6 * 4 / 3) ** 0.5)
            photo = Path(folder) / f"{megapixels}.jpg"
            write_photo(photo, cv2.resize(bundled_portrait(), (columns, rows), interpolation=cv2.INTER_CUBIC))  # type: ignore[arg-type]
            for f_number in F_NUMBERS:
                command = [sys.executable, __file__, "--cost", str(photo), str(f_number), str(threads)]
                outputs = [subprocess.run(command, check=True, capture_output=True, text=True) for _ in range(runs)]
                measured = [json.loads(output.stdout) for output in outputs]
                results[f"{megapixels} megapixels, f/{f_number:g}"] = {
                    step: round(statistics.median(one[step] for one in measured), 3) for step in measured[0]
                }
    return results


def gains(pairs: Iterable[Pair], segmenter: Segmenter) -> dict[str, dict[str, float]]:
    """Person IoU and boundary F of one look, both ways, the second look, and the matte at the photo's size."""
    portrait = StillPortrait(segmenter.coarse)
    ways: dict[str, Callable[[Rgb], Alpha]] = {
        "one look": segmenter.coarse,
        "and mirrored": lambda rgb: search(segmenter.coarse, rgb).first,
        "and enlarged": lambda rgb: search(segmenter.coarse, rgb).alpha(*rgb.shape[:2]),
        "refined": lambda rgb: portrait.cut_out(rgb, portrait.matte(rgb))[1] * np.float32(1.0 / 255.0),
    }
    scores: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for rgb, truth in pairs:
        if not truth.any():
            continue
        for way, look in ways.items():
            seen = person_mask(resize_map(look(rgb), *truth.shape))
            scores[way].append((iou(seen, truth), boundary_f(seen, truth)))
    results = {}
    for way, values in scores.items():
        mean = np.mean(values, axis=0).tolist()
        results[way] = {"photos": len(values), "iou": round(mean[0], 4), "boundary_f": round(mean[1], 4)}
    return results


def photos(data: Path, classes: tuple[str, ...]) -> Iterable[Pair]:
    """The validation split."""
    for sample in open_dataset(data, split="val", classes=classes):
        yield sample.image, person_mask(sample.mask)


def frames(folder: Path) -> Iterable[Pair]:
    """Every fifth frame of a film that has masks."""
    for path in sorted((folder / "frames").iterdir())[::5]:
        yield read_rgb(path), read_mask(folder / "masks" / f"{path.stem}.png") > 0


def main() -> int:
    """Measure, print, write; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="data set with a validation split")
    parser.add_argument("--video", type=Path, help="folder with frames and masks")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cost", nargs=3, metavar=("PHOTO", "F", "THREADS"), help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.cost:
        photo = Path(words.cost[0])
        print(json.dumps(cost(photo, photo.with_name("out.jpg"), float(words.cost[1]), int(words.cost[2]))))
        return 0

    console = Console()
    report: dict[str, object] = {
        "machine": describe_machine(["numpy", "opencv-python", "pillow", "ai-edge-litert"]),
        "threads": words.threads,
        "runs": words.runs,
        "costs_s": (measured := costs(words.runs, words.threads)),
    }
    table = Table("photo", "read", "find", "compose", "write", "whole, s", "MiB")
    for name, steps in measured.items():
        table.add_row(name, *(f"{value:.2f}" for value in list(steps.values())[:-1]), f"{steps['MiB']:.0f}")
    console.print(table)

    with open_session(shipped_model(), threads=words.threads) as session:
        segmenter = Segmenter(session)
        for name, pairs in (
            ("photos", photos(words.data, session.classes) if words.data else ()),
            ("video", frames(words.video) if words.video else ()),
        ):
            if not pairs:
                continue
            report[f"gains_{name}"] = measured = gains(pairs, segmenter)
            table = Table(name, "pictures", "person IoU", "boundary F")
            for way, score in measured.items():
                table.add_row(way, str(score["photos"]), f"{score['iou']:.4f}", f"{score['boundary_f']:.4f}")
            console.print(table)
    write_json(Path(__file__).with_suffix(".json"), report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
