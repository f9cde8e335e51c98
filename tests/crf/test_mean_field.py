"""The fast sums against sums over all pairs of pixels."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_deeplab.crf.mean_field import DenseCrf, bilateral, gaussian, mean_field, normalized
from edge_deeplab.crf.permutohedral import PermutohedralLattice
from edge_deeplab.data.bundled import bundled_portrait
from edge_deeplab.errors import SpecError
from edge_deeplab.image import Rgb, resize_area

SIZE = (30, 32)


def noise() -> Rgb:
    return np.random.default_rng(1).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


def portrait() -> Rgb:
    return resize_area(bundled_portrait(), *SIZE)


def places(height: int, width: int) -> NDArray[np.float64]:
    return np.argwhere(np.ones((height, width)))


def all_pairs(features: NDArray[Any]) -> NDArray[np.float64]:
    """exp(-|x - y|^2 / 2) of every two points: (N, d) -> (N, N)."""
    return np.exp(-np.square(features[:, None] - features[None]).sum(axis=2) / 2)


def symmetric(kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    sums = kernel.sum(axis=0)
    return kernel / np.sqrt(np.outer(sums, sums))


def appearance(rgb: Rgb, alpha: float, beta: float) -> NDArray[np.float64]:
    return symmetric(all_pairs(np.hstack([places(*rgb.shape[:2]) / alpha, rgb.reshape(-1, 3) / beta])))


def smoothness(gamma: float) -> NDArray[np.float64]:
    return symmetric(all_pairs(places(*SIZE) / gamma))


@pytest.mark.parametrize("dimensions", [1, 2, 3, 5])
def test_the_lattice_is_a_gaussian_filter_in_any_dimension(dimensions: int) -> None:
    random = np.random.default_rng(dimensions)
    points, values = random.normal(0, 1.5, (400, dimensions)), random.random((2, 400), dtype=np.float32)
    kernel, lattice = all_pairs(points), PermutohedralLattice(points)
    found = lattice(values) / lattice(np.ones((1, 400), np.float32))
    expected = values @ kernel / kernel.sum(axis=0)
    assert np.sqrt(np.square(found - expected).mean()) < 0.2 * expected.std()
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.98


@pytest.mark.parametrize("picture", [portrait, noise])
@pytest.mark.parametrize(("alpha", "beta"), [(49.0, 5.0), (67.0, 3.0), (10.0, 20.0), (5.0, 60.0)])
def test_the_appearance_kernel_is_the_sum_over_all_pairs(picture: Any, alpha: float, beta: float) -> None:
    rgb, values = picture(), np.random.default_rng(2).random((2, *SIZE), dtype=np.float32)
    found = normalized(bilateral(rgb, alpha, beta), SIZE)(values)
    error = found.reshape(2, -1) - values.reshape(2, -1) @ appearance(rgb, alpha, beta)
    # The corners that the paper leaves out matter: 0.07 and 0.33 without them.
    assert np.sqrt(np.square(error).mean()) < 0.025
    assert np.abs(error).max() < 0.15


@pytest.mark.parametrize("gamma", [1.0, 3.0])
def test_the_smoothness_kernel_is_the_sum_over_all_pairs(gamma: float) -> None:
    values = np.random.default_rng(3).random((2, *SIZE), dtype=np.float32)
    found = normalized(gaussian(gamma), SIZE)(values)
    np.testing.assert_allclose(found.reshape(2, -1), values.reshape(2, -1) @ smoothness(gamma), rtol=2e-4)


def blobs(classes: int) -> NDArray[np.float32]:
    """Energies of classes that are likely here and there, (classes, *SIZE)."""
    random = np.random.default_rng(classes)
    scores = np.stack([cv2.GaussianBlur(plane, (0, 0), 2.5) for plane in random.normal(0, 12, (classes, *SIZE))])
    energies: NDArray[np.float32] = (np.log(np.exp(scores).sum(axis=0)) - scores).astype(np.float32)
    return energies


@pytest.mark.parametrize("picture", [portrait, noise])
@pytest.mark.parametrize("classes", [2, 4])
def test_the_mean_field_is_that_of_all_pairs(picture: Any, classes: int) -> None:
    rgb, unary, field = picture(), blobs(classes), DenseCrf(w1=4.0, sigma_alpha=20.0, sigma_beta=10.0)
    weighted = field.w1 * appearance(rgb, 20.0, 10.0) + field.w2 * smoothness(field.sigma_gamma)
    flat = unary.reshape(classes, -1).astype(np.float64)
    q = np.exp(-flat)
    first = q / q.sum(axis=0)
    q = first
    for _ in range(field.iterations):
        q = np.exp(q @ weighted - flat)
        q /= q.sum(axis=0)
    found = mean_field(unary, rgb, field).reshape(classes, -1)
    np.testing.assert_allclose(found.sum(axis=0), 1.0, atol=1e-5)
    assert np.abs(found - q).mean() < 0.02
    assert np.mean(found.argmax(axis=0) == q.argmax(axis=0)) > 0.975
    assert np.mean(first.argmax(axis=0) == q.argmax(axis=0)) < 0.95  # there was something to be found


def test_without_kernels_it_is_the_softmax_of_the_energies() -> None:
    unary = blobs(3)
    found = mean_field(unary, portrait(), DenseCrf(w1=0.0, w2=0.0))
    np.testing.assert_allclose(found, np.exp(-unary), rtol=1e-4)


def test_the_same_picture_gives_the_same_bytes() -> None:
    one, other = (mean_field(blobs(2), noise(), DenseCrf()) for _ in range(2))
    assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize(
    ("name", "value"),
    [("w1", -1.0), ("w2", float("nan")), ("sigma_alpha", 0.5), ("sigma_beta", float("inf")), ("iterations", 0)],
)
def test_parameters_that_do_not_exist_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(SpecError, match=name):
        DenseCrf(**{name: value})


def test_energies_of_another_picture_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(30, 32\) pixels for a picture of \(8, 8\)"):
        mean_field(blobs(2), noise()[:8, :8], DenseCrf())


def test_points_that_are_too_far_apart_to_be_numbered_are_refused() -> None:
    with pytest.raises(ValueError, match="too far apart"):
        PermutohedralLattice(np.diag([1e9, 1e9, 1e9]))
