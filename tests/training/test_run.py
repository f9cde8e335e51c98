"""Whole runs on a few small pictures: learning, resuming, surviving a kill, two processes."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edge_deeplab.checkpoint import load_checkpoint
from edge_deeplab.data.sample import MaskKind, Sample
from edge_deeplab.data.transforms import Augmentation
from edge_deeplab.errors import CheckpointError, DatasetError, OutputError
from edge_deeplab.models.deeplab import DeepLab, build_network
from edge_deeplab.spec import ModelSpec, NetworkSpec
from edge_deeplab.training.config import OptimizerKind, TrainingConfig
from edge_deeplab.training.fine_tuning import network_for
from edge_deeplab.training.run import RESUME, train
from edge_deeplab.training.sampling import EpochSampler

_SPEC = ModelSpec(
    network=NetworkSpec(width_multiplier=0.35, aspp_channels=16, decoder_channels=16, skip_channels=8),
    height=32,
    width=32,
)
_CONFIG = TrainingConfig(
    epochs=3,
    batch_size=4,
    precision="32-true",
    workers=0,
    warmup_steps=2,
    ema_decay=0.5,
    freeze_batchnorm_epochs=0,
    augmentation=Augmentation(blur=0.0),
)


class Discs:
    """Red discs on noise, with their coverage: drawn from the index, so that each access gives the same."""

    classes = ("person",)
    mask_kind = MaskKind.COVERAGE

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Sample:
        if index >= self._count:
            raise IndexError(index)
        random = np.random.default_rng(index)
        image = random.integers(0, 120, (40, 40, 3), dtype=np.uint8)
        y, x = np.mgrid[:40, :40]
        row, column, radius = random.uniform(10, 30), random.uniform(10, 30), random.uniform(6, 12)
        inside = (y - row) ** 2 + (x - column) ** 2 < radius**2
        image[inside] = (220, 40, 30)
        return Sample(str(index), "discs", image, (inside * 255).astype(np.uint8))


def _network() -> DeepLab:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return build_network(_SPEC.network)


def _run(out: Path, config: TrainingConfig = _CONFIG, **settings: object) -> Path:
    return train(_network(), _SPEC, Discs(16), Discs(4), out, config, accelerator="cpu", **settings)  # type: ignore[arg-type]


def _resume_state(out: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(out / RESUME, weights_only=True)["current_model_state"]
    return state


def _assert_same(first: Path, second: Path) -> None:
    one, other = _resume_state(first), _resume_state(second)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def _epochs(out: Path, *, start: int) -> set[int]:
    """The epochs that the given start of a run has curves of."""
    with (out / f"curves/version_{start}/metrics.csv").open(newline="") as file:
        return {int(row["epoch"]) for row in csv.DictReader(file) if row["epoch"]}


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three epochs in one go."""
    out = tmp_path_factory.mktemp("straight")
    _run(out)
    return out


def test_a_run_learns_and_leaves_a_checkpoint(tmp_path: Path) -> None:
    config = replace(_CONFIG, epochs=30, learning_rate=5e-3, backbone_rate=1.0)
    notes = load_checkpoint(_run(tmp_path, config)).notes
    assert notes["val_iou"] > 0.7  # a blank or a full mask has at most 0.25 on these discs
    assert notes["recipe"]["learning_rate"] == 5e-3
    assert (tmp_path / "curves/version_0/metrics.csv").read_text().count("\n") > 12
    assert list((tmp_path / "tensorboard/version_0").iterdir())


def test_resuming_is_as_if_nothing_had_happened(straight: Path, tmp_path: Path) -> None:
    _run(tmp_path, stop_after=2)
    torch.rand(7)  # whatever else the process did in between
    _run(tmp_path, resume=True)
    _assert_same(straight, tmp_path)
    assert _epochs(tmp_path, start=0) == {0, 1}
    assert _epochs(tmp_path, start=1) == {2}  # it did go on: starting anew would give the same weights, too
    assert (
        load_checkpoint(tmp_path / "model.safetensors").notes == load_checkpoint(straight / "model.safetensors").notes
    )


def test_the_same_seed_gives_the_same_run(straight: Path, tmp_path: Path) -> None:
    _run(tmp_path)
    _assert_same(straight, tmp_path)
    _run(tmp_path / "other", replace(_CONFIG, seed=2))
    with pytest.raises(AssertionError):
        _assert_same(straight, tmp_path / "other")


