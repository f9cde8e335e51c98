"""What the window shows of a frame: the portrait or the mask, before and after, mirrored or not."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from demo_app.live.controls import Controls
from demo_app.matte import Alpha
from edge_deeplab.image import Rgb

Bgr = NDArray[np.uint8]
"""A picture as OpenCV's windows take it: BGR, uint8, HxWx3."""

_DIVIDER = (255, 255, 255)


class View:
    """Draws into buffers of its own, which are kept while the frames keep their size."""

    def __init__(self) -> None:
        self._bgr: Bgr = np.empty((0, 0, 3), np.uint8)
        self._turned: Bgr = np.empty((0, 0, 3), np.uint8)
        self._coverage = np.empty((0, 0), np.uint8)

    def __call__(self, frame: Rgb, portrait: Rgb, alpha: Alpha, controls: Controls) -> Bgr:
        """Draw one frame.

        Args:
            frame: as it was captured, RGB, uint8, HxWx3.
            portrait: what was made of it, RGB, uint8, HxWx3.
            alpha: the matte, float32, 0..1, HxW of any size.
            controls: what is to be seen.

        Returns:
            BGR, uint8, HxWx3; it may be drawn on, and the next call overwrites it.
        """
        if self._bgr.shape != frame.shape:
            self._bgr, self._turned = np.empty_like(frame), np.empty_like(frame)
            self._coverage = np.empty(frame.shape[:2], np.uint8)
        height, width = frame.shape[:2]
        if controls.mask:
            small: NDArray[np.uint8] = cv2.convertScaleAbs(alpha, alpha=255.0)  # type: ignore[assignment]
            cv2.resize(small, (width, height), dst=self._coverage, interpolation=cv2.INTER_LINEAR)
            cv2.cvtColor(self._coverage, cv2.COLOR_GRAY2BGR, dst=self._bgr)
        else:
            cv2.cvtColor(portrait, cv2.COLOR_RGB2BGR, dst=self._bgr)
        at = None if controls.divider is None else round(controls.divider * width)
        if at:
            # On the screen, "before" is on the left: in a mirror that is the frame's right.
            before = np.s_[:, width - at :] if controls.mirror else np.s_[:, :at]
            cv2.cvtColor(frame[before], cv2.COLOR_RGB2BGR, dst=self._bgr[before])
        shown = cv2.flip(self._bgr, 1, dst=self._turned) if controls.mirror else self._bgr
        if at is not None:
            cv2.line(shown, (at, 0), (at, height - 1), _DIVIDER, max(2, height // 360))
        return shown  # type: ignore[return-value]
