"""The subject, sharp, over its own background out of focus."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from demo_app.backdrops.backdrop import Backdrop
from demo_app.backdrops.gaussian import GaussianBlur
from edge_deeplab.errors import ImageError
from edge_deeplab.image import Rgb

MIX_ROWS = 64
"""Rows that are mixed at a time: a quarter faster than all at once."""


class Compositor:
    """Composes portraits frame by frame; its buffers are made at the first frame and reused while the size stays.

    Fresh arrays of several megabytes cost page faults at every frame, more than the arithmetic in them.

    Args:
        backdrop: what is behind the subject; None: the background itself, blurred as by f/2.
    """

    def __init__(self, backdrop: Backdrop | None = None) -> None:
        self._backdrop = GaussianBlur() if backdrop is None else backdrop
        self._stage: _Stage | None = None

    def __call__(self, frame: Rgb, alpha: NDArray[np.float32]) -> Rgb:
        """Compose one frame.

        Args:
            frame: RGB, uint8, HxWx3.
            alpha: the subject's coverage, float32, 0..1, HxW of any size: it is stretched over the frame. A map at the
                network's size is cheaper than one at the frame's.

        Returns:
            RGB, uint8, HxWx3. Where alpha is 1 it is the frame, to the bit. The next call overwrites it: copy it to
            keep it.

        Raises:
            ImageError: a frame or an alpha of another shape or type.
        """
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or frame.size == 0:
            raise ImageError(f"a frame must be RGB, uint8, HxWx3, and this one is {frame.dtype} {frame.shape}")
        if alpha.dtype != np.float32 or alpha.ndim != 2 or alpha.size == 0:
            raise ImageError(f"an alpha must be float32, HxW, and this one is {alpha.dtype} {alpha.shape}")
        height, width = frame.shape[:2]
        if self._stage is None or self._stage.out.shape != frame.shape:
            self._stage = _Stage.of_size(height, width)
        return self._stage.compose(frame, alpha, self._backdrop)


@dataclass(frozen=True)
class _Stage:
    """The buffers for frames of one size."""

    out: Rgb
    coverage: NDArray[np.uint8]
    spare: Rgb
    spare_coverage: NDArray[np.uint8]

    @staticmethod
    def of_size(height: int, width: int) -> _Stage:
        return _Stage(
            out=np.empty((height, width, 3), np.uint8),
            coverage=np.empty((height, width), np.uint8),
            spare=np.empty((MIX_ROWS, width, 3), np.uint8),
            spare_coverage=np.empty((MIX_ROWS, width, 3), np.uint8),
        )

    def compose(self, frame: Rgb, alpha: NDArray[np.float32], backdrop: Backdrop) -> Rgb:
        height, width = self.coverage.shape
        given: NDArray[np.uint8] = cv2.convertScaleAbs(alpha, alpha=255.0)  # type: ignore[assignment]
        background = backdrop(frame, given)
        # Bicubic: stretched bilinearly, a bright spot shows the grid of the small picture.
        cv2.resize(background, (width, height), dst=self.out, interpolation=cv2.INTER_CUBIC)
        cv2.resize(given, (width, height), dst=self.coverage, interpolation=cv2.INTER_LINEAR)

        left, top, columns, rows = cv2.boundingRect(self.coverage)
        if columns == 0:
            return self.out
        box = np.s_[top : top + rows, left : left + columns]
        mix(frame[box], self.out[box], self.coverage[box], self.spare, self.spare_coverage)
        return self.out


def mix(
    subject: Rgb, background: Rgb, coverage: NDArray[np.uint8], spare: Rgb, spare_coverage: NDArray[np.uint8]
) -> None:
    """background <- coverage * subject + (1 - coverage) * background, in 8-bit arithmetic.

    Args:
        subject: RGB, uint8, HxWx3.
        background: RGB, uint8, HxWx3; written over.
        coverage: uint8, HxW; 255 is all subject, to the bit.
        spare: uint8, NxMx3 with M >= W, for the subject's part of N rows: so few at a time that they stay in the cache.
        spare_coverage: uint8, NxMx3.
    """
    step, columns = len(spare), coverage.shape[1]
    for top in range(0, len(coverage), step):
        band = coverage[top : top + step]
        share, part = spare_coverage[: len(band), :columns], spare[: len(band), :columns]
        behind = background[top : top + step]
        cv2.merge((band, band, band), dst=share)
        cv2.multiply(subject[top : top + step], share, dst=part, scale=1.0 / 255.0)
        cv2.bitwise_not(share, dst=share)
        cv2.multiply(behind, share, dst=behind, scale=1.0 / 255.0)
        cv2.add(behind, part, dst=behind)
