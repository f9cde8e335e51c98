"""LiteRT's delegate for Android's Neural Networks API.

The documentation is tensorflow/lite/g3doc/android/delegates/nnapi.md, which also says that the delegate is deprecated;
the source is tensorflow/lite/delegates/nnapi/nnapi_delegate.cc.
"""

from __future__ import annotations

from collections.abc import Iterator

from edge_deeplab.doctor.facts import Alignment
from edge_deeplab.doctor.finding import Client, Effect, Finding
from edge_deeplab.doctor.tflite_facts import TfliteFacts


def free_size(facts: TfliteFacts) -> Iterator[Finding]:
    """Documentation: "acceleration is also not supported when the model contains dynamically-sized outputs"."""
    names = tuple(tensor.name for tensor in facts.free_sizes)
    if names:
        yield Finding(
            "free-size",
            Client.NNAPI,
            Effect.SLOWER,
            names,
            "a size is free: all of it runs on the CPU",
            "export it with a fixed size",
        )


def resize_alignment(facts: TfliteFacts) -> Iterator[Finding]:
    """Source: up to Android 10, neither half_pixel_centers nor align_corners of RESIZE_BILINEAR is taken."""
    names = tuple(resize.name for resize in facts.resizes if resize.alignment is not Alignment.ASYMMETRIC)
    if names:
        yield Finding(
            "resize-alignment",
            Client.NNAPI,
            Effect.SLOWER,
            names,
            "up to Android 10, each RESIZE_BILINEAR with half-pixel centres or aligned corners runs on the CPU",
            "ask for Android 11, or run on the CPU or GPU there: another alignment would move the mask",
        )


def custom_operators(facts: TfliteFacts) -> Iterator[Finding]:
    """Documentation: what it does not support "runs on the CPU, which results in split execution"."""
    names = tuple(sorted({node.operator for node in facts.graph.nodes if node.custom}))
    if names:
        yield Finding(
            "custom-operators",
            Client.NNAPI,
            Effect.SLOWER,
            names,
            f"{', '.join(names)} are no operators of NNAPI: they split the graph and run on the CPU",
            "export the network without them",
        )


def float_operators(facts: TfliteFacts) -> Iterator[Finding]:
    """Documentation: "for maximum support and acceleration on current hardware, we recommend full integer"."""
    floats = [node for node in facts.graph.nodes if node.arithmetic in ("float", "hybrid")]
    if floats:
        kinds = ", ".join(sorted({node.operator for node in floats}))
        yield Finding(
            "float-operators",
            Client.NNAPI,
            Effect.NOTE,
            (),
            f"{len(floats)} operators compute in float ({kinds}): many accelerators take integers only",
            "convert to tflite-int8 with --io int8",
        )
