"""A teacher: what it sees, what it says, and that a student learns from it and not from the masks."""

from __future__ import annotations

import copy
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from edge_deeplab.artifact import load_artifact
from edge_deeplab.checkpoint import load_checkpoint
from edge_deeplab.cli.main import run
from edge_deeplab.data.bundled import bundled_portrait
from edge_deeplab.data.sample import MaskKind, Sample
from edge_deeplab.errors import ModelFileError, SpecError
from edge_deeplab.files import sha256
from edge_deeplab.image import resize_area
from edge_deeplab.models.deeplab import DeepLab, Deployed, build_network
from edge_deeplab.runtime.opening import open_session
from edge_deeplab.training.config import TeacherViews, TrainingConfig
from edge_deeplab.training.quantization_aware import QuantizationAwareConfig
from edge_deeplab.training.run import RESUME, train
from edge_deeplab.training.teacher import Teacher, heeded, load_teacher
from edge_deeplab.weights import shipped_model

from .conftest import TINY_SPEC, TINY_TRAINING

_ONE_VIEW = TeacherViews(flip=False)


@pytest.fixture
def images() -> Tensor:
    torch.manual_seed(2)
    coarse = torch.rand(2, 3, 5, 5)
    return torch.nn.functional.interpolate(coarse, (96, 96), mode="bicubic").clamp(0, 1)


def _teacher(network: DeepLab, views: TeacherViews) -> Teacher:
    return Teacher(copy.deepcopy(network), 96, 96, views)


def test_one_view_is_the_deployed_network(small_network: DeepLab, images: Tensor) -> None:
    with torch.no_grad():
        expected = Deployed(small_network, 1)(images)
    torch.testing.assert_close(_teacher(small_network, _ONE_VIEW)(images), expected, atol=1e-5, rtol=0)


def test_views_are_averaged(small_network: DeepLab, images: Tensor) -> None:
    scales = (0.75, 1.0, 4 / 3)
    found = _teacher(small_network, TeacherViews(scales=scales))(images)
    expected = []
    for side in (64, 96, 128):  # 72 is no multiple of the network's strides: the nearest is 64
        for mirrored in (False, True):
            seen = images.flip(3) if mirrored else images
            resize = {"mode": "bilinear", "antialias": True}
            with torch.no_grad():
                said = Deployed(small_network, 1)(torch.nn.functional.interpolate(seen, (side, side), **resize))
            said = torch.nn.functional.interpolate(said, (96, 96), **resize)
            expected.append(said.flip(3) if mirrored else said)
    torch.testing.assert_close(found, torch.stack(expected).mean(0), atol=1e-5, rtol=0)
    assert float((found - expected[2]).abs().max()) > 0.01


def test_a_mirrored_picture_has_the_mirrored_answer(small_network: DeepLab, images: Tensor) -> None:
    both, one = (_teacher(small_network, TeacherViews(flip=flip)) for flip in (True, False))
    torch.testing.assert_close(both(images.flip(3)), both(images).flip(3), atol=1e-5, rtol=0)
    assert float((one(images.flip(3)) - one(images).flip(3)).abs().max()) > 0.01


@pytest.mark.parametrize("size", [33, 96, 150])
def test_it_looks_at_its_own_size_and_answers_at_the_student_s(
    small_network: DeepLab, images: Tensor, size: int
) -> None:
    sides = []
    network = copy.deepcopy(small_network)
    network.register_forward_pre_hook(lambda _, given: sides.append(tuple(given[0].shape[2:])))
    teacher = Teacher(network, 96, 96, TeacherViews(size=size))
    found = teacher(images[:, :, :80, :64])
    assert sides == [(size, size)] * 2
    assert found.shape == (2, 1, 80, 64)
    assert found.dtype == torch.float32
    assert not found.requires_grad
    assert 0.0 <= float(found.min()) <= float(found.max()) <= 1.0


def test_several_classes_are_probabilities_that_add_up() -> None:
    torch.manual_seed(0)
    network = build_network(replace(TINY_SPEC.network, num_classes=3))
    found = Teacher(network, 32, 32, TeacherViews(size=64))(torch.rand(2, 3, 32, 32))
    torch.testing.assert_close(found.sum(1), torch.ones(2, 32, 32), atol=1e-5, rtol=0)


