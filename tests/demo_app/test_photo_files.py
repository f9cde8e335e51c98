"""What a photo says besides its pixels is in the written file again, and is true of it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.ExifTags import GPS, IFD, Base

from demo_app.frame import Frame
from demo_app.sinks.folder import FolderSink
from demo_app.sinks.photo import PhotoSink
from demo_app.sources.photo import PhotoSource
from demo_app.still.photo_file import read_photo, write_photo
from edge_deeplab.data.bundled import bundled_portrait
from edge_deeplab.errors import ImageError
from edge_deeplab.image import read_rgb, resize_area

FORMATS = ["out.jpg", "out.png", "out.webp", "out.tif"]
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6" xmp:Rating="4"/></x:xmpmeta>'


def icc_profile(space: str) -> bytes:
    """A profile that littlecms makes: of sRGB, or of grey with the tone curve 1.0, unlike what a grey photo has."""
    if space == "RGB":
        return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = bytearray(icc_profile("RGB"))
    data[16:20] = space.ljust(4).encode()
    return bytes(data)


@pytest.fixture
def pixels() -> np.ndarray:
    """The bundled portrait's upper part, 60x90."""
    return np.ascontiguousarray(resize_area(bundled_portrait(), 90, 90)[:60])


def camera_exif(orientation: int = 6) -> bytes:
    """EXIF as a camera writes it, with a position, maker's notes, and a thumbnail in the directory after the first."""
    exif = Image.Exif()
    exif[Base.Make], exif[Base.Model], exif[Base.Copyright] = "Maker", "Model 7", "A. Photographer"
    exif[Base.Orientation] = orientation
    exif[Base.ImageWidth], exif[Base.StripOffsets] = 4032, 8
    exif[IFD.Exif] = {
        Base.ExposureTime: 0.01,
        Base.DateTimeOriginal: "2024:05:06 07:08:09",
        Base.ExifImageWidth: 4032,
        Base.ExifImageHeight: 3024,
        Base.ColorSpace: 65535,
        Base.MakerNote: b"notes of the maker",
    }
    exif[IFD.GPSInfo] = {GPS.GPSLatitudeRef: "N", GPS.GPSLatitude: (52.0, 31.0, 12.0)}
    data = exif.tobytes()
    # Append the second directory, of one thumbnail, and let the first one point to it.
    order = "little" if data[6:8] == b"II" else "big"
    thumbnail = io.BytesIO()
    Image.new("RGB", (16, 12), (255, 0, 0)).save(thumbnail, "JPEG")
    start = len(data) - 6
    entries = [(513, 4, 1, start + 2 + 24 + 4), (514, 4, 1, len(thumbnail.getvalue()))]
    block = (2).to_bytes(2, order)  # type: ignore[arg-type]
    for tag, kind, count, value in entries:
        for number, size in ((tag, 2), (kind, 2), (count, 4), (value, 4)):
            block += number.to_bytes(size, order)  # type: ignore[arg-type]
    block += bytes(4)
    first = int.from_bytes(data[10:14], order)  # type: ignore[arg-type]
    link = 6 + first + 2 + 12 * int.from_bytes(data[6 + first : 8 + first], order)  # type: ignore[arg-type]
    data = data[:link] + start.to_bytes(4, order) + data[link + 4 :]  # type: ignore[arg-type]
    return data + block + thumbnail.getvalue()


def save_photo(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def rewritten(path: Path, name: str) -> Image.Image:
    """A photo through source and sink; loaded, with its file still open."""
    with PhotoSource(path) as source, PhotoSink(path.with_name(name)) as sink:
        for frame in source:
            sink.write(frame)
    image = Image.open(path.with_name(name))
    image.load()
    return image


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("given", ["in.jpg", "in.png", "in.webp", "in.tif"])
def test_a_photo_keeps_what_its_file_says(tmp_path: Path, pixels: np.ndarray, given: str, name: str) -> None:
    profile = icc_profile("RGB")
    path = save_photo(tmp_path / given, pixels, exif=camera_exif(), icc_profile=profile, dpi=(300, 300))
    with rewritten(path, name) as image:
        exif = image.getexif()
        assert (exif[Base.Make], exif[Base.Model], exif[Base.Copyright]) == ("Maker", "Model 7", "A. Photographer")
        details = exif.get_ifd(IFD.Exif)
        assert details[Base.DateTimeOriginal] == "2024:05:06 07:08:09"
        assert float(details[Base.ExposureTime]) == pytest.approx(0.01)
        assert details[Base.MakerNote] == b"notes of the maker"
        assert exif.get_ifd(IFD.GPSInfo)[GPS.GPSLatitude] == (52.0, 31.0, 12.0)
        assert image.info["icc_profile"] == profile
        if not {"in.webp", "out.webp"} & {given, name}:  # WebP has no resolution but that in the EXIF
            assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)


