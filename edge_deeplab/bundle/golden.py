"""Golden pairs: pictures that an app feeds, and the masks that it must get."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.bundle.contract import Golden
from edge_deeplab.bundle.png import unfiltered_png
from edge_deeplab.data.bundled import bundled_images
from edge_deeplab.files import write_bytes
from edge_deeplab.image import resize_area
from edge_deeplab.runtime.session import Session
from edge_deeplab.segmenter import Segmenter

FOLDER = "golden"

NAMES = ("lying", "turned-right", "before-blobs")
"""Of the bundled pictures: a wide one, an upright one of odd size, a person before colours; none of them square.

With these, each usual fault of an integration leaves the tolerances by far (swapped channels, [-1, 1], a letterbox, a
mirror, half the brightness, grey); with the bundled photo itself a letterbox cannot be seen.
"""


def write_goldens(folder: Path, sessions: Mapping[str, Session]) -> tuple[Golden, ...]:
    """Run the golden pictures through the files, and write pictures and masks as PNG.

    Args:
        folder: the bundle.
        sessions: to the path of each file in the bundle the opened file; all of them of one input size.

    Raises:
        OutputError: the place cannot be written to.
    """
    pictures = dict(bundled_images())
    return tuple(_write(folder, name, pictures[name], sessions) for name in NAMES)


def _write(folder: Path, name: str, picture: NDArray[np.uint8], sessions: Mapping[str, Session]) -> Golden:
    first = next(iter(sessions.values()))
    pixels = resize_area(picture, first.height, first.width)
    written = {f"{FOLDER}/{name}.png": picture, f"{FOLDER}/{name}.input.png": pixels}
    masks = {}
    for path, session in sessions.items():
        masks[path] = f"{FOLDER}/{name}.{PurePosixPath(path).name}.png"
        written[masks[path]] = np.rint(Segmenter(session).coarse(pixels) * 255).astype(np.uint8)
    for path, values in written.items():
        write_bytes(folder / path, unfiltered_png(values))
    return Golden(name, f"{FOLDER}/{name}.png", f"{FOLDER}/{name}.input.png", masks)