_CONFIG = replace(TINY_TRAINING, distillation=1.0)


class Photos:
    """Noise with a warm square; the labels are right, or nobody is labelled."""

    classes = ("person",)
    mask_kind = MaskKind.COVERAGE

    def __init__(self, *, labelled: bool) -> None:
        self._labelled = labelled

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> Sample:
        image = np.random.default_rng(index).integers(0, 120, (40, 40, 3), dtype=np.uint8)
        mask = np.zeros((40, 40), np.uint8)
        mask[8 + index : 28, 10:30] = 255 * self._labelled
        image[8 + index : 28, 10:30] = (220, 150, 80)
        return Sample(str(index), "squares", image, mask)


def _train(
    out: Path, teacher: Teacher | None, config: TrainingConfig = _CONFIG, *, labelled: bool = True, **settings: object
) -> dict[str, Tensor]:
    """A run's weights, as a resumed run would find them."""
    torch.manual_seed(5)
    data = Photos(labelled=labelled)
    network = build_network(TINY_SPEC.network)
    train(network, TINY_SPEC, data, data, out, config, teacher=teacher, accelerator="cpu", **settings)  # type: ignore[arg-type]
    state: dict[str, Tensor] = torch.load(out / RESUME, weights_only=True)["current_model_state"]
    return state


def _same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    assert one.keys() == other.keys()
    return all(torch.equal(one[name], other[name]) for name in one)


def test_a_share_of_one_learns_from_the_teacher_alone(small_network: DeepLab, tmp_path: Path) -> None:
    teacher = _teacher(small_network, _ONE_VIEW)
    alone = replace(_CONFIG, epochs=1)
    taught = _train(tmp_path / "taught", teacher, alone)
    assert not any("teacher" in name for name in taught)  # what is saved and resumed is the student
    assert _same(taught, _train(tmp_path / "blank", teacher, alone, labelled=False))
    half = replace(_CONFIG, epochs=1, distillation=0.5)
    mixed = _train(tmp_path / "half", teacher, half)
    assert not _same(mixed, _train(tmp_path / "half-blank", teacher, half, labelled=False))
    assert not _same(mixed, taught)


def test_resuming_with_a_teacher_is_as_if_nothing_had_happened(small_network: DeepLab, tmp_path: Path) -> None:
    teacher, config = _teacher(small_network, TeacherViews()), replace(_CONFIG, distillation=0.5)
    straight = _train(tmp_path / "straight", teacher, config)
    _train(tmp_path / "halved", teacher, config, stop_after=1)
    assert _same(straight, _train(tmp_path / "halved", teacher, config, resume=True))


def test_a_share_without_a_teacher_and_the_reverse_are_refused(small_network: DeepLab, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"distillation is 1\.0, and there is no teacher"):
        _train(tmp_path / "run", None)
    with pytest.raises(SpecError, match=r"distillation is 0\.0, and there is a teacher"):
        _train(tmp_path / "run", _teacher(small_network, _ONE_VIEW), replace(_CONFIG, distillation=0.0))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 8}, "size is 8"),
        ({"scales": ()}, r"scales are \[\]"),
        ({"scales": (1.0, 0.0)}, r"scales are \[1.0, 0.0\]"),
        ({"scales": (1.0, 1.0)}, "each once"),
        ({"agreement": 1.5}, r"agreement is 1\.5: it is an IoU"),
        ({"agreement": -0.1}, r"agreement is -0\.1"),
    ],
)
def test_impossible_views_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        TeacherViews(**settings)  # type: ignore[arg-type]


def test_a_teacher_is_heeded_where_it_finds_what_the_mask_shows() -> None:
    mask = torch.zeros(4, 1, 10, 10)
    mask[:3, :, :, :5] = 1.0
    taught = torch.full((4, 1, 10, 10), 0.1)
    taught[0, :, :, :4] = 0.9  # IoU 0.8
    taught[1, :, :, :3] = 0.9  # 0.6
    taught[2, :, :, 5:] = 0.9  # 0: another person
    taught[3, :, :2, :2] = 0.9  # 0: nobody is there
    found = heeded(taught, mask, 0.8)
    assert torch.equal(found[0], taught[0])
    assert torch.equal(found[1:], mask[1:])
    assert torch.equal(heeded(taught, mask, 0.6)[:2], taught[:2])
    assert torch.equal(heeded(taught, mask, 0.0), taught)


