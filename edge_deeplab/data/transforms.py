"""From a sample to what the network is trained or evaluated on: tensors of the network's size.

Everything random is drawn from torch's global generator, which a DataLoader seeds anew in each worker: a seed
before the loader is iterated decides all of it.

Cost: a photo of 228x304 takes 4 to 5 ms on one core (``benchmarks/data_loading.py``); a step of the network takes 47 ms
an image, so loading must stay far below it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as nn_functional
from torchvision.transforms.v2 import functional

from edge_deeplab.data.sample import MaskKind, Sample
from edge_deeplab.errors import SpecError
from edge_deeplab.image import resize_area

UNKNOWN = -1.0
"""The target of a pixel whose coverage counts neither in a loss nor in a score."""


@dataclass(frozen=True)
class Augmentation:
    """How strongly a training sample is changed. A range is (low, high); (1, 1), (0, 0) or a probability of 0 is off.

    The defaults are a plain recipe: geometry as in the DeepLab papers (random scale, flip; Chen et al. 2017,
    section 4.1, with a narrower range, since a portrait fills its frame), and mild photometric changes.

    Attributes:
        scale: zoom against the whole photo stretched to the network's size; above 1 it is a crop, below 1 the
            photo is mirrored beyond its borders. Drawn log-uniformly.
        aspect: width over height of the zoom: photos of every shape are stretched into one network. Log-uniform.
        rotation: largest angle in degrees, either way, as if the camera were turned (before the stretch).
        turn: probability that the photo stands on its side or upside down: a phone that was held so, a person who
            lies.
        flip: probability of a mirror image.
        brightness: range of the factor on all channels.
        contrast: range of the factor around the mean grey.
        saturation: range of the factor around each pixel's grey.
        tint: range of the factor on each channel for itself: light of another colour. (Instead of a turn of the
            hue, which makes green skin and costs as much as all the rest.)
        grey: probability of a picture without colour.
        blur: probability of a Gaussian blur.
        blur_sigma: its range in pixels of the network's input.
        noise: probability of Gaussian noise.
        noise_sigma: its range, in units of the value range [0, 1].
        background: probability that the surroundings of the person are replaced by another photo; coverage masks only.
    """

    scale: tuple[float, float] = (0.8, 1.6)
    aspect: tuple[float, float] = (0.8, 1.25)
    rotation: float = 15.0
    turn: float = 0.0
    flip: float = 0.5
    brightness: tuple[float, float] = (0.65, 1.35)
    contrast: tuple[float, float] = (0.7, 1.3)
    saturation: tuple[float, float] = (0.6, 1.4)
    tint: tuple[float, float] = (0.9, 1.1)
    grey: float = 0.05
    blur: float = 0.15
    blur_sigma: tuple[float, float] = (0.3, 1.8)
    noise: float = 0.2
    noise_sigma: tuple[float, float] = (0.005, 0.04)
    background: float = 0.0

    def __post_init__(self) -> None:
        for name in ("scale", "aspect", "brightness", "contrast", "saturation", "tint", "blur_sigma", "noise_sigma"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise SpecError(f"augmentation {name} is {low}..{high}: give two positive numbers, the lower one first")
        for name in ("turn", "flip", "grey", "blur", "noise", "background"):
            if not 0 <= getattr(self, name) <= 1:
                raise SpecError(f"augmentation {name} is {getattr(self, name)}: a probability lies in 0..1")
        if not 0 <= self.rotation <= 180:
            raise SpecError(f"augmentation rotation is {self.rotation}: give degrees in 0..180")


@dataclass(frozen=True)
class TrainingTransform:
    """A sample to a random variation of it, for training.

    Image, mask and what is ignored of it are resampled together, once. What lies beyond the photo's border is mirrored
    in all of them: a person who is cut by the border goes on instead of ending at an edge that no photo has, and its
    label goes with it.
    """

    height: int
    width: int
    mask_kind: MaskKind
    augmentation: Augmentation = Augmentation()

    def __call__(self, sample: Sample) -> tuple[Tensor, Tensor]:
        """Draw a variation.

        Returns:
            image: float32, (3, H, W), RGB in [0, 1].
            target: coverage as float32 (1, H, W) in [0, 1], UNKNOWN where a pixel is ignored, or only in part; class
                indices as int64 (H, W), 255 = ignore.
        """
        image, mask = torch.from_numpy(sample.image).permute(2, 0, 1), _planes(sample)
        if _chance(self.augmentation.turn):
            quarters = 1 + int(torch.randint(3, ()))
            image, mask = image.rot90(quarters, (1, 2)), mask.rot90(quarters, (1, 2))
        view = random_view(mask.shape[1:], self.augmentation)
        if self.mask_kind is MaskKind.COVERAGE:
            both = self._shrink(torch.cat([image, mask]), view).float().div_(255.0)
            both = _look(both, view, self.height, self.width, mode="bilinear").clamp_(0.0, 1.0)
            return recolour(both[:3], self.augmentation), _without_ignored(both[3:])
        pixels = self._shrink(image, view).float().div_(255.0)
        pixels = _look(pixels, view, self.height, self.width, mode="bilinear").clamp_(0.0, 1.0)
        indices = _look(mask.float(), view, self.height, self.width, mode="nearest")
        return recolour(pixels, self.augmentation), indices[0].long()

    def _shrink(self, planes: Tensor, view: Tensor) -> Tensor:
        """Average away what the resampling would skip: at most one pixel of the source for one of the network."""
        rows, columns = planes.shape[-2:]
        # Columns of `view` are the steps of half the output, in units of half the source: their length is 1/zoom.
        zoom_x, zoom_y = (1.0 / float(view[:, axis].norm()) for axis in (0, 1))
        size = [min(rows, math.ceil(self.height * zoom_y)), min(columns, math.ceil(self.width * zoom_x))]
        return planes if size == [rows, columns] else functional.resize_image(planes, size, antialias=True)


@dataclass(frozen=True)
class EvaluationTransform:
    """A sample to the network's size, exactly as the deployed pipeline resizes a frame."""

    height: int
    width: int
    mask_kind: MaskKind

    def __call__(self, sample: Sample) -> tuple[Tensor, Tensor]:
        """Resize image and mask. Returns: as :class:`TrainingTransform`."""
        image = torch.from_numpy(resize_area(sample.image, self.height, self.width)).permute(2, 0, 1)
        pixels = image.float().div_(255.0)
        if self.mask_kind is MaskKind.COVERAGE:
            planes = [resize_area(plane.numpy(), self.height, self.width) for plane in _planes(sample)]
            return pixels, _without_ignored(torch.from_numpy(np.stack(planes)).float().div_(255.0))
        mask = torch.from_numpy(sample.mask)[None, None].float()
        indices = nn_functional.interpolate(mask, (self.height, self.width), mode="nearest-exact")
        return pixels, indices[0, 0].long()


