"""Pictures: read upright as RGB, resized in the one way that every stage uses, written whole.

Arrays are RGB, uint8, HxWx3, 0..255 unless a docstring says otherwise. OpenCV's BGR stays inside
this file and the demo's windows.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from edge_deeplab.errors import ImageError
from edge_deeplab.files import write_bytes

Rgb = NDArray[np.uint8]
"""A picture: RGB, uint8, HxWx3."""

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})

# A decompression bomb is a small file that unpacks to gigabytes; 100 megapixels is above every phone.
_MAX_PIXELS = 100_000_000


def read_rgb(path: Path) -> Rgb:
    """Read a picture as RGB, uint8, HxWx3, turned upright as its EXIF orientation says.

    16-bit is scaled to 8, grey is repeated, CMYK and palettes are converted, alpha is dropped.

    Raises:
        ImageError: missing, not a picture, truncated, over 100 megapixels, or of wider numbers than 16 bits.
    """
    return to_rgb(_open(path), path)


def to_rgb(image: Image.Image, path: Path) -> Rgb:
    """The pixels of an opened picture as :func:`read_rgb` gives them.

    Args:
        image: loaded.
        path: its file, for the error.

    Raises:
        ImageError: of wider numbers than 16 bits.
    """
    if image.mode.startswith("I") or image.mode == "F":
        return _grey16_to_rgb(image, path)
    image.info.pop("transparency", None)  # or Pillow warns that it drops a palette's alpha, which is what we want
    return np.array(image.convert("RGB"), dtype=np.uint8)


def _grey16_to_rgb(image: Image.Image, path: Path) -> Rgb:
    values = np.asarray(image)
    # Pillow also opens some 16-bit files in its 32-bit mode; where the numbers really are wider, nobody knows which
    # of them is white.
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 65535:
        raise ImageError(f"{path} has float or 32-bit pixels, whose white is not known: save it with 8 or 16 bits")
    grey = np.rint(values.astype(np.float64) * (255.0 / 65535.0)).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def read_mask(path: Path) -> NDArray[np.uint8]:
    """Read an 8-bit, one-channel picture (coverage or class indices) as it stands: uint8, HxW.

    Palette pictures (Pascal VOC) give their indices, not their colours.

    Raises:
        ImageError: as :func:`read_rgb`, or not an 8-bit one-channel picture.
    """
    image = _open(path)
    if image.mode == "1":
        image = image.convert("L")
    if image.mode not in ("L", "P"):
        raise ImageError(f"{path} is no mask: it must have one 8-bit channel, and its mode is {image.mode}")
    return np.array(image, dtype=np.uint8)


def _open(path: Path) -> Image.Image:
    """Load a picture upright."""
    with opened_image(path) as image:
        return ImageOps.exif_transpose(image)


@contextmanager
def opened_image(path: Path) -> Iterator[Image.Image]:
    """A picture as its file stores it: loaded, not turned, with what the file says besides the pixels.

    Whatever Pillow raises inside of the ``with`` block counts as damage of this file, but for full memory.

    Raises:
        ImageError: missing, not a picture, truncated, or over 100 megapixels.
        MemoryError: too little of it for these pixels.
    """
    try:
        # Pillow warns of damaged metadata and of large pictures; the pixels decide, and the limit is our own.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                _check_pixels(image)
                image.load()
                yield image
    except (ImageError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise ImageError(f"there is no picture {path}") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{path} is not a picture that can be read: save it as JPEG or PNG") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{path} is over the limit of 100 million pixels: scale it down") from error
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
        if isinstance(error, OSError) and error.errno is not None:  # the file system's refusal, not the decoder's
            raise ImageError(f"{path} cannot be opened: {error.strerror}") from error
        raise ImageError(f"{path} is truncated or damaged ({error}): get a fresh copy") from error


def _check_pixels(image: Image.Image) -> None:
    if image.width * image.height > _MAX_PIXELS:
        raise Image.DecompressionBombError


def write_image(path: Path, rgb: Rgb, *, quality: int = 92) -> None:
    """Write a picture, RGB uint8 HxWx3, in the format that the name's ending says.

    Raises:
        ImageError: the ending belongs to no picture format that can be written.
        OutputError: the place cannot be written to.
    """
    save_image(path, Image.fromarray(rgb), quality=quality)


def save_image(path: Path, image: Image.Image, **options: Any) -> None:
    """Write a Pillow image in the format that the name's ending says.

    Args:
        path: the file, replaced as a whole.
        image: any mode that the format has.
        options: what Pillow's writer of that format takes.

    Raises:
        ImageError: the ending belongs to no picture format that can be written, or the format cannot hold this image.
        OutputError: the place cannot be written to.
    """
    name = format_of(path)
    buffer = io.BytesIO()
    try:
        image.save(buffer, format=name, **options)
    except (OSError, ValueError) as error:  # JPEG ends at 65,500 pixels a side, WebP at 16,383
        size = f"{image.width}x{image.height}"
        raise ImageError(f"cannot write {size} pixels as {path.name} ({error}): end its name in .png") from error
    write_bytes(path, buffer.getvalue())


def format_of(path: Path) -> str:
    """Pillow's name of the picture format that a file's ending says: JPEG, PNG, WEBP, BMP or TIFF.

    Raises:
        ImageError: the ending belongs to none of them.
    """
    suffix = path.suffix.lower()
    if suffix not in IMAGE_SUFFIXES:
        raise ImageError(f"cannot write a picture as {path.name}: end its name in {', '.join(sorted(IMAGE_SUFFIXES))}")
    return {".jpg": "JPEG", ".tif": "TIFF"}.get(suffix, suffix[1:].upper())


def list_images(folder: Path) -> list[Path]:
    """The pictures directly in a folder, by name; hidden files are no pictures (macOS leaves ``._NAME.jpg`` behind).

    Raises:
        ImageError: no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise ImageError(f"there is no folder {folder}")
    paths = sorted(
        path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    )
    if not paths:
        raise ImageError(f"there is no picture in {folder}: put .jpg or .png files there")
    return paths


