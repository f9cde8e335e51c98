"""LiteRT.js in a browser, by the package @litertjs/core 2.5.3 and its guide (LiteRT for Web, "Get started")."""

from __future__ import annotations

from collections.abc import Iterator

from edge_deeplab.doctor.finding import Client, Effect, Finding
from edge_deeplab.doctor.tflite_facts import TfliteFacts

_TYPES = ("FLOAT32", "INT32", "UINT8")


def end_types(facts: TfliteFacts) -> Iterator[Finding]:
    """The package's table DATATYPES has float32, int32 and uint8; for others it throws "is not supported"."""
    for tensor in (*facts.main.inputs, *facts.main.outputs):
        if tensor.type not in _TYPES:
            yield Finding(
                "end-type",
                Client.LITERT_JS,
                Effect.REFUSED,
                (tensor.name,),
                f"its tensors are float32, int32 or uint8, and this one is {tensor.type.lower()}",
                "convert with --io uint8 or --io float"
                if tensor.type == "INT8"
                else "end the network before that operator",
            )


def free_size(facts: TfliteFacts) -> Iterator[Finding]:
    """Guide: a model "must not have any dynamic input or output dimensions", "this includes batch dimension"."""
    names = tuple(tensor.name for tensor in facts.free_sizes)
    if names:
        yield Finding(
            "free-size",
            Client.LITERT_JS,
            Effect.REFUSED,
            names,
            "it takes no free sizes, not even of the batch",
            "export it with fixed sizes",
        )
