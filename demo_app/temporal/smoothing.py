"""The matte in time: steady where the picture stands, with the picture where it moves, new where it is new.

The last matte is warped to the new frame by optical flow and mixed with the network's new one (an exponential moving
average along the motion). The new one weighs more where the warped picture does not look like the new one - something
came into view, or the flow is wrong - so that nothing drags behind and nothing fades in. That the masks differ is no
reason: it did not help at any strength, and one wrong mask would flash.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from demo_app.matte import Alpha
from demo_app.temporal.cuts import equal_exposure, is_cut
from demo_app.temporal.flow import Field, Flow, Grey, Warp, flow_picture
from demo_app.temporal.subject_motion import SubjectMotion
from edge_deeplab.errors import ImageError
from edge_deeplab.image import Rgb

# The new mask's weight where the pictures agree. Independent noise from frame to frame falls to a seventh.
_WEIGHT = 0.2

# The pictures agree up to this difference, in codes averaged over a window of this many pixels of the flow's picture,
# and from the second one on only the new mask counts. Twice as much ghosts.
_SAME, _OTHER = 2.0, 8.0
_WINDOW = 5


class MatteSmoother:
    """Smooths the mattes of one film in its order: keep one for each, and :meth:`reset` it for another.

    The same frames and masks give the same bytes, whatever the number of OpenCV's threads.
    """

    def __init__(self) -> None:
        self._flow = Flow()
        self._past: _Past | None = None
        self._stage: _Stage | None = None

    @property
    def needs_mask(self) -> bool:
        """Whether there is nothing to carry along: before the first mask, and after a cut that ``between`` met."""
        return self._past is None or self._past.stale

    def reset(self) -> None:
        """Forget the film: the next mask passes as it is."""
        self._past = None

    def __call__(self, frame: Rgb, alpha: Alpha) -> Alpha:
        """The matte of a frame that the network has seen.

        After a gap (frames left out) the flow is longer, and nothing else differs. After a cut, or a change of either
        size, the mask passes as it is.

        Args:
            frame: RGB, uint8, HxWx3, or shrunk: 192 pixels on the longer side are looked at.
            alpha: the network's mask, float32, 0..1, of any size: it is thought of as stretched over the frame.

        Returns:
            float32, 0..1, of the mask's size; the caller's to keep.

        Raises:
            ImageError: an alpha with values outside 0..1 or not-a-number, or a frame or an alpha of another shape or
                type.
        """
        if alpha.dtype != np.float32 or alpha.ndim != 2 or alpha.size == 0:
            raise ImageError(f"an alpha must be float32, HxW, and this one is {alpha.dtype} {alpha.shape}")
        if not (alpha.min() >= 0.0 and alpha.max() <= 1.0 + 1e-6):  # written so that it catches NaN
            raise ImageError("an alpha must be within 0..1, and this one has other values or not-a-number")
        picture = flow_picture(frame)
        past = self._past
        smooth = alpha
        if past is not None and not past.stale and past.fits(frame, picture, alpha):
            stage = self._stage_for(picture, alpha)
            if stage.look(self._flow(picture, past.picture), picture, past):
                smooth = stage.mix(past.alpha, alpha)
        self._past = _Past(frame.shape[:2], picture, smooth.copy())
        return smooth.copy() if smooth is alpha else smooth

    def between(self, frame: Rgb) -> Alpha:
        """The matte of a frame that the network has not seen: the last one, carried along by the flow.

        Args:
            frame: as in :meth:`__call__`.

        Returns:
            float32, 0..1, of the last mask's size; the caller's to keep. After a cut it is the last matte, which is
            then no more than a guess, until there is a new mask: see :attr:`needs_mask`.

        Raises:
            ImageError: there is no mask yet, or a frame of another shape or type.
        """
        past = self._past
        if past is None:
            raise ImageError("there is no matte to carry along: the first frame needs its mask")
        picture = flow_picture(frame)
        carried = past.alpha
        stale = past.stale or not past.fits(frame, picture, carried)
        if not stale:
            stage = self._stage_for(picture, carried)
            stale = not stage.look(self._flow(picture, past.picture), picture, past)
            carried = past.alpha if stale else stage.carry(past.alpha)
        self._past = _Past(frame.shape[:2], picture, carried.copy(), stale)
        return carried

    def _stage_for(self, picture: Grey, alpha: Alpha) -> _Stage:
        sizes = (picture.shape, alpha.shape)
        if self._stage is None or self._stage.sizes != sizes:
            self._stage = _Stage(*picture.shape, *alpha.shape)
        return self._stage


@dataclass(frozen=True)
class _Past:
    """What is remembered of the last frame; ``stale``: a cut has made its matte worthless."""

    frame_size: tuple[int, ...]
    picture: Grey
    alpha: Alpha
    stale: bool = False

    def fits(self, frame: Rgb, picture: Grey, alpha: Alpha) -> bool:
        return self.frame_size == frame.shape[:2] and self.alpha.shape == alpha.shape


class _Stage:
    """The arithmetic for one size of picture and one of mask; every buffer is made once."""

    def __init__(self, rows: int, columns: int, height: int, width: int) -> None:
        self.sizes = ((rows, columns), (height, width))
        self._picture_warp, self._alpha_warp = Warp(rows, columns), Warp(height, width)
        self._subject_motion = SubjectMotion(rows, columns)
        self._before = np.empty((rows, columns), np.uint8)
        self._difference = np.empty((rows, columns), np.uint8)
        share = (np.arange(256, dtype=np.float32) - _SAME) / (_OTHER - _SAME)
        self._table = (_WEIGHT + (1.0 - _WEIGHT) * np.clip(share, 0.0, 1.0)).astype(np.float32)
        self._weight = np.empty((height, width), np.float32)
        self._step = np.empty((height, width), np.float32)

    def look(self, flow: Field, picture: Grey, past: _Past) -> bool:
        """Compare a picture with the one before it, warped; False: it is a cut."""
        self._picture_warp.aim(flow)
        self._picture_warp.fetch(past.picture, self._before)
        cv2.absdiff(picture, equal_exposure(self._before, picture), dst=self._difference)
        if is_cut(self._difference, picture):
            return False
        self._alpha_warp.aim(self._subject_motion(flow, past.alpha))
        return True

    def carry(self, alpha: Alpha) -> Alpha:
        """The last matte, warped."""
        carried = np.empty_like(alpha)
        self._alpha_warp.fetch(alpha, carried)
        return carried

    def mix(self, last: Alpha, new: Alpha) -> Alpha:
        """The last matte, warped, and the new mask, weighed by what :meth:`look` saw."""
        smooth = self.carry(last)
        cv2.blur(self._difference, (_WINDOW, _WINDOW), dst=self._difference)
        # What was out of view is new.
        np.bitwise_or(self._difference, ~self._picture_warp.inside(), out=self._difference)
        height, width = new.shape
        cv2.resize(cv2.LUT(self._difference, self._table), (width, height), dst=self._weight)

        cv2.subtract(new, smooth, dst=self._step)
        cv2.multiply(self._step, self._weight, dst=self._step)
        cv2.add(smooth, self._step, dst=smooth)
        return smooth