@pytest.mark.parametrize("name", FORMATS)
def test_the_written_photo_is_upright_and_says_so(tmp_path: Path, pixels: np.ndarray, name: str) -> None:
    path = save_photo(tmp_path / "in.png", pixels, exif=camera_exif(orientation=6))
    with rewritten(path, name) as image:
        assert image.size == (60, 90)  # stored as 90x60, lying
        exif = image.getexif()
        assert exif.get(Base.Orientation, 1) == 1
        details = exif.get_ifd(IFD.Exif)
        assert (details[Base.ExifImageWidth], details[Base.ExifImageHeight]) == (60, 90)
        difference = np.abs(np.asarray(image.convert("RGB")).astype(int) - np.rot90(pixels, -1))
        assert difference.mean() < 3.0
    assert read_rgb(tmp_path / name).shape == (90, 60, 3)  # not turned a second time


@pytest.mark.parametrize("name", FORMATS)
def test_the_thumbnail_of_the_old_picture_is_gone(tmp_path: Path, pixels: np.ndarray, name: str) -> None:
    path = save_photo(tmp_path / "in.jpg", pixels, exif=camera_exif())
    with Image.open(path) as image:
        assert 513 in image.getexif().get_ifd(IFD.IFD1)  # it was there
    with rewritten(path, name) as image:
        assert not image.getexif().get_ifd(IFD.IFD1)
    if name == "out.png":
        assert b"\xff\xd8\xff" not in (tmp_path / name).read_bytes()


@pytest.mark.parametrize("name", FORMATS[:3])
def test_the_strips_of_a_tiff_are_not_told_of_another_format(tmp_path: Path, pixels: np.ndarray, name: str) -> None:
    with rewritten(save_photo(tmp_path / "in.tif", pixels, exif=camera_exif()), name) as image:
        assert not {Base.StripOffsets, Base.ImageWidth, Base.BitsPerSample} & image.getexif().keys()


@pytest.mark.parametrize("name", FORMATS)
def test_xmp_is_kept_without_the_orientation(tmp_path: Path, pixels: np.ndarray, name: str) -> None:
    with rewritten(save_photo(tmp_path / "in.jpg", pixels, xmp=XMP), name) as image:
        assert image.size == (60, 90)
        packet = image.info.get("xmp") or image.info["XML:com.adobe.xmp"].encode()
        assert b'xmp:Rating="4"' in packet
        assert b"Orientation" not in packet


def test_xmp_of_a_depth_map_that_is_not_kept_is_left_out_and_said(tmp_path: Path, pixels: np.ndarray) -> None:
    packet = XMP.replace(b"xmp:Rating", b'xmlns:GDepth="http://ns.google.com/photos/1.0/depthmap/" GDepth:Near')
    _, metadata = read_photo(save_photo(tmp_path / "in.jpg", pixels, xmp=packet))
    assert metadata.xmp is None
    (problem,) = metadata.problems
    assert "in.jpg: its XMP speaks of a depth map" in problem


@pytest.mark.parametrize("name", FORMATS)
def test_a_photo_that_says_nothing_gets_nothing(tmp_path: Path, pixels: np.ndarray, name: str) -> None:
    with rewritten(save_photo(tmp_path / "in.png", pixels), name) as image:
        assert IFD.Exif not in image.getexif()
        assert "icc_profile" not in image.info
        assert not {"xmp", "XML:com.adobe.xmp"} & image.info.keys()


def made_profile(kind: str, space: str, connection: str, tags: dict[str, bytes]) -> bytes:
    """An ICC profile, version 2.1: header, index, the D50 white point, and these tags (ICC.1:2022, chapter 7)."""
    white = b"XYZ " + bytes(4) + b"".join(value.to_bytes(4, "big") for value in (0xF6D6, 0x10000, 0xD32D))
    tags = tags | {"wtpt": white}
    offset, index, body = 128 + 4 + 12 * len(tags), len(tags).to_bytes(4, "big"), b""
    for name, data in tags.items():
        index += name.encode() + (offset + len(body)).to_bytes(4, "big") + len(data).to_bytes(4, "big")
        body += data + bytes(-len(data) % 4)
    header = bytearray(128)
    header[0:4] = (offset + len(body)).to_bytes(4, "big")
    header[8:12], header[12:24] = b"\x02\x10\0\0", (kind + space + connection).encode()
    header[36:40], header[68:80] = b"acsp", white[8:]
    return bytes(header) + index + body


