"""A file held against every check of its format."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from edge_deeplab.doctor import any_client
from edge_deeplab.doctor.finding import Client, Finding, Severity
from edge_deeplab.errors import ModelFileError

_Facts = TypeVar("_Facts")
Checks = Mapping[Client, Sequence[Callable[[_Facts], Iterator[Finding]]]]
"""Each client's checks; those of several clients stand under the first."""

_ORDER = list(Severity)


@dataclass(frozen=True)
class Examination:
    """What was found.

    Attributes:
        file: its name, without the folder.
        format: "TFLite", "ONNX" or "Core ML".
        clients: those that this format is for: what is not among the findings of one is that it takes the file.
        findings: the errors first, then by client.
        unchecked: what nothing is said of, though it decides how well a client runs the file.
    """

    file: str
    format: str
    clients: tuple[Client, ...]
    findings: tuple[Finding, ...]
    unchecked: Mapping[Client, str]

    @property
    def failed(self) -> bool:
        """A client refuses the file, or shows something else."""
        return any(finding.effect.severity is Severity.ERROR for finding in self.findings)

    def of(self, clients: Sequence[Client]) -> Examination:
        """The same for some clients; what concerns any client stays."""
        kept = tuple(f for f in self.findings if f.client is Client.ANY or f.client in clients)
        return dataclasses.replace(
            self,
            clients=tuple(c for c in self.clients if c in clients),
            findings=kept,
            unchecked={client: what for client, what in self.unchecked.items() if client in clients},
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        findings = [{"severity": finding.effect.severity} | dataclasses.asdict(finding) for finding in self.findings]
        return {
            "file": self.file,
            "format": self.format,
            "clients": list(self.clients),
            "findings": findings,
            "unchecked": dict(self.unchecked),
        }


def examine(path: Path) -> Examination:
    """Examine a .tflite file, an .onnx file or a Core ML package.

    Raises:
        ModelFileError: missing, of another kind, truncated or damaged.
        MissingExtraError: a package that this kind of file needs is not installed.
    """
    if not path.exists():
        raise ModelFileError(f"there is no model file {path}")
    match path.suffix.lower():
        case ".tflite":
            return _tflite(path)
        case ".onnx":
            return _onnx(path)
        case ".mlpackage":
            return _coreml(path)
        case _:
            raise ModelFileError(f"{path} is of no known kind: give a .tflite, an .onnx or a .mlpackage")


def _tflite(path: Path) -> Examination:
    from edge_deeplab.doctor import litert_cpu, litert_gpu, litert_js, mediapipe, nnapi, qnn
    from edge_deeplab.doctor.tflite_facts import TfliteFacts, read_tflite_facts

    checks: Checks[TfliteFacts] = {
        Client.ANY: (any_client.argmax_inside, any_client.logits, any_client.batch, any_client.resize_alignment),
        Client.MEDIAPIPE: (
            mediapipe.executed,
            mediapipe.metadata_readable,
            mediapipe.one_graph,
            mediapipe.one_output,
            mediapipe.input_type,
            mediapipe.input_shape,
            mediapipe.free_size,
            mediapipe.normalization,
            mediapipe.output,
            mediapipe.activation,
            mediapipe.labels,
            mediapipe.label_count,
        ),
        Client.LITERT_CPU: (
            litert_cpu.executed,
            litert_cpu.partitions,
            litert_cpu.float_islands,
            litert_cpu.free_size,
            litert_cpu.channels_first,
        ),
        Client.LITERT_GPU: (litert_gpu.unsupported, litert_gpu.integers),
        Client.NNAPI: (
            nnapi.deprecated,
            nnapi.free_size,
            nnapi.unsupported,
            nnapi.float16_weights,
            nnapi.float_operators,
        ),
        Client.QNN: (qnn.unsupported, qnn.float_operators),
        Client.LITERT_JS: (litert_js.end_types, litert_js.free_size),
    }
    unchecked = {Client.NNAPI: nnapi.UNCHECKED, Client.QNN: qnn.UNCHECKED}
    return _examination(path, "TFLite", checks, read_tflite_facts(path), unchecked)


def _onnx(path: Path) -> Examination:
    from edge_deeplab.doctor import onnxruntime_cpu, onnxruntime_providers
    from edge_deeplab.doctor.onnx_facts import OnnxFacts, read_onnx_facts

    checks: Checks[OnnxFacts] = {
        Client.ANY: (any_client.argmax_inside, any_client.logits, any_client.batch, any_client.resize_alignment),
        Client.ONNXRUNTIME: (onnxruntime_cpu.opened, onnxruntime_cpu.float_islands, onnxruntime_cpu.free_size),
        Client.ORT_NNAPI: (
            onnxruntime_providers.deprecated,
            onnxruntime_providers.unsupported,
            onnxruntime_providers.free_size,
        ),
        Client.ORT_COREML: (),
        Client.ORT_QNN: (onnxruntime_providers.float_file, onnxruntime_providers.signed_activations),
    }
    return _examination(path, "ONNX", checks, read_onnx_facts(path), onnxruntime_providers.UNCHECKED)


def _coreml(path: Path) -> Examination:
    from edge_deeplab.doctor import coreml
    from edge_deeplab.doctor.coreml_facts import CoremlFacts, read_coreml_facts

    checks: Checks[CoremlFacts] = {
        Client.ANY: (coreml.argmax_inside, coreml.batch, any_client.resize_alignment),
        Client.COREML: (coreml.system, coreml.half_arrays),
        Client.NEURAL_ENGINE: (coreml.neural_engine_precision, coreml.neural_engine_operators, coreml.flexible_size),
        Client.VISION: (coreml.image_input,),
    }
    unchecked = {Client.NEURAL_ENGINE: coreml.UNCHECKED}
    return _examination(path, "Core ML", checks, read_coreml_facts(path), unchecked)


def _examination(
    path: Path, format_: str, checks: Checks[_Facts], facts: _Facts, unchecked: Mapping[Client, str]
) -> Examination:
    found = [finding for group in checks.values() for check in group for finding in check(facts)]
    clients = tuple(client for client in checks if client is not Client.ANY)
    order = [Client.ANY, *clients]
    found.sort(key=lambda finding: (_ORDER.index(finding.effect.severity), order.index(finding.client)))
    return Examination(path.name, format_, clients, tuple(found), unchecked)
