"""The classes of a network in every file that is made of it: their names, and their order."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest

from calibration.collect import collect_ranges
from calibration.images import bundled_calibration
from converters.check import made_pictures
from converters.tflite_metadata import with_metadata
from edge_deeplab.artifact import Artifact, load_artifact
from edge_deeplab.cli.conversion import convert_files
from edge_deeplab.cli.release_card import card_of
from edge_deeplab.models.loading import load_network
from edge_deeplab.runtime.opening import open_any_session, open_session
from edge_deeplab.runtime.tflite_metadata import read_metadata
from edge_deeplab.spec import IoType, Target

pytestmark = pytest.mark.convert

CLASSES = ("sky", "person", "chien d'été 犬")
TARGETS = ("onnx", "tflite-float32", "tflite-int8", "onnx-qdq")  # Core ML: tests/parity/test_family.py


@pytest.fixture(scope="module")
def artifacts(three_classes: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Artifact]:
    """A file of each format and kind, by the function behind ``convert``, ``release`` and ``bundle``."""
    network, loaded = load_network(three_classes)
    ranges = collect_ranges(network, loaded.spec, bundled_calibration(4), checkpoint_sha256=loaded.sha256)
    outputs = [(Target.parse(name), IoType.UINT8 if name == "tflite-int8" else IoType.FLOAT32) for name in TARGETS]
    made = convert_files(three_classes, network, loaded, outputs, tmp_path_factory.mktemp("files"), ranges)
    return {str(artifact.target): artifact for artifact in made}


@pytest.mark.parametrize("target", TARGETS)
def test_several_classes_keep_their_names_and_their_order(
    artifacts: Mapping[str, Artifact], three_classes: Path, target: str
) -> None:
    path = artifacts[target].path
    assert load_artifact(path).spec.classes == CLASSES
    picture = made_pictures(96, 96)[0]
    with open_session(three_classes) as reference, open_session(path) as session:
        assert reference.classes == session.classes == CLASSES
        expected, found = reference.run(picture), session.run(picture)
        assert target != "tflite-float32" or session.fully_delegated  # type: ignore[attr-defined]
    assert expected.std(axis=(0, 1)).min() > 0.01  # every channel says something
    difference = np.abs(found - expected)
    assert difference.mean() < 0.02  # two channels in the wrong order: 0.08 or more
    if not artifacts[target].target.quantized:
        assert difference.max() < 1e-4


@pytest.mark.parametrize("target", ["onnx", "onnx-qdq"])
def test_an_onnx_file_names_them_without_its_sidecar(
    artifacts: Mapping[str, Artifact], target: str, tmp_path: Path
) -> None:
    path = Path(shutil.copy(artifacts[target].path, tmp_path / "alone.onnx"))
    (entry,) = onnx.load(path).metadata_props
    assert entry.key == "classes"
    assert json.loads(entry.value) == list(CLASSES)
    with open_session(path) as session:
        assert session.classes == CLASSES
    _finds_the_person(path, artifacts[target])


@pytest.mark.parametrize("target", ["tflite-float32", "tflite-int8"])
def test_a_tflite_file_with_metadata_names_them_without_its_sidecar(
    artifacts: Mapping[str, Artifact], three_classes: Path, target: str, tmp_path: Path
) -> None:
    artifact, loaded = artifacts[target], load_network(three_classes)[1]
    described = with_metadata(artifact.path, tmp_path / "described.tflite", card_of(three_classes, loaded))
    assert load_artifact(described).spec.classes == CLASSES
    path = Path(shutil.copy(described, tmp_path / "alone.tflite"))
    with zipfile.ZipFile(path) as archive:
        assert archive.read("labels.txt").decode() == "".join(f"{name}\n" for name in CLASSES)
    found = read_metadata(path)
    assert found is not None
    assert found.labels == CLASSES
    _finds_the_person(path, artifact)


def _finds_the_person(alone: Path, artifact: Artifact) -> None:
    """A file without a sidecar is anybody's: its person is found by the name of its class."""
    picture = made_pictures(96, 96)[0]
    with open_session(artifact.path) as known, open_any_session(alone) as session:
        expected, found = known.run(picture), session.run(picture)
    np.testing.assert_allclose(found[:, :, 0], expected[:, :, CLASSES.index("person")], atol=1e-4)
