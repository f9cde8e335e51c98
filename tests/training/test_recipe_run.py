"""``train --recipe`` as a user runs it: from photos to both checkpoints, stopped in between, and refused."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_deeplab.checkpoint import load_checkpoint
from edge_deeplab.cli.main import run
from edge_deeplab.files import sha256
from edge_deeplab.quantization.ranges import load_ranges
from edge_deeplab.training.recipe import load_recipe


def _words(data: Path, recipe: Path, out: Path, *more: object) -> list[str]:
    words = ["train", data, "--recipe", recipe, "--out", out, "--accelerator", "cpu", *more]
    return [str(word) for word in words]


def test_a_run_leaves_both_models_and_says_what_they_are_made_of(
    recipe_run: Path, tested_persons: Path, small_recipe: Path
) -> None:
    record = json.loads((recipe_run / "record.json").read_text())
    network, integers = (load_checkpoint(recipe_run / stage / "model.safetensors") for stage in ("float", "int8"))
    load_ranges(recipe_run / "int8" / "model.ranges.json").require_checkpoint(integers.sha256)
    assert integers.notes["parent_sha256"] == network.sha256 == record["stages"]["float"]["sha256"]
    assert record["stages"]["int8"]["val_iou"] == integers.notes["val_iou"]
    assert network.notes["recipe"]["augmentation"]["scale"] == [0.9, 1.2]
    assert integers.notes["quantization_aware"]["augmentation"]["scale"] == [0.9, 1.2]
    assert load_recipe(recipe_run / "recipe.json") == load_recipe(small_recipe)
    assert record["recipe"] == {"name": "portrait-small", "sha256": load_recipe(small_recipe).sha256}
    assert {split: part["photos"] for split, part in record["sources"]["made"].items()} == {"train": 32, "val": 4}
    with (recipe_run / "data.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 36


def test_a_run_in_pieces_is_the_same_run(
    recipe_run: Path, tested_persons: Path, small_recipe: Path, tmp_path: Path
) -> None:
    """Killed in the float training, then stopped behind it, then finished; and again, which does nothing."""
    out = tmp_path / "run"
    command = [sys.executable, "-m", "edge_deeplab.cli.main", *_words(tested_persons, small_recipe, out)]
    # One thread, as in this process (one_thread): the order of sums is part of the result.
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    deadline = time.monotonic() + 300
    while not (out / "float" / "last.ckpt").exists():
        assert process.poll() is None, process.communicate()[1].decode()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert run(_words(tested_persons, small_recipe, out, "--resume", "--stop-after", "float")) == 0
    assert not (out / "int8").exists()
    assert run(_words(tested_persons, small_recipe, out, "--resume")) == 0
    models, curves = ("float/model.safetensors", "int8/model.safetensors"), ("float/curves.csv", "int8/curves.png")
    for name in (*models, *curves, "data.csv"):
        assert (out / name).read_bytes() == (recipe_run / name).read_bytes(), name
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert run(_words(tested_persons, small_recipe, out, "--resume")) == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_a_stage_that_was_finished_but_not_noted_is_not_trained_again(
    recipe_run: Path, tested_persons: Path, small_recipe: Path, tmp_path: Path
) -> None:
    """Killed between the last epoch and the note about it."""
    out = shutil.copytree(recipe_run, tmp_path / "run")
    record = json.loads((out / "record.json").read_text())
    record["stages"].clear()
    (out / "record.json").write_text(json.dumps(record))
    assert run(_words(tested_persons, small_recipe, out, "--resume")) == 0
    assert json.loads((out / "record.json").read_text()) == json.loads((recipe_run / "record.json").read_text())


def test_a_network_settles_between_the_float_and_the_integer_training(recipe_run: Path, settled_run: Path) -> None:
    """It goes on from the float network (and, with hardly any learning rate, stays it); integers come from it, on the
    pixels that they are deployed on.
    """
    record = json.loads((settled_run / "record.json").read_text())
    assert list(record["stages"]) == ["float", "settled", "int8"]
    first, settled, integers = (
        load_checkpoint(settled_run / stage / "model.safetensors") for stage in ("float", "settled", "int8")
    )
    # The stage before knows nothing of it.
    assert first.sha256 == load_checkpoint(recipe_run / "float" / "model.safetensors").sha256
    assert [one.notes["recipe"]["epochs"] for one in (first, settled)] == [2, 1]
    assert settled.notes["recipe"]["augmentation"] == first.notes["recipe"]["augmentation"] | {"scale": [1.0, 1.1]}
    assert settled.notes["recipe"]["batch_size"] == first.notes["recipe"]["batch_size"]
    assert settled.sha256 != first.sha256
    assert [(one.spec.height, one.spec.width) for one in (first, settled, integers)] == [(64, 64), (64, 64), (96, 80)]
    assert integers.spec.network == first.spec.network
    for name, value in first.weights.items():
        if value.ndim == 4:  # the convolutions; BatchNorm's statistics move with what it sees
            np.testing.assert_allclose(settled.weights[name], value, rtol=1e-5, atol=1e-8, err_msg=name)
    assert integers.notes["parent_sha256"] == settled.sha256
    assert integers.notes["quantization_aware"]["augmentation"]["scale"] == [1.0, 1.1]


def test_a_run_that_settles_goes_on_behind_each_stage(
    settled_run: Path, tested_persons: Path, settling_recipe: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    for more, there in (
        (["--stop-after", "float"], ["float"]),
        (["--stop-after", "settled", "--resume"], ["float", "settled"]),
        (["--resume"], ["float", "settled", "int8"]),
    ):
        assert run(_words(tested_persons, settling_recipe, out, *more)) == 0
        assert [stage for stage in ("float", "settled", "int8") if (out / stage).exists()] == there
    for stage in ("float", "settled", "int8"):
        name = f"{stage}/model.safetensors"
        assert (out / name).read_bytes() == (settled_run / name).read_bytes(), name


def test_late_photos_come_in_the_last_float_run_and_behind_it(
    settled_run: Path, tested_persons: Path, settling_recipe: Path, tmp_path: Path
) -> None:
    """Of 32 photos 16 come late: two batches of 8 in an epoch, four in those behind. Each run goes on from the last."""
    data = shutil.copytree(tested_persons, tmp_path / "data")
    lines = (data / "manifest.csv").read_text().splitlines()
    for place in [place for place, line in enumerate(lines) if line.endswith(",train")][::2]:
        lines[place] = lines[place].replace(",made,", ",late,")
    (data / "manifest.csv").write_text("\n".join(lines) + "\n")
    recipe, out = tmp_path / "late.toml", tmp_path / "run"
    more = "sources.late.late = true\n[finishing]\nlearning_rate = 1e-11\n"
    recipe.write_text(f'base = "{settling_recipe}"\nname = "late"\n{more}')
    assert run(_words(data, recipe, out, "--stop-after", "finished")) == 0
    assert not (out / "int8").exists()
    assert run(_words(data, recipe, out, "--resume")) == 0
    stages = ("float", "settled", "finished", "int8")
    record = json.loads((out / "record.json").read_text())
    assert tuple(record["stages"]) == stages
    steps = {}
    for stage in stages:
        with (out / stage / "curves.csv").open(newline="") as file:
            steps[stage] = [int(row["steps"]) for row in csv.DictReader(file)]
    assert steps == {"float": [2, 4], "settled": [2], "finished": [4], "int8": [4]}
    assert {source: parts["train"]["photos"] for source, parts in record["sources"].items()} == {"made": 16, "late": 16}
    _, settled, finished, integers = (load_checkpoint(out / stage / "model.safetensors") for stage in stages)
    assert finished.notes["recipe"]["learning_rate"] == 1e-11
    for name, value in settled.weights.items():
        if value.ndim == 4:  # at this rate it hardly moves: it began as the settled network
            np.testing.assert_allclose(finished.weights[name], value, rtol=1e-4, atol=1e-7, err_msg=name)
    assert integers.notes["parent_sha256"] == finished.sha256


def test_a_network_that_was_taught_may_settle_on_the_masks_alone(
    recipe_run: Path, tested_persons: Path, settling_recipe: Path, tmp_path: Path
) -> None:
    teacher = recipe_run / "float" / "model.safetensors"
    taught = tmp_path / "taught.toml"
    shares = "[training]\nepochs = 1\ndistillation = 0.5\n[settling]\ndistillation = 0.0\n"
    taught.write_text(f'base = "{settling_recipe}"\nname = "taught"\nteacher = "{teacher.name}"\n{shares}')
    out = tmp_path / "run"
    assert run(_words(tested_persons, taught, out, "--teacher", teacher, "--stop-after", "settled")) == 0
    first, settled = (load_checkpoint(out / stage / "model.safetensors").notes for stage in ("float", "settled"))
    assert first["teacher_sha256"] == sha256(teacher)
    assert "teacher_sha256" not in settled


def test_a_teacher_that_cannot_teach_is_refused_before_anything_is_begun(
    tested_persons: Path, small_recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"no model")
    mine = tmp_path / "mine.toml"
    mine.write_text(
        f'base = "{small_recipe}"\nname = "mine"\nteacher = "broken.tflite"\n[training]\ndistillation = 0.5\n'
    )
    assert run(_words(tested_persons, mine, tmp_path / "run", "--teacher", broken)) == 1
    error = capsys.readouterr().err
    assert "broken.tflite" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_stage_that_a_recipe_lacks_is_refused(
    tested_persons: Path, small_recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(_words(tested_persons, small_recipe, tmp_path / "run", "--stop-after", "settled")) == 1
    assert "the recipe portrait-small has no stage 'settled': it has float, int8" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.fixture
def other_recipe(small_recipe: Path, tmp_path: Path) -> Path:
    path = tmp_path / "other" / "small.toml"
    path.parent.mkdir()
    path.write_text(small_recipe.read_text().replace("warmup_steps = 2", "warmup_steps = 3"))
    return path


def test_a_run_goes_on_as_it_was_begun_or_not_at_all(
    recipe_run: Path,
    tested_persons: Path,
    small_recipe: Path,
    other_recipe: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuses(data: Path, used: Path, out: Path, *more: str) -> str:
        before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
        assert run(_words(data, used, out, *more)) == 1
        assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        return error

    assert "already holds a run: continue it with --resume" in refuses(tested_persons, small_recipe, recipe_run)
    assert "begun with another recipe (portrait-small, " in refuses(
        tested_persons, other_recipe, recipe_run, "--resume"
    )
    assert "no run of a recipe to resume" in refuses(tested_persons, small_recipe, tmp_path / "empty", "--resume")

    data = shutil.copytree(tested_persons, tmp_path / "data")
    manifest = data / "manifest.csv"
    manifest.write_text("".join(manifest.read_text().splitlines(keepends=True)[:-1]))
    assert "was begun on other photos" in refuses(data, small_recipe, recipe_run, "--resume")

    changed = shutil.copytree(recipe_run, tmp_path / "changed")
    (changed / "float" / "model.safetensors").write_bytes(b"")
    assert "is not what the run left there" in refuses(tested_persons, small_recipe, changed, "--resume")
    (changed / "record.json").write_text("{}")
    assert "cannot be read" in refuses(tested_persons, small_recipe, changed, "--resume")


def test_other_photos_than_the_recipe_s_are_refused_unless_wanted(
    recipe_run: Path, tested_persons: Path, small_recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The record of a run has the digests that a recipe wants."""
    found = json.loads((recipe_run / "record.json").read_text())["sources"]["made"]
    fixed = tmp_path / "fixed.toml"

    def write(train: int) -> None:
        lines = [
            f'{split} = {{ photos = {photos}, sha256 = "{found[split]["sha256"]}" }}'
            for split, photos in (("train", train), ("val", 4))
        ]
        changes = "[training]\nepochs = 1\n[data.made]\n" + "\n".join(lines)
        fixed.write_text(f'base = "{small_recipe}"\nname = "fixed"\n{changes}\n')

    write(train=31)
    words = _words(tested_persons, fixed, tmp_path / "run", "--stop-after", "float")
    assert run(words) == 1
    error = capsys.readouterr().err
    assert "made (train: 32 photos instead of 31) differ" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()
    assert run([*words, "--other-data"]) == 0
    write(train=32)
    assert run(_words(tested_persons, fixed, tmp_path / "same", "--stop-after", "float")) == 0


