"""Make docs/portrait.png, the README's picture, with the shipped model: python docs/make_pictures.py

From left to right: the bundled photo, the matte (white is person), the portrait.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from demo_app.compositor import Compositor
from demo_app.matte.photo import refine
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
        alpha = refine(photo, Segmenter(session).coarse(photo))
    portrait = Compositor(refine=False)(photo, alpha)
    matte = np.repeat(np.rint(alpha * 255).astype(np.uint8)[:, :, None], 3, axis=2)
    panels = [resize_area(panel, SIDE, SIDE) for panel in (photo, matte, portrait)]
    write_image(HERE / "portrait.png", np.hstack(panels))


if __name__ == "__main__":
    main()
