"""The web page in a headless Chromium: masks against Python's, bytes, the first mask, and frames a second.

    python benchmarks/web_portrait.py [--film FILE] [--against MODEL.tflite] [--photos FOLDER] [--json FILE]

The camera is a fake one that plays a film at 720p. In the same browser, in turns, it is run by the page with threads,
by the page without (a server that sends no headers of isolation), and by MediaPipe's own web segmenter
(@mediapipe/tasks-vision, on the processor, with the model of --against) behind the same camera and before the same
compositor. Node.js, npm and Chromium must be installed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console

from demo_app.web.server import serving
from demo_app.web.site import write_site
from demo_app.web.vendoring import install
from edge_deeplab.data.bundled import bundled_images, bundled_portrait
from edge_deeplab.evaluation.machine import describe_machine
from edge_deeplab.files import write_json
from edge_deeplab.image import Rgb, list_images, read_rgb, resize_area, write_image
from edge_deeplab.runtime.tflite_session import TfliteSession
from edge_deeplab.segmenter import Segmenter
from edge_deeplab.terminal import number_columns, plain_table
from edge_deeplab.weights import shipped_model

HEIGHT, WIDTH = 720, 1280
FILM_FRAMES = 150
DRIVER = Path(__file__).with_name("web")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--film", type=Path, help="what the camera sees; the bundled photo if it is not given")
    parser.add_argument("--against", type=Path, help="a model for MediaPipe's web segmenter")
    parser.add_argument("--photos", type=Path, help="a folder of photos to compare masks on; variations of one else")
    parser.add_argument("--most", type=int, default=40, help="photos of it at most")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each turn")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()

    chromium = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if chromium is None:
        parser.error("Chromium is not installed")
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        site = place / "site"
        write_site(shipped_model(), site)
        driver = Path(shutil.copytree(DRIVER, place / "driver"))
        install(driver)
        threaded, plain = stack.enter_context(serving(site, 0)), stack.enter_context(serving(site, 0, headers={}))
        pages = {
            "our page": {"address": threaded, "ours": True},
            "our page, 1 thread": {"address": plain, "ours": True},
        }
        if asked.against is not None:
            _add_peer(site / "peer", driver, asked.against)
            pages[f"MediaPipe, {asked.against.stem}"] = {"address": f"{threaded}peer/peer.html", "ours": False}
        photos = _photos(place / "photos", asked.photos, asked.most)
        words = {
            "chromium": chromium,
            "film": str(_camera_film(place / "film.mjpeg", asked.film)),
            "ours": threaded,
            "photos": [{"photo": str(photo), "mask": str(photo.with_suffix(".mask.png"))} for photo in photos],
            "pages": list(pages.values()),
            "seconds": asked.seconds,
            "rounds": asked.rounds,
        }
        done = subprocess.run(
            ["node", "measure.mjs", json.dumps(words)], cwd=driver, stdout=subprocess.PIPE, text=True, check=True
        )
        result = _result(json.loads(done.stdout), list(pages), _agreements(photos), asked)
    _show(result)
    if asked.json is not None:
        write_json(asked.json, result)


def _add_peer(folder: Path, driver: Path, model: Path) -> None:
    package = driver / "node_modules" / "@mediapipe" / "tasks-vision"
    shutil.copytree(package / "wasm", folder / "mediapipe" / "wasm")
    shutil.copy(package / "vision_bundle.mjs", folder / "mediapipe")
    shutil.copy(model, folder / "peer.tflite")
    for name in ("peer.html", "peer.js"):
        shutil.copy(driver / name, folder)


def _photos(folder: Path, given: Path | None, most: int) -> list[Path]:
    """Numbered PNG files, so that decoders cannot differ."""
    pictures: Sequence[Rgb]
    if given is None:
        pictures = [picture for _, picture in bundled_images()]
    else:
        paths = list_images(given)
        pictures = [read_rgb(path) for path in paths[:: max(1, -(-len(paths) // most))]]
    found = [folder / f"{index}.png" for index in range(len(pictures))]
    for path, picture in zip(found, pictures, strict=True):
        write_image(path, picture)
    return found


def _agreements(photos: Sequence[Path]) -> list[float]:
    """For each photo, the share of pixels on which the page's mask and the Python session's say the same."""
    with TfliteSession(shipped_model(), threads=1) as session:
        segmenter = Segmenter(session)
        return [
            float(
                np.mean(
                    (read_rgb(photo.with_suffix(".mask.png"))[:, :, 0] >= 128) == (segmenter(read_rgb(photo)) >= 0.5)
                )
            )
            for photo in photos
        ]


def _camera_film(path: Path, film: Path | None) -> Path:
    """What Chromium's fake camera plays: JPEG pictures in a row."""
    with path.open("wb") as file:
        for frame in _frames(film):
            packed = cv2.imencode(".jpg", resize_area(frame, HEIGHT, WIDTH), [cv2.IMWRITE_JPEG_QUALITY, 92])[1]
            file.write(packed.tobytes())
    return path


def _frames(film: Path | None) -> Iterator[Any]:
    """BGR, uint8."""
    if film is None:
        yield np.ascontiguousarray(bundled_portrait()[:288, :, ::-1])
        return
    capture = cv2.VideoCapture(str(film))
    for _ in range(FILM_FRAMES):
        there, frame = capture.read()
        if not there:
            return
        yield frame


def _result(
    found: Mapping[str, Any], pages: Sequence[str], agreements: Sequence[float], asked: argparse.Namespace
) -> dict[str, Any]:
    def medians(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
        return {name: round(statistics.median(row[name] for row in rows), 1) for name in rows[0]}

    rows = [{"page": page, **medians(turns)} for page, turns in zip(pages, found["turns"], strict=True)]
    for row in rows:
        row["fps_of_the_last"] = round(row["fps"] / rows[-1]["fps"], 2)
    return {
        "machine": describe_machine(["opencv-python"]),
        "browser": f"Chromium {found['browser']}, headless, no GPU",
        "packages": json.loads((DRIVER / "package.json").read_text())["dependencies"],
        "film": "the bundled photo" if asked.film is None else asked.film.name,
        "rounds": asked.rounds,
        "seconds": asked.seconds,
        "photos": len(agreements),
        "agreement": {"least": round(min(agreements), 5), "mean": round(statistics.mean(agreements), 5)},
        "page": medians(found["first"]),
        "rows": rows,
    }


def _show(result: Mapping[str, Any]) -> None:
    console = Console()
    table = plain_table("720p camera, in turns", "page")
    number_columns(table, "frames/s", "of the last", "network, ms", "picture, ms")
    for row in result["rows"]:
        numbers = (row[name] for name in ("fps", "fps_of_the_last", "network_ms", "drawing_ms"))
        table.add_row(row["page"], *map(str, numbers))
    console.print(table)
    page, agreement = result["page"], result["agreement"]
    console.print(
        f"{page['bytes'] / 1e6:.1f} MB, ready after {page['loaded_ms'] / 1000:.1f} s, the first mask "
        f"{page['first_mask_ms'] / 1000:.1f} s after the camera's button; masks agree with Python's on "
        f"{agreement['mean']:.3%} of the pixels of {result['photos']} photos, at least {agreement['least']:.3%}"
    )


if __name__ == "__main__":
    main()