def test_a_share_of_the_start_is_in_what_is_evaluated_and_saved_and_not_in_what_is_trained(tmp_path: Path) -> None:
    """Also of a run that was resumed by a process whose network begins as another one."""
    parent = _run(tmp_path / "parent", replace(_CONFIG, epochs=10, learning_rate=5e-3, backbone_rate=1.0))

    def go_on(name: str, share: float, *, stop_after: int | None = None, resume: bool = False) -> Path:
        network = _network() if resume else network_for(parent, ("person",))[0]
        config = replace(_CONFIG, epochs=2, start_share=share, learning_rate=3e-3, backbone_rate=1.0)
        out = tmp_path / name
        return train(
            network, _SPEC, Discs(16), Discs(4), out, config, accelerator="cpu", stop_after=stop_after, resume=resume
        )

    plain, mixed = go_on("plain", 0.0), go_on("mixed", 0.25)
    go_on("stopped", 0.25, stop_after=1)
    resumed = go_on("stopped", 0.25, resume=True)
    for one in (mixed, resumed):
        _assert_same(plain.parent, one.parent)
        assert load_checkpoint(one).notes["epoch"] == 2  # or the average that is looked at below would be another's
    assert load_checkpoint(mixed).sha256 == load_checkpoint(resumed).sha256
    average = torch.load(plain.parent / RESUME, weights_only=True)["state_dict"]
    for name, start in network_for(parent, ("person",))[0].state_dict().items():
        if start.is_floating_point():
            wanted = 0.25 * start + 0.75 * average[f"network.{name}"]
            saved = load_checkpoint(mixed).weights[name]
            np.testing.assert_allclose(saved, wanted.numpy(), rtol=1e-5, atol=1e-6, err_msg=name)
    # What was noted is the score of what was saved: of the network that is evaluated without a further step.
    again = replace(_CONFIG, epochs=1, learning_rate=1e-30, ema_decay=0.0, freeze_batchnorm_epochs=1)
    network, _ = network_for(mixed, ("person",))
    once = train(network, _SPEC, Discs(16), Discs(4), tmp_path / "again", again, accelerator="cpu")
    assert load_checkpoint(once).notes["val_iou"] == pytest.approx(load_checkpoint(mixed).notes["val_iou"], abs=1e-4)
    assert load_checkpoint(plain).notes["val_iou"] != pytest.approx(load_checkpoint(mixed).notes["val_iou"], abs=1e-4)


def test_each_epoch_has_an_order_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    orders = []
    given = EpochSampler.__iter__

    def listening(sampler: EpochSampler) -> Iterator[int]:
        orders.append([key % 16 for key in given(sampler)])
        return given(sampler)

    monkeypatch.setattr(EpochSampler, "__iter__", listening)
    _run(tmp_path, stop_after=2)
    assert len({tuple(order) for order in orders}) == 2


_SCRIPT = """
import sys, importlib.util
from pathlib import Path
spec = importlib.util.spec_from_file_location("runs", sys.argv[1])
runs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(runs)
{body}
"""


def _python(body: str, *arguments: str, launcher: tuple[str, ...] = ()) -> list[str]:
    script = Path(arguments[0]) / "script.py"
    script.write_text(_SCRIPT.format(body=body))
    return [sys.executable, *launcher, str(script), __file__, *arguments]


def test_a_killed_run_resumes(straight: Path, tmp_path: Path) -> None:
    """Kill it hard in the middle of the second or third epoch, and go on."""
    out = tmp_path / "run"
    command = _python("runs._run(Path(sys.argv[3]))", str(tmp_path), str(out))
    # One thread, as in this process (conftest.py): the order of sums is part of the result.
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
    deadline = time.monotonic() + 300
    while not (out / RESUME).exists():
        assert process.poll() is None, process.communicate()[1].decode()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    _run(out, resume=True)
    assert 0 not in _epochs(out, start=1)
    _assert_same(straight, out)


def test_two_processes_take_the_same_step_as_one(tmp_path: Path) -> None:
    """One SGD step under torchrun with two CPU processes (gloo) equals one with the whole batch.

    The step is the gradient times the rate, so equal weights are equal gradients. BatchNorm keeps its statistics,
    because each process would otherwise normalize by its own half of the batch.
    """
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    body = "runs._one_step(Path(sys.argv[2]) / 'run', devices=2)"
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    result = subprocess.run(
        _python(body, str(tmp_path / "two"), launcher=launcher), capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-3000:]
    _one_step(tmp_path / "one" / "run", devices=1)
    one, two = (_resume_state(tmp_path / name / "run") for name in ("one", "two"))
    start = {f"network.{name}": value for name, value in _network().state_dict().items()}
    moved = [name for name in one if not torch.equal(one[name], start[name])]
    assert len(moved) > 100
    for name in moved:
        torch.testing.assert_close(two[name] - start[name], one[name] - start[name], rtol=1e-3, atol=1e-7)


def _one_step(out: Path, *, devices: int) -> None:
    config = replace(
        _CONFIG,
        epochs=1,
        batch_size=16 // devices,
        optimizer=OptimizerKind.SGD,
        learning_rate=0.1,
        warmup_steps=0,
        clip=1e9,
        freeze_batchnorm_epochs=1,
    )
    _run(out, config, devices=devices)


def test_a_frozen_backbone_stands_still(tmp_path: Path) -> None:
    _run(tmp_path, replace(_CONFIG, freeze_epochs=2), stop_after=2)
    start = _network().state_dict()
    trained = _resume_state(tmp_path)
    for name, value in start.items():
        same = torch.equal(trained[f"network.{name}"], value)
        assert same or not name.startswith("backbone."), name
    assert not torch.equal(trained["network.classifier.weight"], start["classifier.weight"])
    _run(tmp_path, replace(_CONFIG, freeze_epochs=2), resume=True)
    stem = _resume_state(tmp_path)["network.backbone.stem.conv.weight"]
    assert not torch.equal(stem, start["backbone.stem.conv.weight"])


def test_what_cannot_be_trained_is_refused(straight: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="--resume"):
        _run(straight)
    with pytest.raises(CheckpointError, match="leave out --resume"):
        _run(tmp_path, resume=True)
    with pytest.raises(DatasetError, match="do not fill one batch of 64"):
        _run(tmp_path, replace(_CONFIG, batch_size=64))
    (tmp_path / RESUME).write_bytes((straight / RESUME).read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match=r"last\.ckpt"):
        _run(tmp_path, resume=True)
