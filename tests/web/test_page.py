"""The page in a browser that nobody here wrote: its masks are the Python session's, and it says what it cannot do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from demo_app.backdrops.backdrop import Backdrop
from demo_app.compositor import Compositor
from demo_app.matte.tighten import tighten
from demo_app.web.server import serving
from edge_deeplab import weights
from edge_deeplab.data.bundled import bundled_portrait
from edge_deeplab.image import Rgb, read_rgb, write_image
from edge_deeplab.runtime.opening import open_session
from edge_deeplab.segmenter import Segmenter

Browse = Callable[..., dict[str, Any]]

pytestmark = pytest.mark.browser

LARGEST_LOAD = 15_000_000  # bytes of everything that the page fetches, the model and the runtime included
FAKE_CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
NO_WEBGL = ["--disable-3d-apis"]


@pytest.fixture(scope="module")
def segmenter() -> Iterator[Segmenter]:
    with open_session(weights.shipped_model()) as session:
        yield Segmenter(session)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    write_image(path, bundled_portrait())
    return path


@pytest.fixture
def plain_address(site: Path) -> Iterator[str]:
    """The site as an ordinary server serves it, without the headers of isolation."""
    with serving(site, 0, headers={}) as place:
        yield place


def agreement(mask: Rgb, expected: NDArray[np.float32]) -> float:
    """The share of pixels on which a snapshot of the mask and a probability map say the same."""
    assert mask.shape[:2] == expected.shape
    return float(np.mean((mask[:, :, 0] >= 128) == (expected >= 0.5)))


@pytest.fixture
def reference(segmenter: Segmenter, plain_blur: Callable[[float, int, int], Backdrop]) -> Rgb:
    """The photo at f/2 by the desktop's compositor, without what the page leaves out: highlights and refinement."""
    picture = bundled_portrait()
    alpha = tighten(picture, segmenter.coarse(picture))
    return Compositor(plain_blur(2.0, *picture.shape[:2]), refine=False)(picture, alpha)


def test_a_photo_becomes_the_portrait_that_python_makes(
    browse: Browse, address: str, photo: Path, segmenter: Segmenter, reference: Rgb, tmp_path: Path, screenshots: Path
) -> None:
    mask, portrait, compared = (tmp_path / f"{name}.png" for name in ("mask", "portrait", "compared"))
    found = browse(
        "photo",
        address=address,
        photo=photo,
        label="photo.png",
        mask=mask,
        portrait=portrait,
        compared=compared,
        screenshot=screenshots / "photo.png",
    )
    assert found["errors"] == []
    assert "WebGL2" in found["status"]
    assert any("litert_wasm_threaded" in place for place in found["requests"]) == (found["cores"] > 1)
    assert all(place.startswith((address, f"blob:{address}")) for place in found["requests"])
    assert 5_000_000 < found["loaded"] < LARGEST_LOAD

    picture = bundled_portrait()
    assert agreement(read_rgb(mask), segmenter(picture)) >= 0.99
    assert cv2.PSNR(read_rgb(portrait), reference) > 46.0

    # A file that is no picture is refused by its name, and the photo stays on the stage; left of the divider, as it is.
    (note,) = found["notes"]
    assert "notes.txt" in note
    assert found["after"] == "photo.png"
    half = picture.shape[1] // 2
    assert np.array_equal(read_rgb(compared)[:, : half - 2], picture[:, : half - 2])
    assert np.array_equal(read_rgb(compared)[:, half + 2 :], read_rgb(portrait)[:, half + 2 :])


def test_the_camera_runs_through_the_network(
    browse: Browse,
    address: str,
    camera_film: Path,
    lying_photo: Rgb,
    segmenter: Segmenter,
    tmp_path: Path,
    screenshots: Path,
) -> None:
    mask = tmp_path / "mask.png"
    found = browse(
        "camera",
        address=address,
        options=[*FAKE_CAMERA, f"--use-file-for-fake-video-capture={camera_film}"],
        permissions=["camera"],
        mask=mask,
        screenshot=screenshots / "camera.png",
    )
    assert found["errors"] == []
    assert found["notes"] == []
    assert found["mirrored"]
    assert agreement(read_rgb(mask), segmenter(lying_photo)) >= 0.99


@pytest.mark.parametrize(
    ("options", "sentence"), [([], "There is no camera"), (["--use-fake-device-for-media-stream"], "was refused")]
)
def test_no_camera_is_said_and_the_photo_stays(browse: Browse, address: str, options: list[str], sentence: str) -> None:
    found = browse("refused", address=address, options=options, permissions=[])
    (note,) = found["notes"]
    assert sentence in note
    assert "photo" in note
    assert found["after"] == "the photo of this page"
    assert found["errors"] == []


def test_a_poor_browser_gives_the_same_portrait_and_says_what_it_lacks(
    browse: Browse,
    plain_address: str,
    photo: Path,
    segmenter: Segmenter,
    reference: Rgb,
    tmp_path: Path,
    screenshots: Path,
) -> None:
    """Neither shared memory nor WebGL2."""
    mask, portrait, compared = (tmp_path / f"{name}.png" for name in ("mask", "portrait", "compared"))
    found = browse(
        "photo",
        address=plain_address,
        options=NO_WEBGL,
        photo=photo,
        label="photo.png",
        mask=mask,
        portrait=portrait,
        compared=compared,
        screenshot=screenshots / "poor.png",
    )
    assert found["errors"] == []
    assert any("SharedArrayBuffer" in note for note in found["notes"])
    assert any("WebGL2" in note for note in found["notes"])
    assert "1 thread" in found["status"]
    assert "2D canvas" in found["status"]
    picture = bundled_portrait()
    assert agreement(read_rgb(mask), segmenter(picture)) >= 0.99
    assert cv2.PSNR(read_rgb(portrait), reference) > 46.0
