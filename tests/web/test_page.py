"""The page in a browser that nobody here wrote: its masks are the Python session's, and it says what it cannot do."""

from __future__ import annotations

import re
import wave
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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
NO_CAMERA: list[str] = []
CAMERA = ["--use-fake-device-for-media-stream"]  # which asks for permission
FAKE_CAMERA = [*CAMERA, "--use-fake-ui-for-media-stream"]
TYPES = {".webm": "video/webm", ".mp4": "video/mp4", ".jpg": "image/jpeg"}  # as a browser says of a dropped file
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


@dataclass(frozen=True)
class Opened:
    """What the page made of the bundled photo: what the scenario found, and the snapshots of its views."""

    found: dict[str, Any]
    mask: Rgb
    portrait: Rgb
    compared: Rgb


@pytest.fixture
def open_photo(browse: Browse, photo: Path, tmp_path: Path, screenshots: Path) -> Callable[..., Opened]:
    """Address and Chromium's options to what the page there makes of the bundled photo; ``name`` of the screenshot."""

    def run(address: str, name: str, options: Sequence[str] = ()) -> Opened:
        views = {view: tmp_path / f"{view}.png" for view in ("mask", "portrait", "compared")}
        words = {"photo": photo, "label": photo.name, "screenshot": screenshots / f"{name}.png"}
        found = browse("photo", address=address, options=options, **words, **views)
        return Opened(found, **{view: read_rgb(path) for view, path in views.items()})

    return run


@pytest.fixture
def plain_address(site: Path) -> Iterator[str]:
    """The site as an ordinary server serves it, without the headers of isolation."""
    with serving(site, 0, headers={}) as place:
        yield place


