"""What a photo's file says besides its pixels, brought in line with pixels that were turned upright and changed."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

from PIL import Image
from PIL.ExifTags import IFD, Base

JPEG_QUALITY = 95
"""The least quality that portraits are written with: the subject's pixels are coded a second time."""

# What may be said of the picture in the first directory of its EXIF (EXIF 2.32, section 4.6.4 D, and what Windows and
# document scanners add). Everything else there is about the file that it stood in: where its strips are, how they are
# packed, and the thumbnail, which shows the old picture.
_DESCRIPTIVE = frozenset(
    {
        Base.DocumentName,
        Base.ImageDescription,
        Base.Make,
        Base.Model,
        Base.XResolution,
        Base.YResolution,
        Base.ResolutionUnit,
        Base.Software,
        Base.DateTime,
        Base.Artist,
        Base.HostComputer,
        Base.Copyright,
        Base.Rating,
        Base.RatingPercent,
        Base.XPTitle,
        Base.XPComment,
        Base.XPAuthor,
        Base.XPKeywords,
        Base.XPSubject,
    }
)

# XMP that describes data which is left behind: a depth map, a film or a gain map after the JPEG's end, a thumbnail, a
# second packet. A reader that believes it would look for them.
_XMP_OF_LOST_DATA = (
    b"ns.google.com/photos",
    b"hdr-gain-map",
    b"apple.com/HDRGainMap",
    b"xap/1.0/g/img",
    b"HasExtendedXMP",
)

# The sum of the luminance table of ITU-T T.81, table K.1, which quality 50 of libjpeg stands for.
_LUMINANCE_SUM = 3688


@dataclass(frozen=True)
class PhotoMetadata:
    """What a photo's file says besides its pixels.

    Attributes:
        exif: upright, of the photo's real size, without a thumbnail; None: there is none.
        icc_profile: the colour space of the pixels; None: sRGB, or nobody knows.
        xmp: the packet; None: there is none.
        dpi: pixels per inch across and down; None: not said.
        jpeg_quality: what a JPEG of it is to be written with, 95..100: no less than the photo's own.
        problems: sentences about what could not be kept.
    """

    exif: bytes | None = None
    icc_profile: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    jpeg_quality: int = JPEG_QUALITY
    problems: tuple[str, ...] = ()


def clean_exif(image: Image.Image, *, in_srgb: bool) -> tuple[bytes | None, bool]:
    """A photo's EXIF as it is right for its upright pixels, with its GPS position and its maker's notes.

    The notes are copied as they stand; makers whose notes count from the start of the file (Canon) lose what they
    point to.

    Args:
        image: opened, its file still open; not yet turned.
        in_srgb: the pixels were converted to sRGB.

    Returns:
        (the EXIF, or None where there is none that can be read; whether all of it could be read).
    """
    with warnings.catch_warnings(record=True) as damage:
        warnings.simplefilter("always")
        try:
            return _clean_exif(image, in_srgb), not damage
        except Exception:  # Pillow's reader and writer raise nearly anything on damaged directories
            return None, False


def _clean_exif(image: Image.Image, in_srgb: bool) -> bytes | None:
    given = image.getexif()
    if "exif" in image.info:
        # Some formats read it when they are opened, and swallow what they meet: read it again and see.
        given = Image.Exif()
        given.load(image.info["exif"])
    kept = Image.Exif()
    kept.endian = given.endian  # the maker's notes are copied as they stand, in this order of bytes
    for tag in sorted(_DESCRIPTIVE & given.keys()):
        kept[tag] = given[tag]
    if gps := given.get_ifd(IFD.GPSInfo):
        kept[IFD.GPSInfo] = gps
    details = dict(given.get_ifd(IFD.Exif))
    if not kept and not details:
        return None

    turned = image.getexif().get(Base.Orientation, 1) in (5, 6, 7, 8)
    width, height = image.size[::-1] if turned else image.size
    details |= {Base.ExifImageWidth: width, Base.ExifImageHeight: height}
    details.pop(IFD.Interop, None)
    if interoperability := given.get_ifd(IFD.Interop):
        details[IFD.Interop] = interoperability
    if in_srgb:
        details[Base.ColorSpace] = 1
    kept[IFD.Exif] = details
    kept[Base.Orientation] = 1
    return kept.tobytes()


def clean_xmp(image: Image.Image) -> tuple[bytes | None, bool]:
    """A photo's XMP packet after the photo was turned upright (which takes the orientation out of it).

    Args:
        image: turned upright by Pillow.

    Returns:
        (the packet, or None; whether one was left out, because it speaks of data that stays behind).
    """
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if isinstance(packet, str):
        packet = packet.encode()
    if not isinstance(packet, bytes):
        return None, False
    if any(name in packet for name in _XMP_OF_LOST_DATA):
        return None, True
    return packet, False


def clean_dpi(image: Image.Image) -> tuple[float, float] | None:
    """Pixels per inch across and down, where a photo says it and it can be."""
    try:
        across, down = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if all(math.isfinite(value) and 1.0 <= value <= 65535.0 for value in (across, down)) else None


def jpeg_quality(image: Image.Image) -> int:
    """The quality of libjpeg at which a JPEG's brightness is quantized as finely as in this one, 95 at least.

    Args:
        image: opened; of another format than JPEG: 95.
    """
    tables: dict[int, list[int]] | None = getattr(image, "quantization", None)
    if not tables:
        return JPEG_QUALITY
    # libjpeg, jcparam.c: above 50 the tables are K.1 times (200 - 2 * quality) percent.
    return min(100, max(JPEG_QUALITY, math.ceil(100 - 50 * sum(tables[min(tables)]) / _LUMINANCE_SUM)))
