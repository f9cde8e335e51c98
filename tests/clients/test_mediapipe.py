"""MediaPipe Tasks takes our files as they are and sees what our Segmenter sees; what our check refuses, it does not."""

from __future__ import annotations

import importlib
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from converters.tflite_metadata import with_metadata
from edge_deeplab.artifact import Artifact, load_artifact
from edge_deeplab.checkpoint import load_checkpoint
from edge_deeplab.cli.release_card import card_of
from edge_deeplab.data.bundled import bundled_images
from edge_deeplab.files import sha256
from edge_deeplab.image import Rgb
from edge_deeplab.runtime.tflite_metadata import read_metadata
from edge_deeplab.spec import IoType, Precision, Target
from edge_deeplab.weights import shipped_card, shipped_model

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-clients" / "bin" / "python"

pytestmark = [
    pytest.mark.clients,
    pytest.mark.skipif(not PYTHON.exists(), reason="MediaPipe is not here: make clients"),
]


@pytest.fixture(scope="module")
def benchmarks() -> Iterator[Any]:
    """Imports one of the modules in benchmarks/."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        yield importlib.import_module


@pytest.fixture(scope="module")
def pictures() -> Mapping[str, Rgb]:
    """Three of the bundled photo's variations: upright, a head, and a square as small as a network's input."""
    return {name: picture for name, picture in bundled_images() if name in ("head", "upright", "half-sized")}


@pytest.fixture(scope="module")
def described_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped uint8 file with metadata."""
    return with_metadata(shipped_model(), tmp_path_factory.mktemp("described") / "portrait.tflite", shipped_card())


def test_its_own_readers_find_every_field(described_file: Path) -> None:
    script = Path(__file__).with_name("read_by_mediapipe.py")
    done = subprocess.run([PYTHON, script, described_file], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    found, ours = json.loads(done.stdout), read_metadata(described_file)
    assert ours is not None
    (graph,) = found.pop("subgraphMetadata")
    assert found == {
        "identifier": "M001",
        "name": ours.name,
        "description": ours.description,
        "version": ours.version,
        "author": ours.author,
        "license": ours.license,
        "minParserVersion": "1.5.0",
    }
    (image,), (mask,), (custom,) = (
        graph[name] for name in ("inputTensorMetadata", "outputTensorMetadata", "customMetadata")
    )
    rgb, grey, image_properties, axis_labels = 1, 2, 2, 2  # the schema's enumerations
    spec = load_artifact(shipped_model()).spec
    assert image["content"] == {
        "contentPropertiesType": image_properties,
        "contentProperties": {"colorSpace": rgb, "defaultSize": {"width": spec.width, "height": spec.height}},
    }
    assert image["processUnits"] == [{"optionsType": 1, "options": {"mean": [0.0], "std": [255.0]}}]
    assert image["stats"] == mask["stats"] == {"max": [255.0], "min": [0.0]}
    assert mask["content"] == {
        "contentPropertiesType": image_properties,
        "contentProperties": {"colorSpace": grey},
        "range": {"min": 1, "max": 2},
    }
    (labels,) = mask["associatedFiles"]
    assert (labels["name"], labels["type"]) == ("labels.txt", axis_labels)
    assert custom == {
        "name": "SEGMENTER_METADATA",
        "identifier": "V001",
        "data": {"activation": 0, "minParserVersion": "1.0.0"},
    }


@pytest.mark.parametrize("mode", ["IMAGE", "VIDEO", "LIVE_STREAM"])
def test_the_uint8_file_gives_our_mask_in_each_mode(
    benchmarks: Any, described_file: Path, pictures: Mapping[str, Rgb], mode: str
) -> None:
    found = _sized_masks_are_ours(benchmarks, described_file, pictures, mode)
    assert found["as_they_are"]["mean"] >= 0.99
    assert found["category_as_they_are"]["mean"] >= 0.99


@pytest.mark.convert
@pytest.mark.parametrize("precision", [Precision.FLOAT32, Precision.FLOAT16])
def test_a_float_file_gives_our_mask(
    benchmarks: Any,
    small_flatbuffers: Mapping[Precision, bytes],
    small_checkpoint: Path,
    pictures: Mapping[str, Rgb],
    precision: Precision,
    tmp_path: Path,
) -> None:
    loaded = load_checkpoint(small_checkpoint)
    path = tmp_path / "small.tflite"
    path.write_bytes(small_flatbuffers[precision])
    target = Target.parse(f"tflite-{precision}")
    Artifact(path, loaded.spec, target, IoType.FLOAT32, sha256(path), loaded.sha256).write_sidecar()
    with_metadata(path, path, card_of(small_checkpoint, loaded))
    for mode in ("IMAGE", "VIDEO", "LIVE_STREAM"):
        _sized_masks_are_ours(benchmarks, path, pictures, mode)  # its 96x96 is too far from photos for their resize


def _sized_masks_are_ours(benchmarks: Any, path: Path, pictures: Mapping[str, Rgb], mode: str) -> dict[str, Any]:
    """All agreements; where the picture has the network's size, that of every pixel is seen to."""
    clients = benchmarks("clients")
    ours, sized = clients.our_masks(path, pictures)
    assert 0.02 < ours["sized head"].mean() < 0.98  # nobody compares blanks
    answer = benchmarks("client_process").ask(clients.MEDIAPIPE, path, mode, {**pictures, **clients.prefixed(sized)})
    assert answer.refused == ""
    assert answer.version == "1.2.2"
    found = clients.compared(ours, answer, pictures)
    assert found["network_sized"]["worst"] >= 0.9999
    return dict(found)


def test_what_our_check_refuses_mediapipe_refuses_or_gets_wrong(
    benchmarks: Any, pictures: Mapping[str, Rgb], tmp_path: Path
) -> None:
    rows = benchmarks("clients").variant_rows(shipped_model(), {"head": pictures["head"]}, tmp_path)
    found = {row["variant"]: row for row in rows}
    assert len(found) == 16
    for row in found.values():
        right = "refused" not in row and row["agreement"] >= 0.999
        right = right and 0 <= row["lowest"] < 0.1 < 0.9 < row["highest"] <= 1  # probabilities, and not all alike
        assert right == (not row["our_check"]), row


def test_a_client_that_hangs_or_dies_is_a_refusal(
    benchmarks: Any, described_file: Path, pictures: Mapping[str, Rgb], tmp_path: Path
) -> None:
    process = benchmarks("client_process")
    for code, why in (("import time; time.sleep(60)", "no answer within"), ("import os; os.abort()", "SIGABRT")):
        script = tmp_path / "client.py"
        script.write_text(code)
        client = process.Client("made", PYTHON, str(script), ("IMAGE",))
        answer = process.ask(client, described_file, "IMAGE", pictures, timeout=3.0)
        assert why in answer.refused
