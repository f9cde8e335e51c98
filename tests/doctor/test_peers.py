"""Other projects' files: what is said of MediaPipe is what mediapipe 1.2.2 did with each."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_deeplab.doctor.examination import examine
from edge_deeplab.doctor.finding import Client, Severity

PEERS = Path(__file__).resolve().parents[2] / "../shared/peers"
REFUSED = {
    "deeplab_aiseg513_dm05_float.tflite": "normalization",  # "requires specifying NormalizationOptions"
    "deeplab_aiseg_quant513.tflite": "execution",  # "RET_CHECK failure"
    "deeplabv3_mnv2_dm05_pascal_quant.tflite": "output",  # "Unsupported output tensor type"
    "deeplabv3_mnv2_pascal_quant.tflite": "output",
    "mnv3_post_quant.tflite": "activation",  # confidences outside of 0 .. 1
    "mnv3_seg_float.tflite": "normalization",
    "selfie_segmenter.tflite": "",
    "selfiesegmentation_mlkit_256x256_f16.tflite": "normalization",
    "slim_reshape_v2.tflite": "normalization",
}

pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not PEERS.is_dir(), reason="the models of ../shared/peers are not beside the checkout"),
]


@pytest.mark.parametrize("name", REFUSED)
def test_mediapipe_is_said_to_do_what_it_does(name: str) -> None:
    examination = examine(PEERS / name).of([Client.MEDIAPIPE])
    errors = [finding.check for finding in examination.findings if finding.effect.severity is Severity.ERROR]
    assert examination.failed == bool(REFUSED[name])
    assert errors[:1] == [REFUSED[name]] * bool(REFUSED[name])


def test_an_onnx_file_of_others() -> None:
    found = {(f.check, f.client): f for f in examine(PEERS / "SINet.onnx").findings}
    assert found["operator", Client.ORT_NNAPI].message.endswith(": Expand")
    assert len(found["resize-alignment", Client.ANY].where) == 9
    assert ("logits", Client.ANY) in found