def test_where_the_mask_says_nothing_the_teacher_does() -> None:
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., 2:] = -1.0
    taught = torch.full((1, 1, 4, 4), 0.75)
    found = heeded(taught, mask, 0.5)
    assert torch.equal(found[..., :2], torch.zeros(1, 1, 4, 2))
    assert torch.equal(found[..., 2:], taught[..., 2:])
    mask[..., :2] = 1.0
    assert torch.equal(heeded(taught, mask, 0.5), taught)  # where it is known, they agree


def test_a_teacher_of_several_classes_is_heeded_by_the_same_rule() -> None:
    classes = torch.tensor([[[0, 1], [2, 255]]] * 2)
    right, wrong = (
        torch.softmax(torch.eye(3)[torch.tensor(rows)].permute(2, 0, 1) * 3, dim=0)
        for rows in ([[0, 1], [2, 0]], [[1, 0], [0, 1]])
    )
    found = heeded(torch.stack([right, wrong]), classes, 0.9)
    assert torch.equal(found[0], right)
    expected = torch.stack([torch.eye(3)[0], torch.eye(3)[1], torch.eye(3)[2], wrong[:, 1, 1]]).T.reshape(3, 2, 2)
    torch.testing.assert_close(found[1], expected)


def test_an_unheeded_teacher_teaches_the_masks(small_network: DeepLab, tmp_path: Path) -> None:
    alone = replace(_CONFIG, epochs=1)
    strict = _teacher(small_network, TeacherViews(flip=False, agreement=1.0))  # noise: it never agrees in each pixel
    learned = _train(tmp_path / "labelled", strict, alone)
    assert not _same(learned, _train(tmp_path / "blank", strict, alone, labelled=False))
    assert not _same(learned, _train(tmp_path / "taught", _teacher(small_network, _ONE_VIEW), alone))


