"""What quantization does to a network, on one picture: the noise of every layer, and a closer look at the worst."""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.quantization.affine import WEIGHT_MAX
from edge_deeplab.quantization.graph import QuantizationGraph
from edge_deeplab.quantization.mixed_precision import MixedPrecision
from edge_deeplab.quantization.observers import Histogram
from edge_deeplab.quantization.ranges import ActivationRange, QuantRanges
from edge_deeplab.quantization.sensitivity import LayerSensitivity, Sensitivity, float_histograms

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WORST = 6
_BINS = 120
_EXACT = 100.0  # dB: nothing but float32's own rounding; 8 bits reach 50 to 60
# Okabe and Ito's colours (2008), told apart by people with any kind of colour vision.
_BLUE, _ORANGE, _GREEN, _RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
_GREY = "#999999"


def sensitivity_picture(
    sensitivity: Sensitivity,
    mixed: MixedPrecision,
    graph: QuantizationGraph,
    ranges: QuantRanges,
    pixels: NDArray[np.uint8],
    *,
    title: str,
) -> bytes:
    """Draw a network's sensitivity.

    From top to bottom: the answer in a sentence; SQNR in order of execution, accumulated and added; the mean error that
    each layer makes alone; for the worst six the histogram of the float values with the int8 range, and the largest
    weight of every channel with the range that its scale gives.

    Args:
        sensitivity: of this network and these ranges.
        mixed: what it wins to leave layers wider.
        graph: the float network.
        ranges: its ranges.
        pixels: the photos, RGB, uint8, (N, H, W, 3), at the network's size, for the histograms.
        title: the first line.

    Returns:
        A PNG file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    worst = sensitivity.worst(_WORST)
    histograms = float_histograms(graph, pixels, [layer.layer for layer in worst])
    figure = Figure(figsize=(18, 15), dpi=90, layout="constrained")
    FigureCanvasAgg(figure)  # draws into memory, whatever screen there is or is not
    figure.suptitle(f"{title}\n{_answer(sensitivity, mixed)}", fontsize=13)
    rows = figure.add_gridspec(4, len(worst), height_ratios=(1.3, 1.0, 1.0, 0.8))
    ratios = figure.add_subplot(rows[0, :])
    _draw_ratios(ratios, sensitivity.layers)
    _draw_errors(figure.add_subplot(rows[1, :], sharex=ratios), sensitivity, {layer.layer for layer in worst})
    for column, layer in enumerate(worst):
        values, weights = (figure.add_subplot(rows[row, column]) for row in (2, 3))
        _draw_histogram(values, layer, histograms[layer.layer], ranges.activation(layer.layer))
        _draw_weights(weights, *_channel_peaks(graph, ranges, layer.layer))
        if column == 0:
            values.set_ylabel("how often (log)")
            weights.set_ylabel("weights (log)")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _answer(sensitivity: Sensitivity, mixed: MixedPrecision) -> str:
    """The whole network's loss, and what the mixed-precision answer wins back of it."""
    whole = sensitivity.whole
    loss = (
        f"all layers in int8: mean error {whole.mean_error:.5f}, {whole.mask_agreement:.2%} of the pixels decided alike"
    )
    if not mixed.steps:
        return f"{loss}; no layer in float wins anything"
    first, last = mixed.steps[0], mixed.steps[-1]
    gain = f"{first.layer} in float: {first.in_float.mean_error:.5f}"
    more = f"; {len(mixed.steps) - 1} more: {last.in_float.mean_error:.5f}" if len(mixed.steps) > 1 else ""
    return f"{loss}; with {gain}{more}"


def _draw_ratios(axes: Axes, layers: Sequence[LayerSensitivity]) -> None:
    """Infinite ratios (nothing is lost) are left out."""
    places = np.arange(len(layers))
    for values, label, style in (
        ([layer.by_weights for layer in layers], "added by its weights", {"marker": "v", "ls": "", "color": _ORANGE}),
        ([layer.by_activation for layer in layers], "added by its output", {"marker": "^", "ls": "", "color": _GREEN}),
        ([layer.added for layer in layers], "added by the layer", {"marker": ".", "lw": 1, "color": _BLUE}),
        ([layer.accumulated for layer in layers], "accumulated", {"lw": 2, "color": "black"}),
    ):
        shown = np.where(np.isfinite(values) & (np.array(values) < _EXACT), values, np.nan)
        axes.plot(places, shown, label=label, markersize=5, **style)
    axes.set_ylabel("signal to quantization\nnoise in dB (high is good)")
    axes.set_xticks(places)
    axes.tick_params(labelbottom=False)
    axes.set_xlim(-1, len(layers))
    axes.grid(alpha=0.3)
    axes.legend(ncols=4, loc="lower right", bbox_to_anchor=(1, 1), frameon=False)  # above: the points fill the axes


