"""Photo files with all that they say: read upright, written back at full quality."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, PngImagePlugin, TiffImagePlugin

from demo_app.still.colour_profile import RGB_MODES, rgb_and_profile
from demo_app.still.metadata import PhotoMetadata, clean_dpi, clean_exif, clean_xmp, jpeg_quality
from edge_deeplab.errors import ImageError
from edge_deeplab.image import Rgb, format_of, opened_image, save_image

_ALPHA_FORMATS = frozenset({"PNG", "WEBP", "TIFF"})
_TIFF_XMP = 700


def read_photo(path: Path) -> tuple[Rgb, PhotoMetadata]:
    """Read a photo, turned upright, with its metadata.

    The pixels are those of :func:`edge_deeplab.image.read_rgb`, except that CMYK and grey photos are converted by their
    colour profile. Damaged metadata do not make a photo unreadable: they are left out, and ``problems`` says so.

    Raises:
        ImageError: as :func:`edge_deeplab.image.read_rgb`.
    """
    with opened_image(path) as image:
        quality = jpeg_quality(image)
        exif, whole = clean_exif(image, in_srgb=image.mode not in RGB_MODES)
        image.info.pop("exif", None)  # or turning it would write a damaged EXIF again, and fail
        upright = ImageOps.exif_transpose(image)
    xmp, left_out = clean_xmp(upright)
    dpi = clean_dpi(upright)
    rgb, profile, problem = rgb_and_profile(upright, path)
    problems = []
    if not whole:
        problems.append(f"{path}: its EXIF is damaged, and {'a part of it' if exif else 'it'} was left out")
    if left_out:
        problems.append(f"{path}: its XMP speaks of a depth map, film or the like that is not kept, and was left out")
    if problem is not None:
        problems.append(f"{path}: {problem}")
    return rgb, PhotoMetadata(exif, profile, xmp, dpi, quality, tuple(problems))


def holds_alpha(path: Path) -> bool:
    """Whether the format that a file's ending says can hold a cut-out. Raises: ImageError: it is no picture's."""
    return format_of(path) in _ALPHA_FORMATS


def write_photo(
    path: Path, rgb: Rgb, *, alpha: NDArray[np.uint8] | None = None, metadata: PhotoMetadata | None = None
) -> None:
    """Write a photo or a cut-out in the format that the name's ending says, whole or not at all.

    JPEG is written with every pixel's colour (4:4:4): halved colour smears the saturated edge of a sharp subject into
    the blur beside it. WebP halves it always; its cut-outs are lossless. BMP has no place for metadata.

    Args:
        path: .jpg, .png, .webp, .tif or .bmp.
        rgb: RGB, uint8, HxWx3.
        alpha: uint8, HxW, straight (the colours are not multiplied by it); None: opaque.
        metadata: what is to stand beside the pixels; None: nothing.

    Raises:
        ImageError: an ending of no picture format; a format that cannot hold alpha, this many pixels or metadata of
            this length (EXIF in a JPEG: 64 KB).
        OutputError: the place cannot be written to.
    """
    if alpha is not None and not holds_alpha(path):
        raise ImageError(f"{path.name} cannot hold the transparency of a cut-out: end its name in .png, .webp or .tif")
    options = _options(format_of(path), metadata or PhotoMetadata(), opaque=alpha is None)
    pixels = rgb if alpha is None else np.dstack((rgb, alpha))
    save_image(path, Image.fromarray(pixels), **{name: value for name, value in options.items() if value is not None})


def _options(name: str, metadata: PhotoMetadata, *, opaque: bool) -> dict[str, Any]:
    """What Pillow's writer of a format is to be told."""
    common = {"exif": metadata.exif, "icc_profile": metadata.icc_profile, "dpi": metadata.dpi}
    match name:
        case "JPEG":
            return common | {"quality": metadata.jpeg_quality, "subsampling": 0, "xmp": metadata.xmp}
        case "PNG":
            return common | {"pnginfo": _png_xmp(metadata.xmp)}
        case "WEBP":
            return common | {"quality": metadata.jpeg_quality, "lossless": not opaque, "xmp": metadata.xmp}
        case "TIFF":
            return common | {"tiffinfo": _tiff_xmp(metadata.xmp)}
        case _:
            return {"dpi": metadata.dpi}


def _png_xmp(packet: bytes | None) -> PngImagePlugin.PngInfo | None:
    if packet is None:
        return None
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", packet.decode(errors="replace"))
    return info


def _tiff_xmp(packet: bytes | None) -> TiffImagePlugin.ImageFileDirectory_v2 | None:
    if packet is None:
        return None
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    directory[_TIFF_XMP] = packet
    return directory