def test_a_model_file_teaches_what_it_computes(tmp_path: Path) -> None:
    portrait, side = bundled_portrait(), load_artifact(shipped_model()).spec.height
    pixels = np.stack([resize_area(part, side, side) for part in (portrait, portrait[:, : portrait.shape[1] // 2])])
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 + 0.001  # less than half a step of a byte
    with open_session(shipped_model()) as session:
        expected, mirrored = (np.stack([session.run(one[:, ::step].copy()) for one in pixels]) for step in (1, -1))
    anybody_s = Path(shutil.copy(shipped_model(), tmp_path / "anybody.tflite"))  # without its sidecar
    for path in (shipped_model(), anybody_s):
        found = load_teacher(path, ("person",), _ONE_VIEW)(images)
        assert found.shape == (2, 1, side, side)
        assert np.abs(found.permute(0, 2, 3, 1).numpy() - expected).max() <= 2e-4  # it is sure to 1e-4
    both = load_teacher(anybody_s, ("person",), TeacherViews())(images).permute(0, 2, 3, 1).numpy()
    assert np.abs(both - (expected + mirrored[:, :, ::-1]) / 2).max() <= 2e-4
    assert np.abs(both - expected).max() > 0.01
    smaller = load_teacher(anybody_s, ("person",), _ONE_VIEW)(images[:, :, ::2, ::2])
    assert smaller.shape == (2, 1, side // 2, side // 2)  # it looks at its own size and answers at the student's


@pytest.mark.parametrize(
    "views", [TeacherViews(size=320), TeacherViews(scales=(1.0, 1.5))], ids=["another size", "scales"]
)
def test_a_model_file_has_one_size(views: TeacherViews) -> None:
    spec = load_artifact(shipped_model()).spec
    with pytest.raises(SpecError, match=f"takes {spec.height}x{spec.width} pixels and no other size"):
        load_teacher(shipped_model(), ("person",), views)


def test_a_model_file_that_cannot_teach_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="knows person, and the data has cat"):
        load_teacher(shipped_model(), ("cat",), _ONE_VIEW)
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(shipped_model().read_bytes()[:1000])
    with pytest.raises(ModelFileError, match=r"broken\.tflite"):
        load_teacher(broken, ("person",), _ONE_VIEW)
    with pytest.raises(ModelFileError, match="there is no model file"):
        load_teacher(tmp_path / "gone.tflite", ("person",), _ONE_VIEW)


def test_shares_are_shares_and_there_is_one_of_a_fine_tune() -> None:
    with pytest.raises(SpecError, match=r"distillation is 1\.5"):
        TrainingConfig(distillation=1.5)
    with pytest.raises(SpecError, match="its own setting"):
        QuantizationAwareConfig(training=TrainingConfig(distillation=0.5))


def test_a_teacher_of_other_classes_is_refused(small_checkpoint: Path) -> None:
    with pytest.raises(SpecError, match="knows person, and the data has background, person"):
        load_teacher(small_checkpoint, ("background", "person"), _ONE_VIEW)


_SETTINGS = ["--batch-size", "16", "--precision", "float32", "--workers", "0", "--accelerator", "cpu", "--epochs", "1"]


@pytest.mark.parametrize("qat", [False, True])
def test_the_command_says_whose_student_it_is(
    made_persons: Path, small_checkpoint: Path, tmp_path: Path, qat: bool
) -> None:
    network = ["--qat", str(small_checkpoint)] if qat else ["--width", "0.35", "--input-size", "64"]
    teacher = ["--teacher", str(small_checkpoint), "--teacher-scales", "1,1.5", "--distillation", "0.25"]
    teacher += ["--teacher-agreement", "0.5"]
    assert run(["train", str(made_persons), "--out", str(tmp_path / "run"), *network, *teacher, *_SETTINGS]) == 0
    notes = load_checkpoint(tmp_path / "run" / "model.safetensors").notes
    assert notes["teacher_sha256"] == load_checkpoint(small_checkpoint).sha256
    recipe = notes["quantization_aware" if qat else "recipe"]
    assert recipe["distillation"] == 0.25
    assert recipe["teacher"] == {"size": 0, "scales": [1.0, 1.5], "flip": True, "agreement": 0.5}


def test_the_command_takes_a_model_file_for_a_teacher(
    made_persons: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", str(made_persons), "--out", str(tmp_path / "run"), "--width", "0.35", "--input-size", "64"]
    anybody_s = Path(shutil.copy(shipped_model(), tmp_path / "anybody.tflite"))
    assert run([*words, *_SETTINGS, "--teacher", str(anybody_s), "--distillation", "1"]) == 0
    assert load_checkpoint(tmp_path / "run" / "model.safetensors").notes["teacher_sha256"] == sha256(anybody_s)
    assert "edge-deeplab: anybody.tflite takes RGB in 0..1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--distillation", "0.5"], "--distillation goes with --teacher or --qat only"),
        (["--teacher-size", "512"], "--teacher-size goes with --teacher only"),
        (["--teacher-agreement", "0.5"], "--teacher-agreement goes with --teacher only"),
        (["--no-teacher-flip"], "--teacher-flip goes with --teacher only"),
        (["--teacher", "CHECKPOINT", "--teacher-scales", "1,big"], "'1,big' is no list of numbers"),
        (["--teacher", "CHECKPOINT", "--teacher-size", "3"], "size is 3"),
        (["--teacher", "CHECKPOINT", "--teacher-agreement", "2"], "agreement is 2.0"),
        (["--teacher", "CHECKPOINT", "--distillation", "0"], "and there is a teacher"),
        (["--teacher", "nowhere.safetensors"], "there is no checkpoint nowhere"),
    ],
)
def test_what_cannot_work_is_refused_in_a_line(
    more: list[str],
    message: str,
    made_persons: Path,
    small_checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [str(small_checkpoint) if word == "CHECKPOINT" else word for word in more]
    network = ["--width", "0.35", "--input-size", "64"]
    assert run(["train", str(made_persons), "--out", str(tmp_path / "run"), *network, *_SETTINGS, *words]) != 0
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()
