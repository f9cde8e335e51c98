"""The colour space of a photo: kept where its pixels stay in it, converted where they cannot."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, ImageCms

from edge_deeplab.image import Rgb, to_rgb

RGB_MODES = frozenset({"RGB", "RGBA", "RGBa", "RGBX", "P", "PA"})
"""Pillow's modes whose values are RGB; all others are converted to sRGB."""


def rgb_and_profile(image: Image.Image, path: Path) -> tuple[Rgb, bytes | None, str | None]:
    """The pixels of a photo as RGB, and the profile that says what they mean.

    An RGB photo keeps its values and its profile: they are not converted, so nothing is rounded. (Display P3 has the
    tone curve of sRGB, in which the blur works; Adobe RGB's is near it.) A CMYK or grey photo is converted by its
    profile to sRGB, which a picture without a profile is taken for: the profile that littlecms makes for sRGB would
    hold the time of day. Relative colorimetric with black-point compensation, as in print and on the web.

    Args:
        image: loaded, upright.
        path: its file, for the error.

    Returns:
        (RGB, uint8, HxWx3; the ICC profile of these values, or None; what was wrong with the given one, or None).

    Raises:
        ImageError: as :func:`edge_deeplab.image.to_rgb`.
    """
    data = image.info.get("icc_profile")
    if not data or image.mode == "LAB":  # Lab is a space of its own, and Pillow converts it
        return to_rgb(image, path), None, None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        space = profile.profile.xcolor_space.strip()
        if space == "RGB" and image.mode in RGB_MODES:
            return to_rgb(image, path), data, None
        if space == "CMYK" and image.mode == "CMYK":
            return to_rgb(_converted(image, profile), path), None, None
        if space == "GRAY" and image.mode not in RGB_MODES and image.mode != "CMYK":
            grey = Image.fromarray(to_rgb(image, path)[:, :, 0])  # 16 bits become 8, alpha is dropped
            return to_rgb(_converted(grey, profile), path), None, None
    except (ImageCms.PyCMSError, OSError):
        return to_rgb(image, path), None, "its colour profile is damaged and was left out"
    return to_rgb(image, path), None, f"its colour profile is for {space}, its pixels are {image.mode}: it was left out"


def _converted(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    converted = ImageCms.profileToProfile(
        image,
        profile,
        srgb,
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert converted is not None  # it is None only where the input is converted in place
    return converted