def random_view(shape: tuple[int, ...], augmentation: Augmentation) -> Tensor:
    """Draw the part of a photo that is looked at.

    Args:
        shape: (rows, columns) of the photo.
        augmentation: the ranges.

    Returns:
        float32, (2, 3): from the output's to the photo's coordinates, both of which run from -1 to 1 between the
        outer borders (x first), as :func:`torch.nn.functional.affine_grid` takes it. The identity is the whole photo.
    """
    rows, columns = shape
    zoom, aspect = _log_uniform(augmentation.scale), _log_uniform(augmentation.aspect)
    half_x, half_y = 1.0 / (zoom * math.sqrt(aspect)), math.sqrt(aspect) / zoom
    angle = math.radians(_uniform((-augmentation.rotation, augmentation.rotation)))
    mirror = -1.0 if _chance(augmentation.flip) else 1.0
    cos, sin, shape_ratio = math.cos(angle), math.sin(angle), columns / rows
    # The window stays within the photo where it is smaller, and around the photo where it is larger.
    centre_x, centre_y = (_uniform((-1.0, 1.0)) * abs(1.0 - half) for half in (half_x, half_y))
    return torch.tensor(
        [
            [mirror * half_x * cos, -half_y * sin / shape_ratio, centre_x],
            [mirror * half_x * sin * shape_ratio, half_y * cos, centre_y],
        ]
    )