@pytest.fixture(scope="module")
def film(lying_photo: Rgb, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The photo as a film that stands still, for two seconds: VP8 in WebM, which every Chromium plays."""
    path = tmp_path_factory.mktemp("film") / "film.webm"
    height, width = lying_photo.shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"VP80"), 15.0, (width, height))
    assert writer.isOpened()
    for _ in range(30):
        writer.write(lying_photo[:, :, ::-1])
    writer.release()
    return path


@pytest.fixture(scope="module")
def damaged_film(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The film with other bytes at the beginning of every frame of its second half."""
    data = film.read_bytes()
    damaged = bytearray(data)
    # Matroska's SimpleBlock: its mark, how long it is (2 to 4 bytes), track 1, the time, flags; then the frame.
    block = re.compile(rb"\xa3(?:[\x40-\x7f].|[\x20-\x3f]..|[\x10-\x1f]...)\x81..[\x00\x80]", re.DOTALL)
    for found in block.finditer(data, len(data) // 2):
        damaged[found.end() : found.end() + 16] = b"\xff" * 16
    path = tmp_path_factory.mktemp("damaged") / "damaged.webm"
    path.write_bytes(damaged)
    return path


@pytest.fixture(scope="module")
def unreadable(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files that no browser can make a picture of."""
    folder = tmp_path_factory.mktemp("unreadable")
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "head.webm").write_bytes(film.read_bytes()[:300])
    (folder / "no_ending").write_bytes(b"neither photo nor film")
    (folder / "half.jpg").write_bytes(cv2.imencode(".jpg", bundled_portrait())[1].tobytes()[:9000])
    with wave.open(str(folder / "sound.webm"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16000))
    return folder


def agreement(mask: Rgb, expected: NDArray[np.float32]) -> float:
    """The share of pixels on which a snapshot of the mask and a probability map say the same."""
    assert mask.shape[:2] == expected.shape
    return float(np.mean((mask[:, :, 0] >= 128) == (expected >= 0.5)))


def assert_divided(compared: Rgb, before: Rgb, after: Rgb, at: int) -> None:
    """Left of a column the one picture, right of it the other; the line between them may be four pixels wide."""
    assert np.array_equal(compared[:, : at - 2], before[:, : at - 2])
    assert np.array_equal(compared[:, at + 2 :], after[:, at + 2 :])


@pytest.fixture
def reference(segmenter: Segmenter, plain_blur: Callable[[float, int, int], Backdrop]) -> Rgb:
    """The photo at f/2 by the desktop's compositor, without what the page leaves out: highlights."""
    picture = bundled_portrait()
    return Compositor(plain_blur(2.0, *picture.shape[:2]))(picture, segmenter.coarse(picture))


@pytest.fixture
def coarse_reference(segmenter: Segmenter, plain_blur: Callable[[float, int, int], Backdrop]) -> Rgb:
    """The same with the edge as the network found it, which is about 35 dB away."""
    picture = bundled_portrait()
    alpha = tighten(picture, segmenter.coarse(picture))
    return Compositor(plain_blur(2.0, *picture.shape[:2]), refine=False)(picture, alpha)


def test_a_photo_becomes_the_portrait_that_python_makes(
    open_photo: Callable[..., Opened], address: str, segmenter: Segmenter, reference: Rgb
) -> None:
    opened = open_photo(address, "photo")
    found = opened.found
    assert found["errors"] == []
    assert "WebGL2" in found["status"]
    assert any("litert_wasm_threaded" in place for place in found["requests"]) == (found["cores"] > 1)
    assert all(place.startswith((address, f"blob:{address}")) for place in found["requests"])
    assert 5_000_000 < found["loaded"] < LARGEST_LOAD

    picture = bundled_portrait()
    assert agreement(opened.mask, segmenter(picture)) >= 0.99
    assert cv2.PSNR(opened.portrait, reference) > 46.0

    # A file that is no picture is refused by its name, and the photo stays on the stage; left of the divider, as it is.
    (note,) = found["notes"]
    assert "notes.txt" in note
    assert found["after"] == "photo.png"
    assert_divided(opened.compared, picture, opened.portrait, picture.shape[1] // 2)


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


@pytest.mark.parametrize(("options", "sentence"), [(NO_CAMERA, "There is no camera"), (CAMERA, "was refused")])
def test_no_camera_is_said_and_the_photo_stays(browse: Browse, address: str, options: list[str], sentence: str) -> None:
    found = browse("refused", address=address, options=options, permissions=[])
    (note,) = found["notes"]
    assert sentence in note
    assert "photo" in note
    assert found["after"] == "the photo of this page"
    assert found["errors"] == []


def test_a_poor_browser_gives_a_coarser_edge_and_says_what_it_lacks(
    open_photo: Callable[..., Opened], plain_address: str, segmenter: Segmenter, coarse_reference: Rgb
) -> None:
    """Neither shared memory nor WebGL2."""
    opened = open_photo(plain_address, "poor", NO_WEBGL)
    found = opened.found
    assert found["errors"] == []
    assert any("SharedArrayBuffer" in note for note in found["notes"])
    assert any("WebGL2" in note for note in found["notes"])
    assert "1 thread" in found["status"]
    assert "2D canvas" in found["status"]
    picture = bundled_portrait()
    assert agreement(opened.mask, segmenter(picture)) >= 0.99
    assert cv2.PSNR(opened.portrait, coarse_reference) > 46.0
    assert_divided(opened.compared, picture, opened.portrait, picture.shape[1] // 2)


def test_sources_that_come_and_go(
    browse: Browse,
    address: str,
    photo: Path,
    film: Path,
    damaged_film: Path,
    unreadable: Path,
    lying_photo: Rgb,
    segmenter: Segmenter,
    coarse_reference: Rgb,
    tmp_path: Path,
    screenshots: Path,
) -> None:
    """Dropped, chosen, unreadable, damaged in the middle, unplugged; and WebGL2 taken away and given back."""
    files = sorted(unreadable.iterdir())
    views = {
        name: tmp_path / f"{name}.png" for name in ("mask", "portrait", "compared", "without", "again", "filmMask")
    }
    found = browse(
        "sources",
        address=address,
        options=CAMERA,
        permissions=["camera"],
        photo=photo,
        film=film,
        filmLabel=film.name,
        damaged=damaged_film,
        damagedLabel=damaged_film.name,
        refused=[{"name": path.name, "type": TYPES.get(path.suffix, ""), "path": path} for path in files],
        screenshot=screenshots / "sources.png",
        **views,
    )
    seen = {name: read_rgb(path) for name, path in views.items()}
    picture = bundled_portrait()
    assert found["errors"] == []
    assert agreement(seen["mask"], segmenter(picture)) >= 0.99
    assert_divided(seen["compared"], picture, seen["portrait"], picture.shape[1] // 4)

    assert "WebGL2" in found["lost"]
    assert "2D canvas" in found["lost"]
    assert cv2.PSNR(seen["without"], coarse_reference) > 46.0
    assert np.array_equal(seen["again"], seen["portrait"])

    assert agreement(seen["filmMask"], segmenter(lying_photo)) >= 0.99
    assert not found["mirrored"]
    # One sentence about the file beside the one about WebGL2, and the film goes on.
    assert sorted(found["refused"]) == [path.name for path in files]
    for sentence, shown, notes in found["refused"].values():
        assert re.search("try|choose", sentence)
        assert (shown, notes) == (film.name, 2)
    assert "damaged" in found["damaged"]
    assert found["complaints"] == 1  # a source that works takes the complaint back
    assert "plug it in" in found["gone"]
    assert "the photo of this page" in found["status"]
