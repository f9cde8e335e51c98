"""Every target passes its tolerance: the small network in every variant, the shipped one in the quick ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from edge_deeplab.artifact import Artifact, load_artifact
from edge_deeplab.cli.conversion import convert_files, variants
from edge_deeplab.evaluation.parity import Contender, ParityReport, ParityRow, compare
from edge_deeplab.evaluation.parity_images import parity_images
from edge_deeplab.files import sha256, size
from edge_deeplab.models.loading import load_network
from edge_deeplab.quantization.ranges import load_ranges
from edge_deeplab.runtime.opening import open_session
from edge_deeplab.spec import Format, IoType, Target
from edge_deeplab.weights import shipped_checkpoint, shipped_model

RUNTIMES = {Format.ONNX: "onnxruntime", Format.TFLITE: "LiteRT", Format.COREML: "reference executor"}
SHIPPED = ("onnx", "onnx-qdq", "coreml-float32", "coreml-w8a8")
OUTPUTS = [(target, io) for target in Target.all() for io in variants(target)]


@pytest.mark.convert
@pytest.mark.parametrize(("target", "io"), OUTPUTS, ids=str)
def test_the_small_network_passes(
    target: Target,
    io: IoType,
    converted: Mapping[tuple[Target, IoType], Artifact],
    judge: Callable[[Path, Target], ParityRow],
) -> None:
    artifact = converted[target, io]
    assert load_artifact(artifact.path) == artifact
    row = judge(artifact.path, target)
    assert row.failures == ()
    assert row.runtime.startswith(RUNTIMES[target.format])
    assert row.drop is not None  # the true masks were there, and persons in them
    assert row.agreement.max_error > 0  # it is not the checkpoint itself that was opened


@pytest.fixture(scope="module")
def reference() -> Iterator[Contender]:
    """The shipped checkpoint in PyTorch."""
    with open_session(shipped_checkpoint(), threads=1) as session:
        yield Contender("the checkpoint", session, size(shipped_checkpoint()))


def passes(reference: Contender, path: Path, target: Target) -> None:
    with open_session(path, threads=1) as session:
        images = parity_images(None, None, session.classes)
        report: ParityReport = compare(reference, [Contender(path.name, session, size(path), target)], images)
    assert report.failures == ()
    assert report.images == 16
    assert report.rows[0].runtime.startswith(RUNTIMES[target.format])


def test_the_shipped_file_passes(reference: Contender) -> None:
    artifact = load_artifact(shipped_model())
    assert artifact.checkpoint_sha256 == sha256(shipped_checkpoint())
    passes(reference, artifact.path, artifact.target)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Mapping[Target, Artifact]:
    """The shipped checkpoint as what does not need TensorFlow: it alone would take a minute."""
    targets = [Target.parse(name) for name in SHIPPED]
    checkpoint, folder = shipped_checkpoint(), tmp_path_factory.mktemp("shipped")
    network, loaded = load_network(checkpoint)
    ranges = load_ranges(checkpoint.with_name(f"{checkpoint.stem}.ranges.json"))
    outputs = [(target, variants(target)[0]) for target in targets]
    artifacts = convert_files(checkpoint, network, loaded, outputs, folder, ranges)
    return {artifact.target: artifact for artifact in artifacts}


@pytest.mark.convert
@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_model_passes(name: str, shipped: Mapping[Target, Artifact], reference: Contender) -> None:
    artifact = shipped[Target.parse(name)]
    passes(reference, artifact.path, artifact.target)
