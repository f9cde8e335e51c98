"""benchmarks/ablations.py: its list, what it holds out, and its rows on made persons."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest

from edge_deeplab.data.manifest import ManifestDataset
from edge_deeplab.errors import SpecError
from edge_deeplab.training.recipe import load_recipe

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"

_RECIPE = """
name = "small"
summary = "made persons"
sources.made.repeat = 1
[model]
height = 64
width = 64
[model.network]
width_multiplier = 0.35
aspp_channels = 16
decoder_channels = 16
skip_channels = 8
atrous_rates = []
[training]
batch_size = 4
precision = "32-true"
workers = 0
"""
_LIST = """
recipe = "{recipe}"
steps = 60
epochs = 2
held_out = {{ made = 4 }}
[[row]]
name = "as it is"
[[row]]
name = "no Dice"
change.training.dice_weight = 0.0
[[row]]
name = "taught"
change.teacher = "teacher.safetensors"
change.training.distillation = 0.5
"""


@pytest.fixture
def ablations(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script; the modules beside it are found as when it is started."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("ablations")


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    recipe = tmp_path / "small.toml"
    recipe.write_text(_RECIPE)
    path = tmp_path / "list.toml"
    path.write_text(_LIST.format(recipe=recipe))
    return path


def test_the_list_that_comes_with_it(ablations: ModuleType) -> None:
    """Every row is another recipe than the first, and laid out for as many photos but where it says so."""
    rows = ablations.read_ablations(ablations.LIST).rows
    first = rows[0].recipe
    assert first.table != load_recipe("portrait-fast-first").table
    assert first.model == load_recipe("portrait-fast-first").model
    for row in rows[1:]:
        assert row.recipe.sha256 != first.sha256, row.name
        assert row.recipe.training.epoch_steps * row.recipe.training.batch_size == 120 * first.training.batch_size
    assert [row.name for row in rows if row.recipe.training.epochs != 3] == ["three times as long"]
    other_steps = [row.name for row in rows if row.recipe.training.epoch_steps != 120]
    assert other_steps == ["half the batch, twice the steps"]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("steps = 60", "step = 60", "unknown key 'step'"),
        ("change.training.dice_weight", "training.dice_weight", "unknown key 'training'"),
        ("dice_weight", "dice", r"list\.toml, no Dice: training has the unknown key 'dice'"),
        ('"no Dice"', '"as it is"', "two rows of .* have one name"),
        ("epochs = 2", "epochs =", "cannot be read"),
    ],
)
def test_a_list_that_makes_no_sense(ablations: ModuleType, listed: Path, before: str, after: str, message: str) -> None:
    listed.write_text(listed.read_text().replace(before, after))
    with pytest.raises(SpecError, match=message):
        ablations.read_ablations(listed)


def test_what_is_held_out_is_not_trained_on(ablations: ModuleType, made_persons: Path) -> None:
    data = ManifestDataset(made_persons, split="train")
    train, held = ablations.divide(data, {"made": 2}, {"made": 4})
    trained = [train[index].id for index in range(len(train))]
    scored = [held[index].id for index in range(len(held))]
    assert scored == [row.id for row in data.rows[::4]]
    assert not set(trained) & set(scored)
    assert sorted(trained) == sorted([row.id for row in data.rows if row.id not in scored] * 2)


def test_rows_are_run_once(ablations: ModuleType, listed: Path, made_persons: Path, tmp_path: Path) -> None:
    """The last row's teacher is not there: it waits. What was measured with the same recipe is kept."""
    out = tmp_path / "ablations.json"
    words = [str(made_persons), "--list", str(listed), "--runs", str(tmp_path / "runs"), "--json", str(out)]
    ablations.main([*words, "--steps", "12", "--accelerator", "cpu"])
    result = json.loads(out.read_text())
    assert list(result["rows"]) == ["as it is", "no Dice"]
    assert set(result["rows"]["as it is"]) == {"person IoU", "boundary F", "false person", "recipe"}
    assert 0 <= result["rows"]["as it is"]["person IoU"]["made"] <= 1
    assert result["rows"]["as it is"] != result["rows"]["no Dice"]

    (run,) = (tmp_path / "runs").glob("no-dice-*")
    trained = json.loads((run / "config.json").read_text())["training"]
    assert (trained["dice_weight"], trained["epochs"], trained["epoch_steps"]) == (0.0, 2, 6)
    assert (run / "curves.csv").read_text().splitlines()[-1].startswith("2,12,")

    result["rows"]["no Dice"]["boundary F"] = 9.0  # a row that is run again would get its own
    out.write_text(json.dumps(result))
    ablations.main([*words, "--steps", "12", "--row", "no Dice"])
    assert json.loads(out.read_text())["rows"] == result["rows"]
