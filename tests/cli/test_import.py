"""``edge-deeplab import``: torchvision's file becomes a checkpoint; bad input is one line, and nothing is written.

Google's files become checkpoints in tests/importing.
"""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_deeplab.checkpoint import load_checkpoint
from edge_deeplab.files import sha256
from edge_deeplab.models.loading import load_network
from edge_deeplab.weights import shipped_model

Run = Callable[..., subprocess.CompletedProcess[str]]
Refuses = Callable[..., str]

_NAME = "deeplabv3_mobilenet_v3_large"


@pytest.mark.parametrize("name", ["a.pb", "a.tar.gz", "a.tflite", "a.pth", "a.safetensors", "a"])
def test_a_text_file(refuses: Refuses, tmp_path: Path, name: str) -> None:
    text = tmp_path / name
    text.write_text("to do: buy milk\n" * 1000)
    assert name in refuses("import", text, "--out", tmp_path / "new/model.safetensors", "--no-parity")


def test_no_such_file(refuses: Refuses, tmp_path: Path) -> None:
    for name in ("gone.pb", "gone.tgz", "gone.tflite", "gone.pth", "gone.safetensors"):
        assert name in refuses("import", tmp_path / name, "--out", tmp_path / "model.safetensors", "--no-parity")


def test_a_tarball_that_escapes(refuses: Refuses, tmp_path: Path) -> None:
    path = tmp_path / "zoo.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(__file__, "../frozen_inference_graph.pb")
    said = refuses("import", path, "--out", tmp_path / "model.safetensors", "--no-parity")
    assert "'../frozen_inference_graph.pb' would be written outside" in said


def test_another_network(refuses: Refuses, tmp_path: Path) -> None:
    words = ["import", shipped_model("portrait-open"), "--out", tmp_path / "model.safetensors"]
    assert "only DeepLabs without" in refuses(*words)


def test_a_checkpoint_has_its_ending(refuses: Refuses, tmp_path: Path) -> None:
    assert "must end in .safetensors" in refuses("import", "a.pb", "--out", tmp_path / "model.pb")


@pytest.mark.parametrize("name", ["a.pb", "a.pth"])
def test_only_a_tflite_file_has_a_range(refuses: Refuses, tmp_path: Path, name: str) -> None:
    words = ["import", name, "--out", tmp_path / "model.safetensors", "--init-range", "0", "1"]
    assert "--init-range goes with a .tflite file" in refuses(*words, status=2)


@pytest.fixture(scope="module")
def theirs(torchvision_deeplab: Callable[[str], nn.Module]) -> nn.Module:
    """torchvision's smallest DeepLabV3. Do not change it: copy it."""
    return torchvision_deeplab(_NAME)


@pytest.fixture
def state(theirs: nn.Module) -> dict[str, Tensor]:
    """Its state dict, to be spoilt."""
    return dict(theirs.state_dict())


def test_torchvisions_state_dict_becomes_a_checkpoint(
    edge_deeplab: Run, theirs: nn.Module, state: dict[str, Tensor], tmp_path: Path
) -> None:
    torch.save(state, tmp_path / "theirs.pth")
    out = tmp_path / "new/ours.safetensors"
    done = edge_deeplab("import", tmp_path / "theirs.pth", "--out", out, "--classes", "sky,person,dog")
    assert done.returncode == 0, done.stderr
    assert "100.00% of the pixels keep their class" in done.stdout
    assert f"{out} written: mobilenet_v3_large with DeepLabV3, output stride 16, 520x520, classes sky" in done.stdout
    network, checkpoint = load_network(out)
    assert checkpoint.spec.classes == ("sky", "person", "dog")
    assert checkpoint.notes["imported"]["file"] == "theirs.pth"
    assert checkpoint.notes["imported"]["sha256"] == sha256(tmp_path / "theirs.pth")

    # Ours takes RGB in [0, 1], and beyond the border is black, where theirs has its mean: it is given black, too.
    image = torch.rand(1, 3, 97, 80)
    black = functional.pad(image, (1, 1, 1, 1))
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    stem = theirs.backbone["0"][0]  # type: ignore[index]
    stem.padding = (0, 0)
    try:
        with torch.no_grad():
            scores = theirs.classifier(theirs.backbone((black - mean) / deviation)["out"])  # type: ignore[operator]
            expected = functional.interpolate(scores, size=(97, 80), mode="bilinear", align_corners=False)
            actual = network(image)
    finally:
        stem.padding = (1, 1)
    spread = float(expected.std((2, 3)).min())
    assert spread > 0.01  # the scores depend on the picture
    torch.testing.assert_close(actual / spread, expected / spread, rtol=1e-3, atol=1e-3)

    safetensors.torch.save_file(state, tmp_path / "theirs.safetensors")
    words = ["import", tmp_path / "theirs.safetensors", "--out", tmp_path / "again.safetensors", "--no-parity"]
    assert edge_deeplab(*words, "--classes", "sky,person,dog").returncode == 0
    again = load_checkpoint(tmp_path / "again.safetensors")
    assert again.spec == checkpoint.spec
    assert all((value == checkpoint.weights[name]).all() for name, value in again.weights.items())


def test_what_is_missing_and_what_is_extra_is_listed(
    refuses: Refuses, state: dict[str, Tensor], tmp_path: Path
) -> None:
    del state["backbone.4.block.2.fc1.bias"]
    state["neck.weight"] = torch.zeros(1)
    state["classifier.1.weight"] = torch.zeros(256, 255, 3, 3)
    torch.save(state, tmp_path / "theirs.pth")
    said = refuses("import", tmp_path / "theirs.pth", "--out", tmp_path / "model.safetensors")
    assert "theirs.pth: this is not the state dict of torchvision's DeepLabV3" in said
    assert "1 missing (backbone.blocks.3.excite.squeeze.bias); 1 extra (neck.weight); 1 of another shape" in said


class _Touches:
    """What a pickle can do to those who load it."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self._place,)


def test_what_is_no_state_dict_is_refused_and_nothing_in_it_runs(
    refuses: Refuses, small_checkpoint: Path, tmp_path: Path
) -> None:
    contents = {
        "touches": ({"weight": _Touches(tmp_path / "touched")}, "touches.pth is damaged, or holds more than tensors"),
        "whole": (
            {"model": {"weight": torch.zeros(1)}, "epoch": 3},
            "whole.pth holds more than a state dict (model, epoch)",
        ),
        "list": ([torch.zeros(1)], "list.pth holds a list, and no state dict"),
        "other": ({"fc.weight": torch.zeros(1)}, "other.pth is the state dict of another network (its first keys: fc."),
    }
    for name, (content, said) in contents.items():
        path = tmp_path / f"{name}.pth"
        torch.save(content, path)
        assert said in refuses("import", path, "--out", tmp_path / "model.safetensors")
    path.write_bytes(path.read_bytes()[:-100])
    assert "other.pth is damaged" in refuses("import", path, "--out", tmp_path / "model.safetensors")
    said = refuses("import", small_checkpoint, "--out", tmp_path / "model.safetensors")
    assert "small.safetensors is the state dict of another network" in said
    said = refuses("import", small_checkpoint, "--out", small_checkpoint)
    assert "is the input itself" in said


def test_classes_that_no_data_set_has_need_names(refuses: Refuses, state: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(state, tmp_path / "theirs.pth")
    words = ["import", tmp_path / "theirs.pth", "--out", tmp_path / "model.safetensors", "--no-parity"]
    assert "the file has 3 classes and does not name them: give --classes" in refuses(*words)
