"""How much of the subject's colour leaks into the blurred background: measured where the truth is known.

In a synthetic scene subject, background and coverage are known apart, so that the exact portrait can be made: the
subject over the blur of the background as it is behind the subject too. What differs from it in the ring around the
subject is the halo.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from demo_app.linear_light import LINEAR_TOP, SRGB_TO_LINEAR, encode
from edge_deeplab.image import Rgb


@dataclass(frozen=True)
class Scene:
    """A picture with its truth.

    Attributes:
        frame: what the camera sees, RGB, uint8, HxWx3.
        background: the same without the subject, RGB, uint8, HxWx3.
        alpha: the subject's exact coverage, float32, HxW, 0..1.
    """

    frame: Rgb
    background: Rgb
    alpha: NDArray[np.float32]


def synthetic_scene(height: int, width: int, seed: int, *, subject: tuple[int, int, int] = (205, 30, 25)) -> Scene:
    """A head and shoulders of one saturated colour before a textured room; the same seed gives the same scene.

    Args:
        height: rows.
        width: columns.
        seed: of the background's texture.
        subject: sRGB colour of the subject, 0..255 each.
    """
    background = textured_room(height, width, seed)
    unit = height / 100.0
    fine = 4  # drawn four times as large, so that the area average gives the exact coverage of each edge pixel
    mask = np.zeros((height * fine, width * fine), np.uint8)
    middle = width * fine // 2
    for (x, y), (across, down) in (((0, 42), (15, 20)), ((0, 100), (42, 36))):
        centre = (middle + round(x * unit * fine), round(y * unit * fine))
        cv2.ellipse(mask, centre, (round(across * unit * fine), round(down * unit * fine)), 0, 0, 360, (255,), -1)
    alpha: NDArray[np.float32] = cv2.resize(  # type: ignore[assignment]
        mask.astype(np.float32) / 255.0, (width, height), interpolation=cv2.INTER_AREA
    )

    plain = np.empty_like(background)
    plain[:] = subject
    return Scene(frame=in_front_of(plain, alpha, background), background=background, alpha=alpha)


def textured_room(height: int, width: int, seed: int) -> Rgb:
    """Coloured noise of several sizes, as large as soft light and as small as grain: RGB, uint8, height x width x 3."""
    random = np.random.default_rng(seed)
    texture = np.zeros((height, width, 3), np.float32)
    for cells in (3, 8, 24, 80):  # soft light, furniture, ornaments, grain
        noise = random.random((cells, max(1, cells * width // height), 3), np.float32) - 0.5
        texture += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(140.0 + 110.0 * texture, 0, 255).astype(np.uint8)


def exact_portrait(scene: Scene, sigma: float) -> Rgb:
    """The portrait that a perfect effect would give: the frame over the true background's full-size Gaussian blur.

    Args:
        scene: a picture with its truth.
        sigma: standard deviation of the blur in pixels, applied in linear light.
    """
    return in_code_values(scene.frame, scene.alpha, _linear_blur(scene.background, sigma))


def plain_portrait(scene: Scene, sigma: float, *, linear: bool = False) -> Rgb:
    """What the effect is compared with: the frame over the full-size Gaussian blur of itself, subject and all.

    Args:
        scene: a picture with its truth, of which only frame and coverage are used.
        sigma: standard deviation of the blur in pixels.
        linear: blur in linear light rather than in sRGB codes.
    """
    if linear:
        return in_code_values(scene.frame, scene.alpha, _linear_blur(scene.frame, sigma))
    size = 2 * math.ceil(3 * sigma) + 1
    blurred: Rgb = cv2.GaussianBlur(scene.frame, (size, size), sigma)  # type: ignore[assignment]
    return in_code_values(scene.frame, scene.alpha, blurred)


def halo_psnr(portrait: Rgb, scene: Scene, sigma: float) -> float:
    """Peak signal-to-noise ratio, in dB of sRGB codes, in the ring around the subject: higher is less halo.

    The ring is the background (coverage 0) within two standard deviations of the subject.

    Args:
        portrait: what is judged, RGB, uint8, HxWx3.
        scene: a picture with its truth.
        sigma: standard deviation of the blur in pixels of the portrait.
    """
    reach = 2 * math.ceil(2 * sigma) + 1
    near = cv2.dilate(scene.alpha, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))) > 0.0
    ring = near & (scene.alpha == 0.0)
    error = portrait[ring].astype(np.float64) - exact_portrait(scene, sigma)[ring]
    return float(10.0 * np.log10(255.0**2 / max(float(np.mean(error**2)), 1e-12)))


def _linear_blur(picture: Rgb, sigma: float) -> Rgb:
    size = 2 * math.ceil(3 * sigma) + 1
    light = cv2.GaussianBlur(SRGB_TO_LINEAR[picture].astype(np.float32), (size, size), sigma)
    return encode(np.rint(light).clip(0, LINEAR_TOP).astype(np.uint16), np.empty_like(picture))


def in_code_values(subject: Rgb, alpha: NDArray[np.float32], background: Rgb) -> Rgb:
    """A subject over a background as screens and effects mix them: in code values. Arguments as in `in_front_of`."""
    share = alpha[:, :, None]
    mixed: Rgb = np.rint(subject * share + background * (1.0 - share)).astype(np.uint8)
    return mixed


def in_front_of(subject: Rgb, alpha: NDArray[np.float32], background: Rgb) -> Rgb:
    """A subject before a background as a sensor mixes them: in linear light.

    Args:
        subject: its colours, also where its coverage is partial: RGB, uint8, HxWx3.
        alpha: its coverage, float32, HxW, 0..1.
        background: RGB, uint8, HxWx3.
    """
    share = alpha[:, :, None]
    light = SRGB_TO_LINEAR[subject] * share + SRGB_TO_LINEAR[background] * (1.0 - share)
    linear = np.rint(light).clip(0, LINEAR_TOP).astype(np.uint16)
    return encode(linear, np.empty(linear.shape, np.uint8))
