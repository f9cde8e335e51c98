"""Whether an imported network computes what the file's does: layer by layer, or as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge_deeplab.errors import ParityError
from edge_deeplab.importing.layers import Layer, SourceDeepLab
from edge_deeplab.importing.network import normalized_layers
from edge_deeplab.models.deeplab import DeepLab

# Sums of a few hundred products in another order: some ulps of the greatest one. A lost ReLU, a wrong epsilon or a
# moved tap is beyond it by orders of magnitude.
TOLERANCE = 1e-4
_FEWEST = 0.98  # part of the pixels whose class must be the same in the end
_FEWEST_QUANTIZED = 0.9  # likewise, where the file's activations are rounded to 256 steps and ours are not


@dataclass(frozen=True)
class LayerDifference:
    """How far one of our layers is from the file's, given the same input.

    Attributes:
        name: in the file.
        greatest: of the absolute differences, over the greatest absolute value that the file's layer gives.
    """

    name: str
    greatest: float


@dataclass(frozen=True)
class ImportParity:
    """The comparison of one picture.

    Attributes:
        layers: in the order of execution.
        same_class: part of the pixels of the logits' map, without the outer ones, that both give to the same class.
    """

    layers: tuple[LayerDifference, ...]
    same_class: float

    @property
    def worst(self) -> LayerDifference:
        """The layer with the greatest difference."""
        return max(self.layers, key=lambda layer: layer.greatest)

    def require(self, source: str) -> None:
        """Refuse a network that differs.

        Raises:
            ParityError: a layer differs by more than float32's rounding, or too many pixels change their class.
        """
        if not self.worst.greatest <= TOLERANCE:
            raise ParityError(
                f"{source}: {self.worst.name} differs from the file's by {self.worst.greatest:.1e} of its greatest "
                f"value, and {TOLERANCE:.0e} is allowed: this file cannot be imported"
            )
        _require_same_class(self.same_class, _FEWEST, source)


def compared_tensors(found: SourceDeepLab) -> list[str]:
    """Names of the tensors that :func:`compare_layers` wants from the file's own runtime, each once."""
    layers = (*found.normalized, found.classifier)
    return list(dict.fromkeys(name for layer in layers for name in (layer.reads, layer.gives)))


def compare_layers(network: DeepLab, found: SourceDeepLab, values: Mapping[str, NDArray[np.float32]]) -> ImportParity:
    """Give each of our layers what the file's layer was given, and compare what comes out.

    The border of the first layer and of the whole is left out: there our zeros are black, and the file's are its mean.

    Args:
        network: from :func:`edge_deeplab.importing.network.build_imported`.
        found: the file's layers.
        values: name to what the file's runtime computed on one picture: float32, (1, rows, columns, channels), for
            every name of :func:`compared_tensors`.
    """
    with torch.inference_mode():
        first = _unnormalized(_nchw(values[found.backbone[0].reads]), found)
        differences = [_first_difference(network, found.backbone[0], first, values)]
        for layer, target in zip(found.normalized[1:], normalized_layers(network)[1:], strict=True):
            received = _our_order(_nchw(values[layer.reads]), layer, found)
            differences.append(_difference(layer.name, target(received), _nchw(values[layer.gives])))
        read, given = (_nchw(values[name]) for name in (found.classifier.reads, found.classifier.gives))
        differences.append(_difference(found.classifier.name, network.classifier(read), given))
        ours = network.classifier(network.aspp(network.backbone(first)[1]))
    return ImportParity(tuple(differences), _same_class(ours, given))


def compare_scores(ours: Tensor, theirs: Tensor) -> ImportParity:
    """Compare what two networks make of one picture.

    Args:
        ours: logits, float, (1, classes, rows, columns).
        theirs: likewise.

    Returns:
        The comparison, with "the map of scores" as its one layer.

    Raises:
        ParityError: they are of different sizes.
    """
    return ImportParity((_difference("the map of scores", ours, theirs),), _same_class(ours, theirs))


def same_classes(network: DeepLab, rgb: NDArray[np.uint8], logits: NDArray[np.generic], source: str) -> float:
    """Compare the classes that a quantized file sees with ours, at the size of the logits.

    Args:
        network: the imported one.
        rgb: the picture, uint8, of the network's size.
        logits: what the file's runtime gives for it, (1, rows, columns, classes), as integers or real numbers.
        source: the file, for the error message.

    Returns:
        Part of the pixels, without the outer ones, that both give to the same class.

    Raises:
        ParityError: it is less than nine in ten.
    """
    with torch.inference_mode():
        image = torch.from_numpy(rgb.astype(np.float32) / 255).permute(2, 0, 1)[None]
        ours = network.classifier(network.aspp(network.backbone(image)[1]))
    part = _same_class(ours, _nchw(logits.astype(np.float32)))
    _require_same_class(part, _FEWEST_QUANTIZED, source)
    return part


def _require_same_class(part: float, fewest: float, source: str) -> None:
    if not part >= fewest:
        raise ParityError(
            f"{source}: only {part:.1%} of the pixels keep their class, and {fewest:.0%} must: it cannot be imported"
        )


def _first_difference(
    network: DeepLab, layer: Layer, first: Tensor, values: Mapping[str, NDArray[np.float32]]
) -> LayerDifference:
    inner = (..., slice(1, -1), slice(1, -1))
    return _difference(layer.name, normalized_layers(network)[0](first)[inner], _nchw(values[layer.gives])[inner])


def _difference(name: str, ours: Tensor, theirs: Tensor) -> LayerDifference:
    if ours.shape != theirs.shape:
        raise ParityError(f"{name} gives {tuple(ours.shape)}, and in the file {tuple(theirs.shape)}")
    return LayerDifference(name, float((ours - theirs).abs().max() / theirs.abs().max()))


def _our_order(received: Tensor, layer: Layer, found: SourceDeepLab) -> Tensor:
    """What the projection reads, in our order of branches."""
    if layer is not found.projection:
        return received
    parts = received.chunk(len(found.branch_order), dim=1)
    return torch.cat([parts[place] for place in found.branch_order], dim=1)


def _same_class(ours: Tensor, theirs: Tensor) -> float:
    inner = (..., slice(2, -2), slice(2, -2))
    return float((ours.argmax(1)[inner] == theirs.argmax(1)[inner]).float().mean())


def _unnormalized(x: Tensor, found: SourceDeepLab) -> Tensor:
    mean, deviation = (_channels(values) for values in (found.mean, found.deviation))
    return x * deviation + mean


def _channels(values: Sequence[float]) -> Tensor:
    return torch.tensor(values).view(1, 3, 1, 1)


def _nchw(values: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values.transpose(0, 3, 1, 2)))