def _draw_errors(axes: Axes, sensitivity: Sensitivity, worst: Collection[str]) -> None:
    layers = sensitivity.layers
    for colour, label, members in (
        (_RED, f"the worst {len(worst)}, seen closer below", {layer.layer for layer in layers if layer.layer in worst}),
        (_BLUE, "others", {layer.layer for layer in layers if layer.layer not in worst and not layer.fixed}),
        (_GREY, "input and output, whose range the contract fixes", {layer.layer for layer in layers if layer.fixed}),
    ):
        places = [place for place, layer in enumerate(layers) if layer.layer in members]
        axes.bar(places, [layers[place].alone.mean_error for place in places], color=colour, label=label)
    axes.axhline(sensitivity.whole.mean_error, color="black", ls="--", label="all layers together")
    axes.legend(ncols=4, loc="lower right", bbox_to_anchor=(1, 1), frameon=False)
    axes.set_ylabel("mean error of the probabilities\nif only this layer is int8")
    axes.set_xticks(np.arange(len(layers)), [layer.layer for layer in layers], rotation=90, fontsize=7)
    axes.margins(y=0.15)
    axes.grid(axis="y", alpha=0.3)


def _draw_histogram(axes: Axes, layer: LayerSensitivity, seen: Histogram, given: ActivationRange) -> None:
    low, high = min(seen.low, given.affine.low), max(seen.high, given.affine.high)
    counts, edges = np.histogram(seen.centres(), bins=_BINS, range=(low, high), weights=seen.counts)
    axes.stairs(np.maximum(counts, 0.5), edges, fill=True, color=_BLUE, baseline=0.5)
    axes.set_yscale("log")
    axes.axvspan(given.affine.low, given.affine.high, color=_GREEN, alpha=0.15)
    for end in (given.affine.low, given.affine.high):
        axes.axvline(end, color=_GREEN)
    axes.set_title(f"{layer.layer}\nadded {layer.added:.1f} dB, clipped {layer.clipped:.3%}", fontsize=9)
    axes.set_xlabel("float values; green: the int8 range", fontsize=8)
    axes.tick_params(labelsize=7)


def _channel_peaks(
    graph: QuantizationGraph, ranges: QuantRanges, layer: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Largest weight of each channel and the largest that its scale holds, float64; both empty without weights."""
    for convolution in graph.convolutions:
        if convolution.output == layer:
            weights = graph.conv(convolution).weight.detach().numpy()
            peaks = np.abs(weights.reshape(len(weights), -1)).max(axis=1).astype(np.float64)
            return peaks, ranges.weight(convolution.name).array() * float(WEIGHT_MAX)
    return np.array([]), np.array([])


def _draw_weights(axes: Axes, peaks: NDArray[np.float64], limits: NDArray[np.float64]) -> None:
    alive = np.flatnonzero(peaks)  # channels of zeros have no place on a logarithmic axis, and lose nothing
    if alive.size < 2:
        words = "no weights" if not peaks.size else f"{peaks.size} output channel\nlargest |weight| {peaks.max():.3g}"
        axes.set_axis_off()
        axes.text(0.5, 0.5, words, ha="center", va="center", transform=axes.transAxes)
        return
    order = alive[np.argsort(peaks[alive])]
    axes.semilogy(peaks[order], color=_BLUE, marker=".", ls="", label="largest |weight|")
    axes.semilogy(limits[order], color=_GREEN, lw=1, label="127 steps of its scale")
    left_out = peaks.size - alive.size
    zeros = f" ({left_out} of zeros left out)" if left_out else ""
    axes.set_xlabel(f"output channels, by size{zeros}", fontsize=8)
    axes.tick_params(which="both", labelsize=7)
    axes.legend(fontsize=7)
