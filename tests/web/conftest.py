"""The site, a web server, and a browser on it: Chromium, driven by node through playwright-core, which npm fetches."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from demo_app.aperture import disc_radius
from demo_app.backdrops.disc import LIVE_SAMPLING, disc_kernel, kernel_of_variance
from demo_app.backdrops.normalised_blur import NormalisedBlur, remaining_variance, shrink_factor
from demo_app.web.server import serving
from demo_app.web.site import write_site
from demo_app.web.vendoring import install
from edge_deeplab import weights
from edge_deeplab.data.bundled import bundled_portrait
from edge_deeplab.image import Rgb

DRIVER = Path(__file__).with_name("driver")
PAGE = Path(__file__).resolve().parents[2] / "demo_app" / "web" / "page"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

Browse = Callable[..., dict[str, Any]]
Compute = Callable[..., bytes]


def program(*names: str, install: str) -> str:
    """The path of the first of some programs that is installed; none: the test is skipped with this advice."""
    for name in names:
        path = shutil.which(name)
        if path is not None:
            return path
    pytest.skip(f"{names[0]} is not installed: {install}")


@pytest.fixture(scope="session")
def node() -> str:
    """Node.js, with npm beside it."""
    program("npm", install="install Node.js 20 or newer")
    return program("node", install="install Node.js 20 or newer")


@pytest.fixture(scope="session")
def site(node: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site with the shipped model. Do not change it: copy it."""
    folder = tmp_path_factory.mktemp("web") / "site"
    write_site(weights.shipped_model(), folder)
    return folder


@pytest.fixture(scope="session")
def address(site: Path) -> Iterator[str]:
    """Where the site is served with the headers of isolation."""
    with serving(site, 0) as place:
        yield place


@pytest.fixture(scope="session")
def browse(node: str, tmp_path_factory: pytest.TempPathFactory) -> Browse:
    """Runs a scenario of the driver in a browser of its own: what it asks for, and what it found."""
    chromium = program(*BROWSERS, install="apt install chromium")
    folder = tmp_path_factory.mktemp("driver")
    shutil.copytree(DRIVER, folder, dirs_exist_ok=True)
    install(folder)

    def run(scenario: str, **asked: object) -> dict[str, Any]:
        words = [node, f"{scenario}.mjs", json.dumps({"chromium": chromium, **asked}, default=str)]
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return run


@pytest.fixture(scope="session")
def compute(tmp_path_factory: pytest.TempPathFactory) -> Compute:
    """Calls a function of the page's arithmetic by its name in ``arithmetic.mjs``: bytes in, bytes out."""
    node = program("node", install="install Node.js 20 or newer")
    folder = tmp_path_factory.mktemp("arithmetic")
    shutil.copytree(PAGE, folder / "page")
    for name in ("arithmetic.mjs", "package.json"):
        shutil.copy(DRIVER / name, folder)

    def run(name: str, pixels: bytes = b"", **arguments: float | Sequence[str]) -> bytes:
        (folder / "call.json").write_text(json.dumps({"name": name, **arguments}))
        (folder / "pixels.bin").write_bytes(pixels)
        done = subprocess.run(
            [node, "arithmetic.mjs", "."], cwd=folder, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return (folder / "result.bin").read_bytes()

    return run


@pytest.fixture(scope="session")
def lying_photo() -> Rgb:
    """The bundled photo's upper part, as a camera would see it: RGB, uint8, 360x640x3."""
    picture: Rgb = cv2.resize(bundled_portrait()[:288], (640, 360), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return np.ascontiguousarray(picture)


@pytest.fixture(scope="session")
def camera_film(lying_photo: Rgb, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The photo as a film that stands still, for Chromium's fake camera: a second of JPEG pictures in a row."""
    path = tmp_path_factory.mktemp("film") / "camera.mjpeg"
    packed = cv2.imencode(".jpg", lying_photo[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    path.write_bytes(packed * 30)
    return path


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    """Where screenshots go: EDGE_DEEPLAB_SCREENSHOTS for those who want to look at them."""
    return Path(os.environ.get("EDGE_DEEPLAB_SCREENSHOTS", tmp_path))


@pytest.fixture(scope="session")
def disc() -> Callable[[float, int, int], tuple[int, NDArray[np.float32]]]:
    """f-number, height and width to what :class:`demo_app.backdrops.disc.DiscBlur` does: shrink factor and kernel."""

    def of(f_number: float, height: int, width: int) -> tuple[int, NDArray[np.float32]]:
        radius = disc_radius(f_number, height, width)
        factor = shrink_factor(radius, LIVE_SAMPLING, height, width)
        if factor > 1 and radius / factor < 2.0:
            return factor, kernel_of_variance(remaining_variance(radius**2 / 4.0, factor))
        return factor, disc_kernel(radius / factor)

    return of


@pytest.fixture(scope="session")
def plain_blur(
    disc: Callable[[float, int, int], tuple[int, NDArray[np.float32]]],
) -> Callable[[float, int, int], NormalisedBlur]:
    """f-number, height and width to the desktop's backdrop as the page has it: a disc without highlights."""

    def of(f_number: float, height: int, width: int) -> NormalisedBlur:
        factor, kernel = disc(f_number, height, width)

        def spread(values: NDArray[np.float32], out: NDArray[np.float32]) -> None:
            cv2.filter2D(values, -1, kernel, dst=out)

        return NormalisedBlur(height, width, factor, spread)

    return of
