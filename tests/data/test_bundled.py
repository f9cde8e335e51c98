"""The pictures that ship with the package."""

from __future__ import annotations

import numpy as np

from edge_deeplab.data.bundled import bundled_images, bundled_portrait


def test_same_bytes_on_each_call_and_no_two_alike() -> None:
    first, second = bundled_images(), bundled_images()
    assert [name for name, _ in first] == [name for name, _ in second]
    for (_, one), (_, other) in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len({name for name, _ in first}) == 16
    assert len({image.tobytes() for _, image in first}) == 16


def test_caller_may_change_what_it_got() -> None:
    for _, image in bundled_images():
        image[:] = 0
    assert bundled_portrait().any()
    assert all(image.any() for _, image in bundled_images())


def test_sizes_are_varied_odd_ones_among_them() -> None:
    images = [image for _, image in bundled_images()]
    shapes = [image.shape for image in images]
    assert all(image.dtype == np.uint8 and image.shape[2] == 3 and image.flags.c_contiguous for image in images)
    assert len(set(shapes)) >= 12
    assert any(rows % 2 and columns % 2 for rows, columns, _ in shapes)
    assert any(rows > columns for rows, columns, _ in shapes)
    assert any(rows < columns for rows, columns, _ in shapes)


def test_light_differs_as_the_names_say() -> None:
    images = dict(bundled_images())
    means = {name: float(image.mean()) for name, image in images.items()}
    assert means["dark"] < 0.5 * means["whole"] < means["whole"] < means["overexposed"]
    assert images["low-contrast"].std() < 0.5 * images["whole"].std()
    assert np.ptp(images["grey"].astype(int), axis=2).max() == 0