def recolour(image: Tensor, augmentation: Augmentation) -> Tensor:
    """Change light, colour and sharpness at random: float32, (3, H, W), RGB in [0, 1], in and out."""
    image = functional.adjust_brightness(image, _uniform(augmentation.brightness))
    image = functional.adjust_contrast(image, _uniform(augmentation.contrast))
    image = functional.adjust_saturation(image, _uniform(augmentation.saturation))
    if augmentation.tint != (1.0, 1.0):
        gains = torch.tensor([_uniform(augmentation.tint) for _ in range(3)])
        image = (image * gains[:, None, None]).clamp_(0.0, 1.0)
    if _chance(augmentation.grey):
        image = functional.rgb_to_grayscale(image, num_output_channels=3)
    if _chance(augmentation.blur):
        sigma = _uniform(augmentation.blur_sigma)
        size = 2 * math.ceil(2.5 * sigma) + 1
        # A Gaussian is separable; torchvision convolves with the full square, which costs five times as much.
        for kernel in ([size, 1], [1, size]):
            image = functional.gaussian_blur(image, kernel, [sigma, sigma])
    if _chance(augmentation.noise):
        image = functional.gaussian_noise(image, sigma=_uniform(augmentation.noise_sigma))
    return image


def replace_background(sample: Sample, other: Sample) -> Sample:
    """Put the person of one photo in front of another photo, which is stretched to the same size.

    People in the other photo stay people: the coverage of both is joined, 1 - (1 - a)(1 - b).

    What is ignored of a photo may be a person: it comes along with the person and stays ignored, where another
    background would cut off the shoulders that a label lacks. What is ignored of the other photo stays ignored where it
    is seen.
    """
    height, width = sample.mask.shape
    behind, behind_mask = resize_area(other.image, height, width), resize_area(other.mask, height, width)
    shown = sample.mask if sample.ignored is None else np.where(sample.ignored, np.uint8(255), sample.mask)
    alpha = shown[:, :, None].astype(np.uint16)
    # +127 rounds the division by 255 to nearest; 255 * 255 + 127 still fits 16 bits.
    mixed: NDArray[np.uint8] = ((alpha * sample.image + (255 - alpha) * behind + 127) // 255).astype(np.uint8)
    free = (255 - sample.mask.astype(np.uint16)) * (255 - behind_mask)
    ignored = sample.ignored
    if other.ignored is not None:
        unknown = (resize_area(other.ignored.astype(np.uint8) * np.uint8(255), height, width) > 0) & (shown < 255)
        ignored = unknown if ignored is None else ignored | unknown
    return Sample(sample.id, sample.source, mixed, (255 - (free + 127) // 255).astype(np.uint8), ignored)


def _planes(sample: Sample) -> Tensor:
    """The mask, and as a second plane (0 or 255) what is ignored of it, if anything: uint8, (1 or 2, H, W)."""
    if sample.ignored is None:
        return torch.from_numpy(sample.mask)[None]
    return torch.from_numpy(np.stack([sample.mask, sample.ignored.astype(np.uint8) * np.uint8(255)]))


def _without_ignored(planes: Tensor) -> Tensor:
    """Resampled planes, float32, (1 or 2, H, W) in [0, 1], to a target, float32, (1, H, W)."""
    # Half a level of eight bits: the interpolation's rounding must not spread what is ignored by a pixel.
    return planes[:1].where(planes[1:] < 0.5 / 255, UNKNOWN) if len(planes) > 1 else planes


def _look(planes: Tensor, view: Tensor, height: int, width: int, *, mode: str) -> Tensor:
    grid = nn_functional.affine_grid(view[None], [1, planes.shape[0], height, width], align_corners=False)
    seen = nn_functional.grid_sample(planes[None], grid, mode=mode, padding_mode="reflection", align_corners=False)
    return seen[0]


def _uniform(bounds: tuple[float, float]) -> float:
    low, high = bounds
    return low + (high - low) * float(torch.rand(()))


def _log_uniform(bounds: tuple[float, float]) -> float:
    return math.exp(_uniform((math.log(bounds[0]), math.log(bounds[1]))))


def _chance(probability: float) -> bool:
    return float(torch.rand(())) < probability
