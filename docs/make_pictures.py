"""Make the README's pictures with the shipped model: python docs/make_pictures.py

docs/portrait.png, from left to right: the bundled photo, the matte (white is person), the portrait. docs/demo.png: what
the window of ``edge-deeplab demo scene`` shows after two seconds, with the keys, and before and after side by side.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from demo_app.live.controls import Controls, Mode
from demo_app.live.effects import Effects
from demo_app.live.governor import Quality
from demo_app.live.overlay import Overlay, Status
from demo_app.live.view import View
from demo_app.sources.scene import SceneSource
from demo_app.still.portrait import StillPortrait
from demo_app.temporal.smoothing import MatteSmoother
from edge_deeplab.image import Rgb, read_rgb, resize_area, write_image
from edge_deeplab.runtime.opening import open_session
from edge_deeplab.segmenter import Segmenter
from edge_deeplab.weights import shipped_model

HERE = Path(__file__).resolve().parent
PHOTO = HERE.parent / "edge_deeplab" / "data" / "bundled" / "eileen_collins.jpg"
SIDE = 400


def main() -> None:
    """Write the pictures."""
    with open_session(shipped_model()) as session:
        segmenter = Segmenter(session)
        write_image(HERE / "portrait.png", portrait(segmenter))
        write_image(HERE / "demo.png", window(segmenter))


def portrait(segmenter: Segmenter) -> Rgb:
    """A photo, its matte and its portrait, side by side."""
    photo = read_rgb(PHOTO)
    still = StillPortrait(segmenter.coarse)
    matte = still.matte(photo)
    coverage = still.cut_out(photo, matte)[1]
    panels = (photo, np.repeat(coverage[:, :, None], 3, axis=2), still.compose(photo, matte))
    return np.hstack([resize_area(panel, SIDE, SIDE) for panel in panels])


def window(segmenter: Segmenter) -> Rgb:
    """The picture in the window."""
    smooth = MatteSmoother()
    for frame in SceneSource(960, 540, frames=60):
        alpha = smooth(frame.rgb, segmenter.coarse(frame.rgb))
    controls = Controls(f_number=1.4, divider=0.5, help=True)
    composed = Effects()(Mode.BLUR, controls.f_number, Quality.FULL).compose(frame.rgb, alpha)
    shown = View()(frame.rgb, composed, alpha, controls)
    Overlay()(shown, controls, Status(notice=f"f/{controls.f_number:g}"))
    return cv2.cvtColor(shown, cv2.COLOR_BGR2RGB)  # type: ignore[return-value]


if __name__ == "__main__":
    main()
