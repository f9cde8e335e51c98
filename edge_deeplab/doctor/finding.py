"""What is said of a file: who trips over it, how badly, over what in it, and what helps."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Client(StrEnum):
    """What runs a model file in an app.

    ANY: all of them. MEDIAPIPE: MediaPipe Tasks' ImageSegmenter. LITERT_CPU: LiteRT with XNNPACK, its default.
    LITERT_GPU: LiteRT's GPU delegate. NNAPI: LiteRT's delegate for Android's Neural Networks API. QNN: LiteRT on
    Qualcomm's NPUs. LITERT_JS: LiteRT.js in a browser. ONNXRUNTIME: on the CPU. ORT_NNAPI, ORT_COREML, ORT_QNN: its
    execution providers for Android, for Apple's devices and for Qualcomm's NPUs. COREML: Core ML on any compute unit.
    NEURAL_ENGINE: that one of them. VISION: Apple's Vision, which feeds Core ML with pictures.
    """

    ANY = "any"
    MEDIAPIPE = "mediapipe"
    LITERT_CPU = "litert-cpu"
    LITERT_GPU = "litert-gpu"
    NNAPI = "nnapi"
    QNN = "qnn"
    LITERT_JS = "litert-js"
    ONNXRUNTIME = "onnxruntime"
    ORT_NNAPI = "ort-nnapi"
    ORT_COREML = "ort-coreml"
    ORT_QNN = "ort-qnn"
    COREML = "coreml"
    NEURAL_ENGINE = "neural-engine"
    VISION = "vision"


class Severity(StrEnum):
    """How much a finding weighs: with an ERROR, that client shows no mask, or a wrong one."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Effect(StrEnum):
    """What the client does with the file.

    REFUSED: it does not run it. WRONG: it runs it, says nothing, and gives something else. SLOWER: a part of it, or
    all, goes to the CPU or to slower kernels. LIMITED: it works once the app does a thing itself, or does without.
    NOTE: good to know.
    """

    REFUSED = "refused"
    WRONG = "wrong"
    SLOWER = "slower"
    LIMITED = "limited"
    NOTE = "note"

    @property
    def severity(self) -> Severity:
        """How much it weighs."""
        match self:
            case Effect.REFUSED | Effect.WRONG:
                return Severity.ERROR
            case Effect.SLOWER | Effect.LIMITED:
                return Severity.WARNING
            case _:
                return Severity.NOTE


@dataclass(frozen=True)
class Finding:
    """One thing that one client does with a file.

    Attributes:
        check: a short name of what was looked at: "input-type".
        client: who does it.
        effect: what it does.
        where: the tensors or operators in question, by their names in the file; empty where it is the whole file.
        message: what is the matter, a sentence without a full stop.
        cure: what helps, likewise.
    """

    check: str
    client: Client
    effect: Effect
    where: tuple[str, ...]
    message: str
    cure: str