def cmyk_profile() -> bytes:
    """A CMYK profile of the smallest kind: a table (ICC.1:2022, 10.10, lut8Type) from CMYK's corners to Lab.

    Unlike the plain formula, all ink gives a dark green instead of black.
    """
    corners = bytearray()
    for cyan in (0, 1):
        for magenta in (0, 1):
            for yellow in (0, 1):
                for black in (0, 1):
                    lightness = 255 - 50 * (cyan + magenta + yellow + black)
                    corners += bytes((lightness, 128 - 30 * cyan + 20 * magenta, 128 + 30 * yellow - 20 * cyan))
    identity = bytes(range(256))
    matrix = b"".join(value.to_bytes(4, "big") for value in (65536, 0, 0, 0, 65536, 0, 0, 0, 65536))
    table = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + matrix + identity * 4 + bytes(corners) + identity * 3
    return made_profile("prtr", "CMYK", "Lab ", {"A2B0": table, "desc": b"desc" + bytes(7) + b"\5made" + bytes(79)})


@pytest.mark.parametrize("given", ["in.jpg", "in.tif"])
def test_a_cmyk_photo_becomes_srgb_by_its_profile(tmp_path: Path, given: str) -> None:
    ink = np.zeros((16, 16, 4), np.uint8)
    ink[:, 8:, 0] = 255  # white, and all cyan
    path = tmp_path / given
    profile = cmyk_profile()
    Image.fromarray(ink, "CMYK").save(path, icc_profile=profile, exif=camera_exif(1), quality=98)
    with rewritten(path, "out.png") as image:
        assert image.mode == "RGB"
        assert "icc_profile" not in image.info  # a CMYK profile beside RGB values would be nonsense
        assert image.getexif().get_ifd(IFD.Exif)[Base.ColorSpace] == 1
        white, cyan = np.asarray(image)[8, 2].astype(int), np.asarray(image)[8, 13].astype(int)
    assert white.min() > 240
    # Lab (80, -30, -20) in sRGB by any converter; the plain formula says (0, 255, 255).
    np.testing.assert_allclose(cyan, (94, 216, 235), atol=25)
    assert np.abs(cyan - (0, 255, 255)).max() > 60


def test_a_grey_photo_is_converted_by_its_grey_profile(tmp_path: Path, pixels: np.ndarray) -> None:
    grey = Image.fromarray(pixels).convert("L")
    linear = made_profile("mntr", "GRAY", "XYZ ", {"kTRC": b"curv" + bytes(8)})  # an empty curve is gamma 1
    grey.save(tmp_path / "in.png", icc_profile=linear)
    with rewritten(tmp_path / "in.png", "out.png") as image:
        assert image.mode == "RGB"
        assert "icc_profile" not in image.info
        made = np.asarray(image)[:, :, 0].astype(float)
    light = np.asarray(grey) / 255.0
    expected = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(made - expected).mean() < 1.0  # littlecms is coarse in the deepest shadows
    assert np.abs(np.asarray(grey) - expected).mean() > 30.0


@pytest.mark.parametrize(
    ("profile", "sentence"),
    [
        (b"no profile at all", "its colour profile is damaged"),
        (icc_profile("GRAY"), "its colour profile is for GRAY, its pixels are RGB"),
        (cmyk_profile(), "its colour profile is for CMYK, its pixels are RGB"),
    ],
    ids=["damaged", "grey", "CMYK"],
)
def test_a_profile_that_does_not_fit_is_left_out_and_said(
    tmp_path: Path, pixels: np.ndarray, profile: bytes, sentence: str
) -> None:
    path = save_photo(tmp_path / "in.png", pixels, icc_profile=profile)
    rgb, metadata = read_photo(path)
    np.testing.assert_array_equal(rgb, pixels)
    assert metadata.icc_profile is None
    (problem,) = metadata.problems
    assert sentence in problem
    assert str(path) in problem


