"""Quantization after training: from a float network and photos to what an int8 file is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from calibration.adaround import Rounding
from calibration.choose import PHOTOS, best_observers
from calibration.collect import DEFAULT_OBSERVER, Observations, observe, ranges_from
from calibration.equalize import equalize
from calibration.reconstruct import reconstruct
from edge_deeplab.image import Rgb, resize_area
from edge_deeplab.models.deeplab import DeepLab
from edge_deeplab.quantization.graph import QuantizationGraph
from edge_deeplab.quantization.observers import BEST
from edge_deeplab.quantization.ranges import QuantRanges
from edge_deeplab.quantization.unfold import network_of
from edge_deeplab.spec import ModelSpec

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much."""


@dataclass(frozen=True)
class PtqMethods:
    """What is done to a network; each for itself.

    Attributes:
        observer: a name of :data:`edge_deeplab.quantization.observers.OBSERVERS`, or
            :data:`edge_deeplab.quantization.observers.BEST`.
        equalize: cross-layer equalization; changes weights.
        adaround: learned rounding of the weights, or None: to nearest; changes weights.
        bias_correction: take back in the biases what is lost on average.
        seed: of the positions that AdaRound looks at.
    """

    observer: str = DEFAULT_OBSERVER
    equalize: bool = False
    adaround: Rounding | None = None
    bias_correction: bool = True
    seed: int = 0

    @property
    def changes_weights(self) -> bool:
        """Whether the quantized network is another checkpoint than the float one."""
        return self.equalize or self.adaround is not None


@dataclass(frozen=True)
class Quantized:
    """A network ready for the int8 writer.

    Attributes:
        network: the one that was given where the methods change no weight.
        graph: of this network.
    """

    network: DeepLab
    graph: QuantizationGraph
    _ranges: QuantRanges

    def ranges(self, checkpoint_sha256: str) -> QuantRanges:
        """The ranges, for the network saved as the checkpoint with this hash."""
        return replace(self._ranges, checkpoint_sha256=checkpoint_sha256)


def quantize(
    network: DeepLab,
    spec: ModelSpec,
    images: Iterable[Rgb],
    methods: PtqMethods,
    *,
    progress: Progress = lambda stage, done, total: None,
) -> Quantized:
    """Observe, equalize, choose the ranges, round the weights, correct the biases: as far as the methods say.

    Args:
        network: trained; left as it is.
        spec: its size and classes.
        images: RGB, uint8, HxWx3, of any size.
        methods: what to do.
        progress: see :data:`Progress`.

    Raises:
        CalibrationError, ConversionError, RangesError, SpecError: as :func:`calibration.collect.observe` and
            :func:`calibration.collect.ranges_from`.
    """
    pixels = [resize_area(image, spec.height, spec.width) for image in images]

    def observed(of: DeepLab) -> Observations:
        return observe(of, spec, pixels, progress=lambda done: progress("observing the activations", done, len(pixels)))

    observations = observed(network)
    if methods.equalize:
        network = network_of(equalize(observations.graph, observations.peaks), spec.network)
        observations = observed(network)
    stacked = np.stack(pixels)
    ranges = ranges_from(
        observations,
        checkpoint_sha256="",
        observer=best_observers(observations, stacked[:PHOTOS], progress=partial(progress, "choosing the observers"))
        if methods.observer == BEST
        else methods.observer,
        bias_correction=methods.bias_correction,
    )
    graph = observations.graph
    if methods.adaround is not None:
        graph, ranges = reconstruct(
            graph,
            ranges,
            stacked,
            methods.adaround,
            bias_correction=methods.bias_correction,
            seed=methods.seed,
            progress=partial(progress, "learning the rounding"),
        )
        network = network_of(graph, spec.network)
    return Quantized(network, graph, ranges)
