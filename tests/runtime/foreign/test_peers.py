"""Other projects' models on real photos: found out or told, each sees the person."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edge_deeplab.data.opening import open_dataset
from edge_deeplab.data.subset import Subset
from edge_deeplab.doctor.finding import Client
from edge_deeplab.doctor.requirement import require_client
from edge_deeplab.evaluation.evaluate import evaluate
from edge_deeplab.runtime.foreign.adaptation import InputRange, OutputKind, Overrides
from edge_deeplab.runtime.foreign.session import ForeignSession
from edge_deeplab.runtime.opening import open_any_session
from edge_deeplab.runtime.tflite_metadata import Activation, TfliteMetadata, read_metadata

SHARED = Path(__file__).resolve().parents[3] / "../shared"
PEERS, PORTRAIT = SHARED / "peers", SHARED / "data/portrait"

pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(
        not (PEERS.is_dir() and PORTRAIT.is_dir()), reason="the models and photos of ../shared are not here"
    ),
]

SIGNED = Overrides(input_range=InputRange.uniform(-1, 1))
# The normalization of SINet's authors, whose deviations are of 1 while their means are of 255; OpenCV's order.
SINET = Overrides(
    input_range=InputRange.normalized(
        (102.890434, 111.25247, 126.91212), (62.93292 * 255, 62.82138 * 255, 66.355705 * 255)
    ),
    bgr=True,
)
PROBABILITIES, LOGITS, CLASSES = OutputKind.PROBABILITIES, OutputKind.LOGITS, OutputKind.CLASSES

# The test split begins with 294 photos of eg1800 and 164 of picsart.
PLACES = range(20, 458, 73)


def person_iou(path: Path, overrides: Overrides | None, places: range = PLACES) -> float:
    with open_any_session(path, threads=1, overrides=overrides) as session:
        score = evaluate(session, Subset(open_dataset(PORTRAIT, split="test"), places)).total.person_iou
    assert score is not None
    return score


@pytest.mark.parametrize(
    ("name", "told", "kind", "channel", "at_least"),
    [
        ("selfie_segmenter.tflite", None, PROBABILITIES, 0, 0.94),
        ("selfiesegmentation_mlkit_256x256_f16.tflite", None, PROBABILITIES, 0, 0.94),
        ("deeplabv3_mnv2_pascal_quant.tflite", None, CLASSES, 15, 0.93),
        ("deeplabv3_mnv2_dm05_pascal_quant.tflite", None, CLASSES, 15, 0.91),
        ("deeplab_aiseg513_dm05_float.tflite", SIGNED, LOGITS, 1, 0.95),
        ("deeplab_aiseg_quant513.tflite", None, CLASSES, 1, 0.95),
        ("slim_reshape_v2.tflite", None, PROBABILITIES, 0, 0.955),
        ("mnv3_seg_float.tflite", SIGNED, LOGITS, 1, 0.935),
        ("mnv3_post_quant.tflite", None, LOGITS, 1, 0.925),
        ("SINet.onnx", SINET, LOGITS, 1, 0.955),
    ],
)
def test_each_sees_the_person(
    name: str, told: Overrides | None, kind: OutputKind, channel: int, at_least: float
) -> None:
    with open_any_session(PEERS / name, threads=1, overrides=told) as session:
        assert isinstance(session, ForeignSession)
        assert (session.adaptation.output, session.adaptation.channel) == (kind, channel)
    assert person_iou(PEERS / name, told) >= at_least
    told = told or Overrides()
    too_bright = replace(told, input_range=InputRange.uniform(0, 255))
    assert person_iou(PEERS / name, too_bright, PLACES[:3]) < at_least - 0.1
    if channel > 0:
        assert person_iou(PEERS / name, replace(told, person=0), PLACES[:2]) < 0.2


@pytest.mark.parametrize(
    "name",
    ["deeplabv3_mnv2_pascal_quant.tflite", "deeplabv3_mnv2_dm05_pascal_quant.tflite", "deeplab_aiseg_quant513.tflite"],
)
def test_the_range_of_the_quantization_is_better_than_another(name: str) -> None:
    found, other = (person_iou(PEERS / name, told) for told in (None, Overrides(input_range=InputRange.uniform(0, 1))))
    assert found > other + 0.02


def test_what_xnnpack_refuses_runs_on_the_builtin_kernels(capfd: pytest.CaptureFixture[str]) -> None:
    with ForeignSession(PEERS / "deeplab_aiseg_quant513.tflite", threads=1) as session:
        assert "builtin kernels (XNNPACK refuses the file)" in session.runtime
    assert capfd.readouterr().err == ""


def test_the_metadata_of_a_published_file_are_read() -> None:
    with ForeignSession(PEERS / "selfie_segmenter.tflite", threads=1) as session:
        assert session.reasons[0] == "takes RGB in 0..1 (from its metadata)"
        assert session.reasons[2] == "the person is class 0 of 1 (its label is 'selfie')"


def test_metadata_that_mediapipe_itself_wrote() -> None:
    """Read as they are, and our check of MediaPipe's demands has nothing against MediaPipe's own file."""
    path = PEERS / "selfie_segmenter.tflite"
    assert read_metadata(path) == TfliteMetadata(
        name="ImageSegmenter",
        description="Semantic image segmentation predicts whether each pixel of an image is associated with a certain "
        "class.",
        version="1",
        author="MediaPipe",
        min_parser_version="1.5.0",
        mean=(0.0,),
        deviation=(255.0,),
        labels=("selfie",),
        labels_file="labels.txt",
        activation=Activation.NONE,
    )
    require_client(path, Client.MEDIAPIPE)
