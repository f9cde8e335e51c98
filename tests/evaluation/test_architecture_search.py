"""benchmarks/architecture_search.py from its candidates to the page in docs, on a tiny network."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from edge_deeplab.errors import SpecError
from edge_deeplab.models.loading import save_state
from edge_deeplab.spec import ModelSpec, NetworkSpec
from edge_deeplab.weights import shipped_model

ROOT = Path(__file__).resolve().parents[2]

TINY = """[[grid]]
width_multiplier = [0.35]
aspp_channels = [8]
decoder_channels = [8]
skip_channels = [4]
atrous_rates = [[2]]
output_stride = [16]
size = [64]
"""
NAME = "w0.35-a8-d8-s4-r2-os16-64"

Main = Callable[[Sequence[str]], None]


@pytest.fixture
def candidates(script: Callable[[str, str], ModuleType]) -> ModuleType:
    return script("benchmarks", "candidates")


@pytest.fixture
def main(script: Callable[[str, str], ModuleType]) -> Main:
    function: Main = script("benchmarks", "architecture_search").main
    return function


def evaluation(path: Path, model: str, split: str = "val") -> Path:
    """As `edge-deeplab evaluate` writes it, as far as it is read."""
    sources = {
        "near": {"images": 3, "person_iou": 0.9},
        "far": {"images": 1, "person_iou": 0.7},
        "nobody": {"images": 2, "person_iou": None},
    }
    found = {"model": model, "data": "made", "split": split, "total": {"images": 6}, "sources": sources}
    path.write_text(json.dumps(found))
    return path


class TestCandidates:
    def test_a_grid_is_all_combinations_each_once(self, candidates: ModuleType, tmp_path: Path) -> None:
        grids = tmp_path / "grids.toml"
        grids.write_text(
            TINY.replace("aspp_channels = [8]", "aspp_channels = [8, 16]").replace("[[2]]", "[[2], [2, 3]]") + TINY
        )
        found = candidates.read_candidates(grids)
        assert list(found) == [
            "w0.35-a8-d8-s4-r2-os16-64",
            "w0.35-a8-d8-s4-r2.3-os16-64",
            "w0.35-a16-d8-s4-r2-os16-64",
            "w0.35-a16-d8-s4-r2.3-os16-64",
        ]
        assert found["w0.35-a16-d8-s4-r2.3-os16-64"] == ModelSpec(
            network=NetworkSpec(
                width_multiplier=0.35, aspp_channels=16, decoder_channels=8, skip_channels=4, atrous_rates=(2, 3)
            ),
            height=64,
            width=64,
        )

    def test_the_list_beside_the_script_holds_the_networks_that_are_shipped(self, candidates: ModuleType) -> None:
        found = candidates.read_candidates(ROOT / "benchmarks" / "architecture_search.toml")
        card = json.loads(shipped_model().with_suffix(".tflite.json").read_text())
        assert candidates.candidate_name(ModelSpec.from_dict(card["spec"])) in found

    @pytest.mark.parametrize(
        ("change", "complaint"),
        [
            (("size", "sizes"), "KeyError\\('size'\\)"),
            (("decoder_ch", "decodr_ch"), "decodr_channels"),
            (("[0.35]", "0.35"), "no list of values"),
            (("[16]", "[]"), "no list of values"),
            (("[[2]]", "[2]"), "not iterable"),
            (("[[grid]]", "[grid]"), "no list of candidates"),
            (("[[grid]]", "[[grid]"), "no list of candidates"),
            (("[16]", "[7]"), "output stride 7"),
        ],
        ids=str,
    )
    def test_what_is_no_list_of_candidates(
        self, candidates: ModuleType, tmp_path: Path, change: tuple[str, str], complaint: str
    ) -> None:
        grids = tmp_path / "grids.toml"
        grids.write_text(TINY.replace(*change))
        with pytest.raises(SpecError, match=complaint):
            candidates.read_candidates(grids)

    def test_no_list_at_all(self, candidates: ModuleType, tmp_path: Path) -> None:
        with pytest.raises(SpecError, match="there is no list of candidates"):
            candidates.read_candidates(tmp_path / "none.toml")

    @pytest.mark.parametrize(
        "spec",
        [ModelSpec(network=NetworkSpec(image_pooling=False)), ModelSpec(height=64, width=96)],
        ids=["a setting", "a rectangle"],
    )
    def test_a_network_that_the_name_does_not_tell_has_none(self, candidates: ModuleType, spec: ModelSpec) -> None:
        with pytest.raises(SpecError, match="none of them"):
            candidates.candidate_name(spec)

    def test_activations_of_a_random_network_stay_alive(self, candidates: ModuleType) -> None:
        """A new network's BatchNorms have mean 0 and variance 1, and what comes out of it is nothing but a bias."""
        spec = ModelSpec(network=NetworkSpec(width_multiplier=0.35, atrous_rates=(2,)), height=96, width=96)
        network, again = candidates.random_network(spec), candidates.random_network(spec)
        assert not network.training
        spreads: list[float] = []
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.register_forward_hook(lambda _module, _input, output: spreads.append(float(output.std())))
        noise = torch.rand(2, 3, 96, 96)
        with torch.no_grad():
            assert torch.equal(network(noise), again(noise))
        assert min(spreads) > 0.3
        assert max(spreads) < 10