@pytest.mark.parametrize(
    ("more", "status", "message"),
    [
        (["--epochs", "3"], 2, "--epochs does not go with --recipe: the recipe says it"),
        (["--devices", "2"], 2, "--devices does not go with --recipe"),
        (["--qat", "x.safetensors"], 2, "--qat does not go with --recipe"),
        (["--init", "weights.npz"], 1, "the recipe portrait-small takes no file there: leave out --init"),
        (["--teacher", "weights.npz"], 1, "the recipe portrait-small takes no file there: leave out --teacher"),
    ],
)
def test_what_the_recipe_says_cannot_be_said_again(
    more: list[str],
    status: int,
    message: str,
    tested_persons: Path,
    small_recipe: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(_words(tested_persons, small_recipe, tmp_path / "run", *more)) == status
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_the_first_weights_are_the_recipe_s(
    tested_persons: Path, small_recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "weights.npz"
    file.write_bytes(b"no weights")
    mine = tmp_path / "mine.toml"
    mine.write_text(f'base = "{small_recipe}"\nname = "mine"\ninit = "weights.npz"\ninit_sha256 = "{"0" * 64}"\n')
    for more, message in (
        ([], "the recipe mine needs weights.npz: say where it is with --init FILE"),
        (["--init", tmp_path / "none.npz"], "there is no file"),
        (["--init", file], "is not the weights.npz that the recipe mine needs"),
    ):
        assert run(_words(tested_persons, mine, tmp_path / "run", *more)) == 1
        assert message in capsys.readouterr().err
        assert not (tmp_path / "run").exists()


def _going_on_from(checkpoint: Path, base: Path, folder: Path, changes: str) -> Path:
    """A recipe that goes on from a checkpoint."""
    path = folder / "mine.toml"
    init = f'init = "{checkpoint.name}"\ninit_sha256 = "{sha256(checkpoint)}"\n'
    path.write_text(f'base = "{base}"\nname = "mine"\n{init}{changes}')
    return path


def test_a_recipe_goes_on_from_a_whole_network(
    recipe_run: Path, tested_persons: Path, small_recipe: Path, tmp_path: Path
) -> None:
    """With hardly any learning rate, what comes out is what went in: the head, too."""
    first = recipe_run / "float" / "model.safetensors"
    mine = _going_on_from(first, small_recipe, tmp_path, "[training]\nepochs = 1\nlearning_rate = 1e-12\n")
    words = _words(tested_persons, mine, tmp_path / "run", "--init", first, "--stop-after", "float")
    assert run(words) == 0
    before, after = (
        load_checkpoint(path).weights for path in (first, tmp_path / "run" / "float" / "model.safetensors")
    )
    assert any(name.startswith("classifier") for name in before)
    for name, value in before.items():
        if value.ndim == 4:  # the convolutions; BatchNorm's statistics move with what it sees
            np.testing.assert_allclose(after[name], value, rtol=1e-5, atol=1e-8, err_msg=name)


def test_a_whole_network_must_be_the_recipe_s(
    recipe_run: Path,
    tested_persons: Path,
    small_recipe: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = recipe_run / "float" / "model.safetensors"
    changes = "[model.network]\ndecoder_channels = 24\noutput_stride = 8\n"
    mine = _going_on_from(first, small_recipe, tmp_path, changes)
    assert run(_words(tested_persons, mine, tmp_path / "run", "--init", first)) == 1
    message = capsys.readouterr().err
    assert "holds another network than the recipe mine (" in message
    assert "decoder_channels 16, not 24" in message
    assert "output_stride 16, not 8" in message
    assert not (tmp_path / "run").exists()


def test_a_recipe_may_leave_the_last_bottleneck_out_and_not_add_it(
    recipe_run: Path, tested_persons: Path, small_recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = recipe_run / "float" / "model.safetensors"
    changes = "[training]\nepochs = 1\nlearning_rate = 1e-12\n[model.network]\nlast_bottleneck = false\n"
    mine = _going_on_from(first, small_recipe, tmp_path, changes)
    words = _words(tested_persons, mine, tmp_path / "run", "--init", first, "--stop-after", "float")
    assert run(words) == 0
    shorter = tmp_path / "run" / "float" / "model.safetensors"
    before, after = (load_checkpoint(path) for path in (first, shorter))
    assert after.spec.network == replace(before.spec.network, last_bottleneck=False)
    assert not any(name.startswith("backbone.blocks.16.") for name in after.weights)
    for name in ("backbone.blocks.15.project.conv.weight", "aspp.project.conv.weight", "classifier.weight"):
        np.testing.assert_allclose(after.weights[name], before.weights[name], rtol=1e-5, atol=1e-8, err_msg=name)
    capsys.readouterr()
    (tmp_path / "back").mkdir()
    back = _going_on_from(shorter, small_recipe, tmp_path / "back", "")
    assert run(_words(tested_persons, back, tmp_path / "back" / "run", "--init", shorter)) == 1
    assert "last_bottleneck False, not True" in capsys.readouterr().err


def test_a_layout_without_sources_is_refused(
    tested_persons: Path, small_recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(_words(tmp_path, small_recipe, tmp_path / "run")) == 1
    assert "manifest.csv: a recipe names sources and splits, which only it tells" in capsys.readouterr().err


def test_options_of_a_recipe_are_refused_without_one(
    tested_persons: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["train", str(tested_persons), "--out", str(tmp_path / "run"), "--other-data"]) == 2
    assert "--other-data goes with --recipe" in capsys.readouterr().err
