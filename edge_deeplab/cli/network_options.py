"""The options that say which network is built, for ``train``."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click

from edge_deeplab.models.family import (
    DEEPLAB_V1,
    DEEPLAB_V2,
    DEEPLAB_V3,
    DEEPLAB_V3_PLUS,
    with_backbone,
)
from edge_deeplab.settings import changed
from edge_deeplab.spec import Backbone, NetworkSpec

NETWORK_OPTIONS = ("backbone", "width", "channel_divisor", "head", "head_channels", "settings")
"""The names of their parameters; not the output stride's, which fits every network's weights."""

_HEADS = {"v1": DEEPLAB_V1, "v2": DEEPLAB_V2, "v3": DEEPLAB_V3, "v3+": DEEPLAB_V3_PLUS}


def _table(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals:
            raise click.BadParameter(f"{value!r} is no setting: write KEY=VALUE, such as multi_grid=[1,2,4]")
        try:
            table[name.strip()] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            table[name.strip()] = text.strip()  # a word, without the quotes that a shell takes off anyway
    return table


_OPTIONS = (
    click.option(
        "--backbone",
        type=click.Choice([str(backbone) for backbone in Backbone]),
        default=str(Backbone.MOBILENET_V2),
        show_default=True,
    ),
    click.option("--width", default=1.0, show_default=True, help="The backbone's width multiplier."),
    click.option(
        "--channel-divisor",
        default=8,
        show_default=True,
        help="MobileNetV2's channels are multiples of it: 4 for the published DeepLabs of width 0.5.",
    ),
    click.option("--output-stride", type=int, help="8, 16 or 32: 8 for the heads v1 and v2, otherwise 16."),
    click.option(
        "--head",
        type=click.Choice(list(_HEADS)),
        default="v3+",
        show_default=True,
        help="Of this version of DeepLab, as it was published (docs/family.md).",
    ),
    click.option("--head-channels", default=128, show_default=True, help="Channels of ASPP and decoder."),
    click.option(
        "--set",
        "settings",
        metavar="KEY=VALUE",
        multiple=True,
        callback=_table,
        help="Any part of the network, as in a recipe's [model.network]: multi_grid=[1,2,4], padding=same.",
    ),
)


def network_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command these options, as ``network``, number of classes -> NetworkSpec, and ``output_stride``."""

    @functools.wraps(command)
    def with_network(
        *args: Any,
        backbone: str,
        width: float,
        channel_divisor: int,
        output_stride: int | None,
        head: str,
        head_channels: int,
        settings: dict[str, Any],
        **kwargs: Any,
    ) -> Any:
        def network(num_classes: int) -> NetworkSpec:
            published = with_backbone(_HEADS[head], Backbone(backbone))
            given = replace(
                published,
                width_multiplier=width,
                channel_divisor=channel_divisor,
                output_stride=published.output_stride if output_stride is None else output_stride,
                aspp_channels=head_channels,
                decoder_channels=head_channels,
                num_classes=num_classes,
            )
            return changed(given, settings, "--set")

        return command(*args, network=network, output_stride=output_stride, **kwargs)

    for option in reversed(_OPTIONS):
        with_network = option(with_network)
    return with_network
