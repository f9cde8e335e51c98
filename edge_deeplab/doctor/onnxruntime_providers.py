"""onnxruntime's execution providers for phones: Android's NNAPI, Apple's Core ML, Qualcomm's QNN.

What NNAPI and Core ML take is read out of the installed onnxruntime, whose package has the lists of its documentation
(onnxruntime/tools/mobile_helpers). Of QNN's operators nothing is said: the table on its page
(docs/execution-providers/QNN-ExecutionProvider.md of onnxruntime, "QNN's page" below) leaves some out that it has.
The lists' columns of conditions are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from edge_deeplab.doctor.android import nnapi_deprecated
from edge_deeplab.doctor.finding import Client, Effect, Finding
from edge_deeplab.doctor.onnx_facts import OnnxFacts
from edge_deeplab.inspection.graph import Arithmetic

_LISTS = {Client.ORT_NNAPI: "nnapi_supported_ops.md", Client.ORT_COREML: "coreml_supported_mlprogram_ops.md"}

UNCHECKED = {
    Client.ORT_NNAPI: "on which conditions it takes an operator of its list",
    Client.ORT_COREML: "on which conditions it takes an operator of its list",
    Client.ORT_QNN: "which operators it leaves to the CPU: its published table is not complete",
}


def deprecated(facts: OnnxFacts) -> Iterator[Finding]:
    """It is for every file."""
    yield nnapi_deprecated(Client.ORT_NNAPI)


def unsupported(facts: OnnxFacts) -> Iterator[Finding]:
    """Operators that are not in a provider's list: they run on the CPU, and split the graph."""
    for client, file in _LISTS.items():
        listed = _listed(file)
        missing: dict[str, list[str]] = {}
        for kind, name in facts.operators:
            if listed and kind.lower() not in listed:
                missing.setdefault(kind, []).append(name)
        if missing:
            count = sum(map(len, missing.values()))
            yield Finding(
                "operator",
                client,
                Effect.SLOWER,
                tuple(name for names in missing.values() for name in names),
                f"{count} of {len(facts.operators)} operators are not in its list and run on the CPU: "
                f"{', '.join(sorted(missing))}",
                "use operators of the list, or convert to TFLite (Android) or Core ML (Apple)",
            )


def free_size(facts: OnnxFacts) -> Iterator[Finding]:
    """A free size.

    onnxruntime's page on fixed shapes: "NNAPI and CoreML do not support dynamic input shapes"; QNN's page: it "does not
    support models with dynamic shapes".
    """
    names = tuple(value.name for value in facts.free_sizes)
    if not names:
        return
    cure = "export it with a fixed size, or fix it by onnxruntime.tools.make_dynamic_shape_fixed"
    for client in (Client.ORT_NNAPI, Client.ORT_COREML):
        yield Finding("free-size", client, Effect.SLOWER, names, "a size is free: it may all run on the CPU", cure)
    yield Finding("free-size", Client.ORT_QNN, Effect.REFUSED, names, "it takes no free sizes", cure)


def float_file(facts: OnnxFacts) -> Iterator[Finding]:
    """A float file on QNN. QNN's page: "The QNN HTP backend only supports quantized models"; float16 by an option."""
    if not any(node.arithmetic is Arithmetic.INTEGER for node in facts.graph.nodes):
        yield Finding(
            "float-file",
            Client.ORT_QNN,
            Effect.LIMITED,
            (),
            "the NPU (its HTP backend) takes quantized files, and this one computes in float",
            "convert to onnx-int8; or set enable_htp_fp16_precision, where the NPU has float16",
        )


def signed_activations(facts: OnnxFacts) -> Iterator[Finding]:
    """int8 activations on QNN. QNN's page: "QNN operators typically support the uint8 and uint16 data types"."""
    values = [value for value in facts.graph.values if not value.constant and value.parameters and value.type == "int8"]
    if values:
        yield Finding(
            "signed-activations",
            Client.ORT_QNN,
            Effect.NOTE,
            (),
            f"{len(values)} activations are int8, and its operators typically take uint8 and uint16",
            "look at QNN's table of operators for the chip in question",
        )


@cache
def _listed(file: str) -> Set[str]:
    """The operators in one of onnxruntime's lists, in lower case (it has "Argmax"); empty where it has no such list."""
    spec = find_spec("onnxruntime")
    if spec is None or not spec.submodule_search_locations:
        return frozenset()
    path = Path(next(iter(spec.submodule_search_locations))) / "tools" / "mobile_helpers" / file
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return frozenset(kind.lower() for kind in re.findall(r"^\|ai\.onnx:(\w+)\|", text, re.MULTILINE))
