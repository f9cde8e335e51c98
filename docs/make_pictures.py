"""Make docs/portrait.png, the README's picture, with the shipped model: python docs/make_pictures.py

From left to right: the bundled photo, the matte (white is person), the portrait.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from demo_app.still.portrait import StillPortrait
from edge_deeplab.image import read_rgb, resize_area, write_image
from edge_deeplab.runtime.opening import open_session
from edge_deeplab.segmenter import Segmenter
from edge_deeplab.weights import shipped_model

HERE = Path(__file__).resolve().parent
PHOTO = HERE.parent / "edge_deeplab" / "data" / "bundled" / "eileen_collins.jpg"
SIDE = 400


def main() -> None:
    """Write the picture."""
    photo = read_rgb(PHOTO)
    with open_session(shipped_model()) as session:
        still = StillPortrait(Segmenter(session).coarse)
        matte = still.matte(photo)
    coverage = still.cut_out(photo, matte)[1]
    panels = (photo, np.repeat(coverage[:, :, None], 3, axis=2), still.compose(photo, matte))
    panels = [resize_area(panel, SIDE, SIDE) for panel in panels]
    write_image(HERE / "portrait.png", np.hstack(panels))


if __name__ == "__main__":
    main()