@pytest.mark.convert
def test_from_the_list_to_the_page(
    main: Main,
    candidates: ModuleType,
    script: Callable[[str, str], ModuleType],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    grids, files, numbers = tmp_path / "grids.toml", tmp_path / "files", tmp_path / "found.json"
    grids.write_text(TINY)
    model = shipped_model()
    words = ["latency", "--against", str(model), "--files", str(files), "--candidates", str(grids)]
    words += ["--runs", "3", "--warm-up", "1", "--json", str(numbers)]
    main(words)
    assert NAME in capsys.readouterr().out
    found = json.loads(numbers.read_text())
    assert list(found["candidates"]) == [NAME]
    row = found["candidates"][NAME]
    spec = candidates.read_candidates(grids)[NAME]
    assert ModelSpec.from_dict(row["spec"]) == spec
    assert row["bytes"] == (files / f"{NAME}.tflite").stat().st_size
    assert 1e5 < row["parameters"] < 1e6
    assert row["multiply_adds"] > 1e5
    assert row["ratio"]["low"] <= row["ratio"]["median"] <= row["ratio"]["high"]
    assert found["against"]["name"] == model.name

    checkpoint = tmp_path / "trained.safetensors"
    save_state(checkpoint, spec, candidates.random_network(spec).state_dict(), notes={})
    score = ["score", str(checkpoint), str(evaluation(tmp_path / "e.json", checkpoint.name)), "--json", str(numbers)]
    main(score)
    worth = json.loads(numbers.read_text())["scores"][NAME]
    assert worth["person_iou"] == {"near": 0.9, "far": 0.7}
    assert worth["mean_person_iou"] == 0.8

    before = (files / f"{NAME}.tflite").stat().st_mtime_ns
    main(words)  # again: no file is made, and the score is kept
    assert (files / f"{NAME}.tflite").stat().st_mtime_ns == before
    found = json.loads(numbers.read_text())
    assert found["scores"] == {NAME: worth}

    refusals = {
        "is of trained.safetensors on test": [
            *score[:2],
            str(evaluation(tmp_path / "t.json", checkpoint.name, "test")),
        ],
        "is of another.tflite on val": [*score[:2], str(evaluation(tmp_path / "a.json", "another.tflite"))],
        "has no latency of w1-": ["score", str(model), str(evaluation(tmp_path / "m.json", model.name))],
    }
    for complaint, refused in refusals.items():
        with pytest.raises(SystemExit, match=complaint):
            main([*refused, "--json", str(numbers)])
    assert json.loads(numbers.read_text()) == found

    page = script("docs", "update_architecture_search")
    short_runs = {NAME: {"person IoU": {"near": 0.8, "far": 0.5}}}
    shown = page.table(found | {"short_runs": short_runs})
    assert f"**{NAME}**" in shown
    assert "| 0.6500 | 0.8000 |" in shown
    shortly = tmp_path / "runs.json"
    shortly.write_text(json.dumps({"rows": short_runs}))
    monkeypatch.setattr(page, "MEASURED", numbers)
    monkeypatch.setattr(page, "TRAINED_SHORTLY", shortly)
    monkeypatch.setattr(page, "DOCUMENT", Path(shutil.copy(page.DOCUMENT, tmp_path)))
    monkeypatch.setattr(page, "PICTURE", tmp_path / "search.png")
    monkeypatch.setattr("sys.argv", ["update"])
    assert page.main() == 0
    monkeypatch.setattr("sys.argv", ["update", "--check"])
    assert page.main() == 0
    assert (tmp_path / "search.png").stat().st_size > 10_000
    numbers.write_text(json.dumps(found | {"scores": {}}))
    assert page.main() == 1
    numbers.write_text(json.dumps(found))
    shortly.write_text(json.dumps({"rows": {}}))
    assert page.main() == 1


def test_each_short_run_is_of_the_network_that_it_names(script: Callable[[str, str], Any]) -> None:
    ablations, candidates = script("benchmarks", "ablations"), script("benchmarks", "candidates")
    listed = {
        row.name: row.recipe for row in ablations.read_ablations(ROOT / "benchmarks" / "architecture_runs.toml").rows
    }
    assert set(listed) <= set(candidates.read_candidates(ROOT / "benchmarks" / "architecture_search.toml"))
    for name, recipe in listed.items():
        assert candidates.candidate_name(recipe.model) == name
    settings = {json.dumps(asdict(recipe.training), sort_keys=True) for recipe in listed.values()}
    assert len(settings) == 1
    measured = json.loads((ROOT / "benchmarks" / "architecture_runs.json").read_text())["rows"]
    assert {name: row["recipe"] for name, row in measured.items()} == {
        name: recipe.sha256 for name, recipe in listed.items()
    }
    twice = json.loads((ROOT / "benchmarks" / "ablations.json").read_text())["rows"]
    assert list(measured.values())[:2] == [twice["the recipe"], twice["width 1, portrait's head"]]


def test_the_pareto_front(script: Callable[[str, str], Any]) -> None:
    front = script("docs", "pareto_front").pareto_front
    choices = {"slow, good": (3.0, 0.9), "quick": (1.0, 0.5), "slow, bad": (2.5, 0.5), "twin": (1.0, 0.5)}
    assert front(choices) == ["quick", "slow, good"]
    assert front(choices | {"better": (1.0, 0.6)}) == ["better", "slow, good"]
    assert front(choices | {"best": (0.5, 0.95)}) == ["best"]
    assert front({}) == []
