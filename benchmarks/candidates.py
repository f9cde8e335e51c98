"""The networks among which one is chosen: from a TOML file with grids of settings to their int8 files."""

from __future__ import annotations

import itertools
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from calibration.images import bundled_calibration
from calibration.ptq import PtqMethods, quantize
from calibration.save import save_quantized
from converters.tflite import float32_flatbuffer
from converters.tflite_int8 import convert
from edge_deeplab.errors import SpecError
from edge_deeplab.models.deeplab import DeepLab, build_network
from edge_deeplab.models.loading import save_state
from edge_deeplab.quantization.ranges import load_ranges, ranges_path
from edge_deeplab.spec import ModelSpec, NetworkSpec

_SEED, _BATCH, _PHOTOS = 0, 4, 8
# Latency depends on no weight and no range: whatever is quickest to observe will do.
_METHODS = PtqMethods(observer="min-max", bias_correction=False)


def candidate_name(spec: ModelSpec) -> str:
    """``w1-a96-d64-s32-r4.8-os16-256``: width, ASPP, decoder, skip, atrous rates, output stride, input size.

    A backbone whose channels are no multiples of 8 has ``-c4`` or the like behind its width, one without its last
    bottleneck ``-b16``, the number of those that are left.

    Raises:
        SpecError: a network that the name would not tell from another one.
    """
    network = spec.network
    rates = ".".join(map(str, network.atrous_rates))
    divisor = "" if network.channel_divisor == NetworkSpec().channel_divisor else f"-c{network.channel_divisor}"
    last = "" if network.last_bottleneck else "-b16"
    told = NetworkSpec(
        width_multiplier=network.width_multiplier,
        channel_divisor=network.channel_divisor,
        aspp_channels=network.aspp_channels,
        decoder_channels=network.decoder_channels,
        skip_channels=network.skip_channels,
        atrous_rates=network.atrous_rates,
        output_stride=network.output_stride,
        last_bottleneck=network.last_bottleneck,
    )
    if (network, spec.height) != (told, spec.width):
        raise SpecError(f"{spec} differs from the candidates in what their names do not tell: it is none of them")
    return (
        f"w{network.width_multiplier:g}{divisor}{last}-a{network.aspp_channels}-d{network.decoder_channels}-s{network.skip_channels}"
        f"-r{rates}-os{network.output_stride}-{spec.height}"
    )


def read_candidates(path: Path) -> dict[str, ModelSpec]:
    """Name to specification of every network in a file, each once, in the file's order.

    Raises:
        SpecError: not TOML, no grid, or a grid with an unknown setting or a setting of the wrong kind.
    """
    try:
        grids = tomllib.loads(path.read_text(encoding="utf-8"))["grid"]
        specs = [_spec(dict(zip(grid, values, strict=True))) for grid in grids for values in _combinations(grid)]
    except OSError as error:
        raise SpecError(f"there is no list of candidates {path}") from error
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise SpecError(
            f"{path} is no list of candidates ({error!r}): give [[grid]] tables whose values are lists, as "
            "benchmarks/architecture_search.toml does"
        ) from error
    return {candidate_name(spec): spec for spec in specs}


def _combinations(grid: Mapping[str, list[Any]]) -> itertools.product[tuple[Any, ...]]:
    if not all(isinstance(values, list) and values for values in grid.values()):
        raise ValueError("a setting that is no list of values")
    return itertools.product(*grid.values())


def _spec(settings: dict[str, Any]) -> ModelSpec:
    size = settings.pop("size")
    settings["atrous_rates"] = tuple(settings["atrous_rates"])
    return ModelSpec(network=NetworkSpec(**settings), height=size, width=size)


def random_network(spec: ModelSpec) -> DeepLab:
    """A network with random weights, in eval mode; the same at every call.

    Its BatchNorms have the statistics of what it makes of noise: with those that a new network has, activations would
    fade from layer to layer until nothing is left to be quantized.
    """
    torch.manual_seed(_SEED)
    network = build_network(spec.network)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # the running statistics become this batch's
    with torch.no_grad():
        network.train()(torch.rand(_BATCH, 3, spec.height, spec.width))
    return network.eval()


def write_int8(spec: ModelSpec, path: Path) -> None:
    """Write the int8 TFLite file of a random network, uint8 in and out as the shipped ones, and its sidecar.

    Half a minute.

    Raises:
        ConversionError: a converter failed.
        OutputError: the place cannot be written to.
    """
    network = random_network(spec)
    with tempfile.TemporaryDirectory() as folder:
        source, checkpoint = Path(folder) / "float.safetensors", Path(folder) / "int8.safetensors"
        save_state(source, spec, network.state_dict(), notes={})
        save_quantized(checkpoint, quantize(network, spec, bundled_calibration(_PHOTOS), _METHODS), _METHODS, source)
        convert(checkpoint, path, load_ranges(ranges_path(checkpoint)), float32_flatbuffer(checkpoint)).write_sidecar()
