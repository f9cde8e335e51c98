"""Pictures as people really have them: every mode and orientation comes out as upright RGB, or as one clear error."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from edge_deeplab.data.bundled import bundled_portrait
from edge_deeplab.errors import ImageError
from edge_deeplab.image import list_images, read_mask, read_rgb, resize_area, resize_map, write_image


@pytest.fixture(scope="module")
def photo() -> NDArray[np.uint8]:
    """The upper left of the portrait, 60x90: no symmetry that could hide a turn, odd in no way else."""
    return np.ascontiguousarray(resize_area(bundled_portrait(), 90, 90)[:60])


@pytest.fixture(scope="module")
def grey(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(photo).convert("L"))


def test_png_comes_back_bit_for_bit_and_writable(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    write_image(tmp_path / "photo.png", photo)
    read = read_rgb(tmp_path / "photo.png")
    np.testing.assert_array_equal(read, photo)
    assert read.flags.writeable
    assert read.flags.c_contiguous


def test_16_bit_grey_is_scaled_to_8(tmp_path: Path, grey: NDArray[np.uint8]) -> None:
    for name in ("grey.png", "grey.tif"):
        cv2.imwrite(str(tmp_path / name), grey.astype(np.uint16) * 257)
        np.testing.assert_array_equal(read_rgb(tmp_path / name), np.repeat(grey[:, :, None], 3, axis=2))


@pytest.mark.parametrize("name", ["photo.png", "photo.tif"])
def test_16_bit_colour_is_scaled_to_8(tmp_path: Path, photo: NDArray[np.uint8], name: str) -> None:
    cv2.imwrite(str(tmp_path / name), photo[:, :, ::-1].astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_rgb(tmp_path / name), photo)


def test_one_bit_picture_is_black_and_white(tmp_path: Path, grey: NDArray[np.uint8]) -> None:
    Image.fromarray(grey > 100).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "bits.png")[:, :, 1], np.where(grey > 100, 255, 0))


@pytest.mark.parametrize("name", ["cmyk.jpg", "cmyk.tif"])
def test_cmyk_is_not_inverted(tmp_path: Path, photo: NDArray[np.uint8], name: str) -> None:
    Image.fromarray(photo).convert("CMYK").save(tmp_path / name, quality=98)
    difference = np.abs(read_rgb(tmp_path / name).astype(int) - photo)
    assert difference.mean() < 3


def test_alpha_is_dropped_and_the_colours_below_it_stay(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    alpha = np.tile(np.linspace(0, 255, photo.shape[1]).astype(np.uint8), (photo.shape[0], 1))
    Image.fromarray(np.dstack([photo, alpha])).save(tmp_path / "alpha.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "alpha.png"), photo)


def test_palette_gives_its_colours_also_with_transparency(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    palette = Image.fromarray(photo).quantize(64)
    palette.save(tmp_path / "palette.png", transparency=bytes(range(64)))
    np.testing.assert_array_equal(read_rgb(tmp_path / "palette.png"), np.asarray(palette.convert("RGB")))


# What the camera wrote for each EXIF orientation so that the upright photo results: the inverse of what 2..8 ask for.
_STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", sorted(_STORED))
def test_exif_orientation_comes_out_upright(tmp_path: Path, photo: NDArray[np.uint8], orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(_STORED[orientation](photo))
    Image.fromarray(stored).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(read_rgb(tmp_path / "turned.png"), photo)


def test_one_pixel(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    write_image(tmp_path / "pixel.png", photo[:1, :1])
    pixel = read_rgb(tmp_path / "pixel.png")
    np.testing.assert_array_equal(pixel, photo[:1, :1])
    np.testing.assert_array_equal(resize_area(pixel, 32, 48), np.broadcast_to(photo[:1, :1], (32, 48, 3)))


@pytest.mark.parametrize(
    "values", [np.full((4, 4), 0.5, np.float32), np.full((4, 4), np.nan, np.float32), np.full((4, 4), 70_000, np.int32)]
)
def test_numbers_without_a_known_white_are_refused(tmp_path: Path, values: NDArray[np.generic]) -> None:
    Image.fromarray(values).save(tmp_path / "wide.tif")
    with pytest.raises(ImageError, match=r"wide\.tif has float or 32-bit pixels.*save it with 8 or 16 bits"):
        read_rgb(tmp_path / "wide.tif")


@pytest.mark.parametrize("name", ["photo.jpg", "photo.png", "photo.webp", "photo.bmp", "photo.tif"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7])
def test_truncated_picture_is_refused_by_name(
    tmp_path: Path, photo: NDArray[np.uint8], name: str, share: float
) -> None:
    path = tmp_path / name
    write_image(path, photo)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ImageError, match=f"{name} is (truncated|not a picture)"):
        read_rgb(path)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), name=st.sampled_from(["photo.jpg", "photo.png", "grey16.tif"]))
def test_damaged_bytes_give_a_picture_or_an_image_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, name: str
) -> None:
    small = resize_area(bundled_portrait(), 20, 16)
    path = tmp_path_factory.mktemp("damaged") / name
    if name == "grey16.tif":
        cv2.imwrite(str(path), small[:, :, 0].astype(np.uint16) * 257)
    else:
        write_image(path, small)
    damaged = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged)
    try:
        image = read_rgb(path)
    except ImageError:
        return  # any other exception fails the test
    assert image.dtype == np.uint8
    assert image.ndim == 3


def test_refusals_name_the_file_and_the_cure(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "folder.jpg").mkdir()
    with pytest.raises(ImageError, match=r"text\.jpg is not a picture that can be read: save it as JPEG or PNG"):
        read_rgb(tmp_path / "text.jpg")
    with pytest.raises(ImageError, match=r"there is no picture .*missing\.jpg"):
        read_rgb(tmp_path / "missing.jpg")
    with pytest.raises(ImageError, match=r"folder\.jpg cannot be opened: Is a directory"):
        read_rgb(tmp_path / "folder.jpg")


@pytest.mark.parametrize("size", [(10_001, 10_000), (20_000, 10_000)])  # above our limit, above Pillow's too
def test_picture_above_100_megapixels_is_refused_before_it_is_unpacked(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("1", size).save(tmp_path / "huge.png")
    with pytest.raises(ImageError, match=r"huge\.png is over the limit of 100 million pixels"):
        read_rgb(tmp_path / "huge.png")


def test_mask_keeps_palette_indices_and_refuses_colours(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    indices = (photo[:, :, 0] // 16).astype(np.uint8)
    palette = Image.fromarray(indices)
    palette.putpalette([200, 0, 0] * 256)  # colours that say nothing about the indices
    palette.save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), indices)
    write_image(tmp_path / "colour.png", photo)
    with pytest.raises(ImageError, match=r"colour\.png is no mask.*its mode is RGB"):
        read_mask(tmp_path / "colour.png")
    cv2.imwrite(str(tmp_path / "deep.png"), indices.astype(np.uint16))
    with pytest.raises(ImageError, match=r"deep\.png is no mask"):
        read_mask(tmp_path / "deep.png")


def test_list_images_is_sorted_and_leaves_out_what_is_no_picture(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "._a.png", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in list_images(tmp_path)] == ["a.png", "b.JPG"]
    with pytest.raises(ImageError, match="there is no folder"):
        list_images(tmp_path / "missing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match=r"there is no picture in .*empty: put"):
        list_images(tmp_path / "empty")


def test_write_image_refuses_an_ending_that_is_no_picture(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    with pytest.raises(ImageError, match=r"cannot write a picture as photo\.mp3: end its name in"):
        write_image(tmp_path / "photo.mp3", photo)
    assert list(tmp_path.iterdir()) == []


sizes = st.integers(1, 70)


@settings(deadline=None)
@given(
    image=hnp.arrays(np.uint8, st.tuples(sizes, sizes), elements=st.integers(0, 255)),
    height=sizes,
    width=sizes,
)
def test_resize_area_has_the_size_asked_for_and_stays_in_range(
    image: NDArray[np.uint8], height: int, width: int
) -> None:
    resized = resize_area(image, height, width)
    assert resized.shape == (height, width)
    assert resized.min() >= image.min()
    assert resized.max() <= image.max()


@settings(deadline=None)
@given(
    image=hnp.arrays(np.uint8, (11, 9), elements=st.integers(0, 255)), down=st.integers(1, 6), across=st.integers(1, 6)
)
def test_resize_area_averages_whole_blocks(image: NDArray[np.uint8], down: int, across: int) -> None:
    """Odd sizes: there the halving steps always end on whole blocks, and the average is exact."""
    blown_up = np.repeat(np.repeat(image, down, axis=0), across, axis=1)
    np.testing.assert_array_equal(resize_area(blown_up, 11, 9), image)


def test_resize_area_does_not_alias() -> None:
    """A fine grid at 5:1 becomes its mean grey; looking at every fifth pixel would make stripes of it."""
    grid = np.zeros((640, 640), np.uint8)
    grid[:, ::2] = 255
    np.testing.assert_allclose(resize_area(grid, 128, 128), 127.5, atol=26)
    # One axis shrinks while the other grows: OpenCV's INTER_AREA alone falls back to bilinear here.
    np.testing.assert_allclose(resize_area(grid[:100], 128, 128), 127.5, atol=26)


@settings(deadline=None)
@given(
    values=hnp.arrays(np.float32, st.tuples(sizes, sizes), elements=st.floats(0, 1, width=32)),
    height=sizes,
    width=sizes,
)
def test_resize_map_stays_in_range(values: NDArray[np.float32], height: int, width: int) -> None:
    resized = resize_map(values, height, width)
    assert resized.shape == (height, width)
    assert resized.min() >= values.min() - 1e-6
    assert resized.max() <= values.max() + 1e-6


def test_resize_map_has_half_pixel_centres() -> None:
    """Doubling [0, 1] gives 0, 1/4, 3/4, 1 with half-pixel centres and 0, 1/3, 2/3, 1 with aligned corners."""
    row = np.array([[0.0, 1.0]], np.float32)
    np.testing.assert_allclose(resize_map(row, 1, 4)[0], [0.0, 0.25, 0.75, 1.0], atol=1e-6)
