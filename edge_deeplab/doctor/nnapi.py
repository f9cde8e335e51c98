"""LiteRT's delegate for Android's Neural Networks API.

The documentation is tensorflow/lite/g3doc/android/delegates/nnapi.md, which also says that the delegate is deprecated;
the source is tensorflow/lite/delegates/nnapi/nnapi_delegate.cc.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from edge_deeplab.doctor.android import RELEASES, nnapi_deprecated
from edge_deeplab.doctor.finding import Client, Effect, Finding
from edge_deeplab.doctor.nnapi_operators import FIRST_LEVEL, Need, need
from edge_deeplab.doctor.tflite_facts import TfliteFacts
from edge_deeplab.doctor.words import counted
from edge_deeplab.runtime.tflite_file import Operator

UNCHECKED = "what a phone's own driver takes of the operators that the delegate offers it"


def deprecated(facts: TfliteFacts) -> Iterator[Finding]:
    """It is for every file."""
    yield nnapi_deprecated(Client.NNAPI)


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


def unsupported(facts: TfliteFacts) -> Iterator[Finding]:
    """Operators that the delegate leaves to the CPU, by the Android that it would take them from.

    Documentation: what it does not support "runs on the CPU, which results in split execution".
    """
    left: dict[int | None, list[tuple[Operator, Need]]] = defaultdict(list)
    for operator in facts.computing:
        needed = need(operator)
        if needed.level != FIRST_LEVEL:
            left[needed.level].append((operator, needed))
    for level in sorted(left, key=lambda each: Need(each).order, reverse=True):
        yield _left(left[level], level, len(facts.computing))


def float16_weights(facts: TfliteFacts) -> Iterator[Finding]:
    """float16 weights behind a DEQUANTIZE. Source: "Only allow full model delegation for fp16 model" (DoPrepare).

    That is where the app names an accelerator which does not take all of it.
    """
    computing = {operator.outputs[0].index for operator in facts.computing if operator.outputs}
    names = tuple(
        operator.inputs[0].name
        for operator in facts.main.operators
        if operator.name == "DEQUANTIZE"
        and operator.inputs[0].type == "FLOAT16"
        and operator.outputs[0].index not in computing
    )
    if names:
        yield Finding(
            "float16-weights",
            Client.NNAPI,
            Effect.NOTE,
            names,
            "its weights are float16: an accelerator that the app names runs all of it or nothing",
            "convert to tflite-int8, or to tflite-float32 for an accelerator of floats",
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


def _left(found: Sequence[tuple[Operator, Need]], level: int | None, count: int) -> Finding:
    kinds = counted(
        f"{operator.name} ({needed.reason})" if needed.reason else operator.name for operator, needed in found
    )
    names = tuple(operator.outputs[0].name for operator, _ in found if operator.outputs)
    if level is None:
        since, cure = "under no Android", "replace these operators in the network"
    else:
        since = f"from Android {RELEASES[level]} on only"
        cure = f"ask for Android {RELEASES[level]} (API level {level}) where the app uses NNAPI"
    message = f"it takes {len(found)} of {count} operators {since}: {kinds}"
    return Finding(
        "operator", Client.NNAPI, Effect.SLOWER, names, message, f"{cure}, or run this file on the CPU or GPU"
    )
