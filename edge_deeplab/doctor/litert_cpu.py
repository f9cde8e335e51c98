"""LiteRT on the CPU, with XNNPACK: what it does with the file on this machine, not what a list says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from edge_deeplab.doctor.finding import Client, Effect, Finding
from edge_deeplab.doctor.tflite_facts import TfliteFacts
from edge_deeplab.inspection.graph import Arithmetic

_CONVERSIONS = frozenset({"QUANTIZE", "DEQUANTIZE"})
_FLEX = "Flex"


def executed(facts: TfliteFacts) -> Iterator[Finding]:
    """A file that LiteRT, with XNNPACK as by default, does not prepare: seen by letting it."""
    if facts.execution.problem:
        yield Finding(
            "execution",
            Client.LITERT_CPU,
            Effect.REFUSED,
            _custom(facts),
            facts.execution.problem,
            _cure(_custom(facts), facts.execution.problem),
        )


def partitions(facts: TfliteFacts) -> Iterator[Finding]:
    """Operators that XNNPACK leaves to LiteRT's own kernels: seen by letting it prepare the file.

    QUANTIZE and DEQUANTIZE at the ends of one part are usual, and take microseconds.
    """
    share = facts.execution.delegation
    if share is None or (share.partitions <= 1 and _CONVERSIONS.issuperset(share.left)):
        return
    left = Counter(name for name in share.left if share.partitions > 1 or name not in _CONVERSIONS)
    names = ", ".join(name if count == 1 else f"{count} {name}" for name, count in left.most_common())
    yield Finding(
        "partitions",
        Client.LITERT_CPU,
        Effect.SLOWER,
        tuple(left),
        f"XNNPACK takes {share.delegated} operators in {share.partitions} parts, and leaves {names} to slower kernels",
        "replace these operators in the network, or quantize it as a whole",
    )


def float_islands(facts: TfliteFacts) -> Iterator[Finding]:
    """Float operators inside an integer graph: each is entered and left by a conversion of every number."""
    nodes = facts.graph.nodes
    if not any(node.arithmetic is Arithmetic.INTEGER for node in nodes):
        return
    islands = [node for node in nodes if node.arithmetic is Arithmetic.FLOAT]
    if islands:
        kinds = ", ".join(sorted({node.operator for node in islands}))
        yield Finding(
            "float-islands",
            Client.LITERT_CPU,
            Effect.SLOWER,
            tuple(facts.graph.values[node.outputs[0]].name for node in islands),
            f"{len(islands)} operators compute in float inside an integer graph: {kinds}",
            "give their inputs and outputs ranges, and quantize them too",
        )


def free_size(facts: TfliteFacts) -> Iterator[Finding]:
    """A free size. XNNPACK's README: resizing an input is "a complete reinitialization of the delegate instance"."""
    names = tuple(tensor.name for tensor in facts.free_sizes if tensor in facts.main.inputs)
    if names:
        yield Finding(
            "free-size",
            Client.LITERT_CPU,
            Effect.LIMITED,
            names,
            "the size is free: the app must set it, and each change prepares the file again",
            "export it with a fixed size",
        )


def channels_first(facts: TfliteFacts) -> Iterator[Finding]:
    """A picture with its channels first. TFLite's convolutions read NHWC (schema.fbs), so that it is turned inside."""
    for tensor in facts.main.inputs:
        if len(tensor.shape) == 4 and tensor.shape[1] in (1, 3, 4) and tensor.shape[3] not in (1, 3, 4):
            yield Finding(
                "channels-first",
                Client.LITERT_CPU,
                Effect.LIMITED,
                (tensor.name,),
                f"the input is NCHW, {'x'.join(map(str, tensor.shape))}: the app must take its picture apart by "
                "channels, and the file puts it together again",
                "convert to NHWC",
            )


def _custom(facts: TfliteFacts) -> tuple[str, ...]:
    return tuple(sorted({node.operator for node in facts.graph.nodes if node.custom}))


def _cure(custom: tuple[str, ...], problem: str) -> str:
    if any(name.startswith(_FLEX) for name in custom):
        return "export the network without TensorFlow's own operators (Flex), or link LiteRT's Flex delegate"
    if custom:
        return "register these operators in the app, or export the network without them"
    if "XNNPACK" in problem:
        return "switch XNNPACK off for this file, or convert it again"
    return "convert it again"