def resize_area(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Stretch a picture to a size: area average where it shrinks, bilinear where it grows.

    This is the one resize on the way into a network, for training's evaluation, calibration, parity
    and the demo alike. Bilinear at 5:1 would look at a fifth of the pixels and alias; OpenCV's
    INTER_AREA falls back to bilinear as soon as one axis grows, so each axis is treated for itself.

    Args:
        image: uint8, HxW or HxWxC.
        height: rows wanted.
        width: columns wanted.

    Returns:
        uint8, height x width (xC). The input itself where it has that size already.
    """
    rows, columns = image.shape[:2]
    if (rows, columns) == (height, width):
        return image
    image = halved(image, height, width)
    rows, columns = image.shape[:2]
    shrunk = (min(columns, width), min(rows, height))
    if shrunk != (columns, rows):
        image = cv2.resize(image, shrunk, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    if shrunk != (width, height):
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)  # type: ignore[assignment]
    return image


def halved(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """The first steps of :func:`resize_area`, which gives the same to the bit from here on.

    Exact halves are vectorised in OpenCV: two steps cost a sixth of one general INTER_AREA at 720p.

    Args:
        image: uint8, HxW or HxWxC.
        height: rows wanted in the end.
        width: columns wanted in the end.

    Returns:
        uint8, halved as long as both sides are even and twice as large as wanted; the input itself where they never
        were.
    """
    rows, columns = image.shape[:2]
    while rows >= 2 * height and columns >= 2 * width and rows % 2 == 0 and columns % 2 == 0:
        rows, columns = rows // 2, columns // 2
        image = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return image


def resize_map(values: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Resize a probability map bilinearly with half-pixel centres (align_corners=False).

    Args:
        values: float32, HxW.
        height: rows wanted.
        width: columns wanted.

    Returns:
        float32, height x width, within the range of the input.
    """
    if values.shape == (height, width):
        return values
    resized: NDArray[np.float32] = cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR)  # type: ignore[assignment]
    return resized
