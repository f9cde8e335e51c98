"""Other projects' files: what is said of MediaPipe is what mediapipe 1.2.2 did with each."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_deeplab.doctor.examination import examine
from edge_deeplab.doctor.finding import Client, Effect, Severity

PEERS = Path(__file__).resolve().parents[2] / "../shared/peers"
REFUSED, WRONG = Effect.REFUSED, Effect.WRONG
DONE: dict[str, tuple[str, Effect] | None] = {
    "deeplab_aiseg513_dm05_float.tflite": ("normalization", REFUSED),  # "requires specifying NormalizationOptions"
    "deeplab_aiseg_quant513.tflite": ("execution", REFUSED),  # "RET_CHECK failure"
    "deeplabv3_mnv2_dm05_pascal_quant.tflite": ("output", REFUSED),  # "Unsupported output tensor type"
    "deeplabv3_mnv2_pascal_quant.tflite": ("output", REFUSED),
    "mnv3_post_quant.tflite": ("activation", WRONG),  # confidences outside of 0 .. 1
    "mnv3_seg_float.tflite": ("normalization", REFUSED),
    "selfie_segmenter.tflite": None,
    "selfiesegmentation_mlkit_256x256_f16.tflite": ("normalization", REFUSED),
    "slim_reshape_v2.tflite": ("normalization", REFUSED),
}

pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not PEERS.is_dir(), reason="the models of ../shared/peers are not beside the checkout"),
]


@pytest.mark.parametrize("name", DONE)
def test_mediapipe_is_said_to_do_what_it_does(name: str) -> None:
    examination = examine(PEERS / name).of([Client.MEDIAPIPE])
    errors = [(f.check, f.effect) for f in examination.findings if f.effect.severity is Severity.ERROR]
    expected = DONE[name]
    assert examination.failed == (expected is not None)
    assert errors[:1] == ([] if expected is None else [expected])


def test_an_onnx_file_of_others() -> None:
    found = {(f.check, f.client): f for f in examine(PEERS / "SINet.onnx").findings}
    assert found["operator", Client.ORT_NNAPI].message.endswith(": Expand")
    assert len(found["resize-alignment", Client.ANY].where) == 9
    assert ("logits", Client.ANY) in found