@pytest.mark.parametrize("damage", ["header", "directory", "tail"])
@pytest.mark.parametrize("given", ["in.jpg", "in.png", "in.webp"])
def test_damaged_exif_does_not_lose_the_photo(tmp_path: Path, pixels: np.ndarray, given: str, damage: str) -> None:
    data = bytearray(camera_exif(1))
    if damage == "header":
        data[6:14] = b"damaged!"
    elif damage == "directory":
        data[14:40] = b"\xff" * 26
    else:
        del data[60:]
    path = save_photo(tmp_path / given, pixels, exif=bytes(data))
    _, metadata = read_photo(path)
    (problem,) = metadata.problems
    assert f"{given}: its EXIF is damaged" in problem
    with rewritten(path, "out.jpg") as image:
        assert image.size == (90, 60)
        image.getexif()  # a warning of a damaged one would fail the test


def test_a_jpeg_is_not_quantized_more_coarsely_than_the_photo(tmp_path: Path, pixels: np.ndarray) -> None:
    path = save_photo(tmp_path / "in.jpg", pixels, quality=98, subsampling=0)
    with Image.open(path) as given, rewritten(path, "out.jpg") as made:
        for table, values in given.quantization.items():  # type: ignore[attr-defined]
            assert (np.array(made.quantization[table]) <= np.array(values)).all()  # type: ignore[attr-defined]


def test_a_saturated_edge_stays_where_it_is_in_a_jpeg(tmp_path: Path) -> None:
    """Halved colour would smear red two pixels into blue."""
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:, :15, 0], pixels[:, 15:, 2] = 230, 230
    write_photo(tmp_path / "a.jpg", pixels)
    assert np.abs(read_rgb(tmp_path / "a.jpg").astype(int) - pixels).max() < 40


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif"])
def test_a_cut_out_keeps_every_colour_and_its_alpha(tmp_path: Path, pixels: np.ndarray, name: str) -> None:
    alpha = np.tile(np.linspace(1, 255, pixels.shape[1]).astype(np.uint8), (pixels.shape[0], 1))
    metadata = read_photo(save_photo(tmp_path / "in.jpg", pixels, exif=camera_exif(1)))[1]
    with PhotoSink(tmp_path / name) as sink:
        sink.write(Frame(pixels, "in.jpg", alpha, metadata))
    with Image.open(tmp_path / name) as image:
        assert image.mode == "RGBA"
        np.testing.assert_array_equal(np.asarray(image), np.dstack((pixels, alpha)))
        assert image.getexif()[Base.Make] == "Maker"


@pytest.mark.parametrize("name", ["a.jpg", "a.bmp"])
def test_a_cut_out_in_a_format_without_alpha_is_refused(tmp_path: Path, pixels: np.ndarray, name: str) -> None:
    with pytest.raises(ImageError, match=rf"{name} cannot hold the transparency of a cut-out: end its name in \.png"):
        write_photo(tmp_path / name, pixels, alpha=pixels[:, :, 0])
    assert list(tmp_path.iterdir()) == []


def test_cut_outs_in_a_folder_do_not_overwrite_each_other(tmp_path: Path, pixels: np.ndarray) -> None:
    alpha = pixels[:, :, 0]
    with FolderSink(tmp_path / "out") as sink:
        for name in ("a.jpg", "a.png", "b.webp"):
            sink.write(Frame(pixels, name, alpha))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.jpg.png", "a.png", "b.webp"]


def test_metadata_too_long_for_the_format_are_refused(tmp_path: Path, pixels: np.ndarray) -> None:
    exif = Image.Exif()
    exif[IFD.Exif] = {Base.MakerNote: bytes(70_000)}
    path = save_photo(tmp_path / "in.png", pixels, exif=exif)
    with pytest.raises(ImageError, match=r"cannot write .* as out\.jpg .*end its name in \.png"):
        rewritten(path, "out.jpg")
    assert not (tmp_path / "out.jpg").exists()
    rewritten(path, "out.png").close()


def test_a_lab_photo_is_converted(tmp_path: Path, pixels: np.ndarray) -> None:
    lab = ImageCms.profileToProfile(
        Image.fromarray(pixels), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert lab is not None
    lab.save(tmp_path / "in.tif")
    rgb, metadata = read_photo(tmp_path / "in.tif")
    assert np.abs(rgb.astype(int) - pixels).mean() < 3.0
    assert metadata.problems == ()
