"""The fully connected conditional random field of DeepLab V1 and V2, by mean field inference.

Every two pixels of a picture are connected (Krähenbühl and Koltun 2011, arXiv 1210.5644). The energy of DeepLab (Chen
et al. 2015, arXiv 1412.7062, section 3.2; Chen et al. 2016, arXiv 1606.00915, section 3.3) has, for pixels i and j of
different classes, at the places p with the colours I,

    w1 exp(-|p_i - p_j|^2 / 2 sigma_alpha^2 - |I_i - I_j|^2 / 2 sigma_beta^2) + w2 exp(-|p_i - p_j|^2 / 2 sigma_gamma^2)

As in the authors' programs, and unlike in the formula, each kernel is normalized symmetrically, K_ij / sqrt(K_i K_j)
with K_i its sum over all pixels, so that the weights do not depend on the size of the picture; and a pixel is counted
among its own neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_deeplab.crf.permutohedral import PermutohedralLattice
from edge_deeplab.errors import SpecError
from edge_deeplab.image import Rgb

Planes = NDArray[np.float32]
"""float32, (C, H, W): one map for each class."""

Kernel = Callable[[Planes], Planes]
"""For every pixel the sum of all pixels' values, weighted by a kernel."""

_REACH = 5  # standard deviations after which a Gaussian, 4e-6 there, ends


@dataclass(frozen=True)
class DenseCrf:
    """The field's parameters, in the papers' words.

    The defaults are those of the authors' script for DeepLab-LargeFOV. They lie within the ranges that V2 searched
    (Chen et al. 2016, section 4.1: w1 3 to 6, sigma_alpha 30 to 100, sigma_beta 3 to 6; w2 = 3, sigma_gamma = 3 and 10
    iterations fixed).

    Attributes:
        w1: weight of the appearance (bilateral) kernel.
        sigma_alpha: its reach in the picture, pixels.
        sigma_beta: its reach among colours, code values 0..255.
        w2: weight of the smoothness (Gaussian) kernel.
        sigma_gamma: its reach, pixels.
        iterations: steps of mean field inference.
    """

    w1: float = 4.0
    sigma_alpha: float = 49.0
    sigma_beta: float = 5.0
    w2: float = 3.0
    sigma_gamma: float = 3.0
    iterations: int = 10

    def __post_init__(self) -> None:
        for name in ("w1", "w2"):
            if not 0 <= getattr(self, name) < math.inf:
                raise SpecError(f"the CRF's {name} is {getattr(self, name)}: it must be 0 or more")
        for name in ("sigma_alpha", "sigma_beta", "sigma_gamma"):
            if not 1 <= getattr(self, name) < math.inf:
                raise SpecError(f"the CRF's {name} is {getattr(self, name)}: it must be at least 1")
        if self.iterations < 1:
            raise SpecError(f"the CRF's iterations are {self.iterations}: there must be at least 1")


def mean_field(unary: Planes, rgb: Rgb, parameters: DenseCrf) -> Planes:
    """Infer how probable each class is at each pixel, given the picture.

    Args:
        unary: each class's energy, -log of the network's probability: float32, (C, H, W), finite, 2 classes or more.
        rgb: the picture, RGB, uint8, HxWx3.
        parameters: of the field.

    Returns:
        Q, float32, (C, H, W), 0..1, of sum 1 at each pixel (Krähenbühl and Koltun 2011, algorithm 1).

    Raises:
        ValueError: the sizes differ.
    """
    if unary.shape[1:] != rgb.shape[:2]:
        raise ValueError(f"energies of {unary.shape[1:]} pixels for a picture of {rgb.shape[:2]}")
    height, width = rgb.shape[:2]
    appearance = bilateral(rgb, parameters.sigma_alpha, parameters.sigma_beta)
    weighted = [
        (parameters.w1, normalized(appearance, (height, width))),
        (parameters.w2, normalized(gaussian(parameters.sigma_gamma), (height, width))),
    ]
    # Potts: all other classes vote against a class. That is its own votes for it, and a term that all classes share.
    # The classes sum to 1, so the last one's votes are what the others leave of the votes of ones.
    everybody = [kernel(np.ones_like(unary[:1])) for _, kernel in weighted]
    q = _softmax(-unary)
    for _ in range(parameters.iterations):
        energies = -unary
        for (weight, kernel), total in zip(weighted, everybody, strict=True):
            votes = kernel(q[:-1])
            energies[:-1] += np.float32(weight) * votes
            energies[-1:] += np.float32(weight) * (total - votes.sum(axis=0))
        q = _softmax(energies)
    return q


def bilateral(rgb: Rgb, sigma_alpha: float, sigma_beta: float) -> Kernel:
    """The appearance kernel of a picture, up to a factor; by a permutohedral lattice in five dimensions.

    Args:
        rgb: RGB, uint8, HxWx3.
        sigma_alpha: pixels.
        sigma_beta: code values.
    """
    height, width = rgb.shape[:2]
    rows, columns = np.mgrid[:height, :width] / sigma_alpha
    lattice = PermutohedralLattice(np.dstack([rows, columns, rgb / sigma_beta]).reshape(-1, 5))
    return lambda values: lattice(values.reshape(len(values), -1)).reshape(values.shape)


def gaussian(sigma: float) -> Kernel:
    """The smoothness kernel, up to a factor; ``sigma`` in pixels. Outside of the picture is nothing."""
    side = 2 * math.ceil(_REACH * sigma) + 1

    def blurred(values: Planes) -> Planes:
        planes = [cv2.GaussianBlur(plane, (side, side), sigma, borderType=cv2.BORDER_CONSTANT) for plane in values]
        return np.asarray(np.stack(planes), np.float32)

    return blurred


def normalized(kernel: Kernel, size: tuple[int, int]) -> Kernel:
    """A kernel divided by the roots of its sums at both pixels, for values of a size (height, width)."""
    scale = 1.0 / np.sqrt(kernel(np.ones((1, *size), np.float32)))
    return lambda values: scale * kernel(scale * values)


def _softmax(energies: Planes) -> Planes:
    """Over the classes: float32, (C, H, W)."""
    q: Planes = np.exp(energies - energies.max(axis=0))
    q /= q.sum(axis=0)
    return q
