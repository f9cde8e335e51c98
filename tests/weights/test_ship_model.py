"""benchmarks/ship_model.py from a recipe's run to a shipped model, with real files, and what it refuses."""

from __future__ import annotations

import dataclasses
import importlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from edge_deeplab import weights
from edge_deeplab.checkpoint import load_checkpoint, stored_tensors
from edge_deeplab.cli.main import run
from edge_deeplab.data.opening import open_dataset
from edge_deeplab.errors import CheckpointError
from edge_deeplab.evaluation.disturbances import DISTURBANCES, DisturbedDataset
from edge_deeplab.evaluation.evaluate import evaluate
from edge_deeplab.files import sha256
from edge_deeplab.quantization.ranges import load_ranges, ranges_path
from edge_deeplab.runtime.opening import open_session
from edge_deeplab.training.recipe import load_recipe
from edge_deeplab.weights.card import Card, load_card

pytestmark = pytest.mark.convert

ROOT = Path(__file__).resolve().parents[2]
NAME = "portrait-small"
WORDS = """
[portrait-small]
intended_use = "It finds made persons."
terms = "Anything may be done with it."
known_failures = ["Whatever is not a made person."]
"""
FILES = [f"{NAME}.{suffix}" for suffix in ("json", "ranges.json", "safetensors", "tflite", "tflite.json")]

Main = Callable[[Sequence[str]], None]


@pytest.fixture(scope="module")
def main() -> Main:
    """The script's main function; the modules beside it are found as when it is started."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        function: Main = importlib.import_module("ship_model").main
        return function


def _words(trained: Path, data: Path, out: Path) -> list[str]:
    (out / "words.toml").write_text(WORDS)
    (out / "weights").mkdir(exist_ok=True)
    words = [NAME, trained, data, "--against", weights.shipped_model(), "--words", out / "words.toml"]
    words += ["--weights", out / "weights", "--parents", out / "parents", "--logs", out / "runs", "--rounds", "3"]
    return [str(word) for word in words]


@pytest.fixture(scope="module")
def shipped(main: Main, recipe_run: Path, tested_persons: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """weights/ and parents/ after the model was shipped into them."""
    out = tmp_path_factory.mktemp("shipped")
    main(_words(recipe_run, tested_persons, out))
    return out


def test_the_run_s_course_is_kept(shipped: Path, recipe_run: Path) -> None:
    place = shipped / "runs" / NAME
    kept = {"recipe.json": "recipe.json", "record.json": "record.json"}
    for stage in ("float", "int8"):
        kept |= {f"{stage}{suffix}": f"{stage}/curves{suffix}" for suffix in (".csv", ".png")}
    assert sorted(path.name for path in place.iterdir()) == sorted(kept)
    for name, source in kept.items():
        assert (place / name).read_bytes() == (recipe_run / source).read_bytes()


def test_of_a_run_that_settled_the_settled_network_is_the_parent(settled_run: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        script = importlib.import_module("ship_model")
    found = script.load_run(settled_run, "settling")
    assert list(found.floats) == ["float", "settled"]
    assert found.parent.sha256 == sha256(settled_run / "settled" / "model.safetensors")
    settings = script._settings(found)
    sizes = {
        stage: (settings[stage]["height"], settings[stage]["width"]) for stage in (*found.floats, "quantization_aware")
    }
    assert sizes == {"float": (64, 64), "settled": (64, 64), "quantization_aware": (96, 80)}
    (int8, *_), parent = script._files(found, tmp_path)
    assert load_checkpoint(int8).spec == load_checkpoint(parent).spec == found.recipe.deployed_model
    script.keep_course(found, tmp_path)
    for stage in ("float", "settled", "int8"):
        for suffix in (".csv", ".png"):
            assert (tmp_path / f"{stage}{suffix}").read_bytes() == (
                settled_run / stage / f"curves{suffix}"
            ).read_bytes()
    unfinished = Path(shutil.copytree(settled_run, tmp_path / "unfinished"))
    record = json.loads((unfinished / "record.json").read_text())
    del record["stages"]["settled"]
    (unfinished / "record.json").write_text(json.dumps(record))
    with pytest.raises(CheckpointError, match="has not finished settled: go on"):
        script.load_run(unfinished, "settling")


def test_a_card_says_who_taught_it(settled_run: Path, two_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    monkeypatch.syspath_prepend(ROOT / "docs")
    script, documents = importlib.import_module("ship_model"), importlib.import_module("model_cards")
    alone = script.load_run(settled_run, "settling")
    assert "teacher" not in script._settings(alone)
    recipe = dataclasses.replace(alone.recipe, teacher="somebody.tflite", teacher_terms="Nobody minds.")
    teacher = {"name": "somebody.tflite", "sha256": "00"}
    taught = script._settings(dataclasses.replace(alone, recipe=recipe, record={**alone.record, "teacher": teacher}))
    assert taught["teacher"] == {**teacher, "terms": "Nobody minds."}
    card = dataclasses.replace(load_card(two_models / "portrait.json"), recipe=taught)
    assert "Taught by `somebody.tflite`. Nobody minds.\n" in documents.sections([card], two_models)


def test_only_the_latency_of_a_card_is_measured_again(shipped: Path, card: Card, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        again = importlib.import_module("card_latency").main
    place = Path(shutil.copytree(shipped / "weights", tmp_path / "weights"))
    against = ["--against", str(weights.shipped_model()), "--weights", str(place)]
    again([NAME, "--rounds", "2", *against])
    found = load_card(place / f"{NAME}.json")
    assert found.latency is not None
    assert card.latency is not None
    assert (card.latency.runs, found.latency.runs) == (3, 2)
    assert dataclasses.replace(found, latency=card.latency) == card
    with pytest.raises(SystemExit, match="there is no model card"):
        again(["nobody", *against])


def test_only_the_words_of_a_card_are_said_again(shipped: Path, card: Card, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        again = importlib.import_module("card_words").main
    place = Path(shutil.copytree(shipped / "weights", tmp_path / "weights"))
    words = tmp_path / "words.toml"
    words.write_text(WORDS.replace("It finds made persons.", "It found them.").replace("Whatever", "All that"))
    again([NAME, "--words", str(words), "--weights", str(place)])
    found = load_card(place / f"{NAME}.json")
    assert (found.intended_use, found.known_failures) == ("It found them.", ("All that is not a made person.",))
    assert dataclasses.replace(found, intended_use=card.intended_use, known_failures=card.known_failures) == card
    with pytest.raises(SystemExit, match="says nothing of nobody"):
        again(["nobody", "--words", str(words), "--weights", str(place)])


@pytest.fixture(scope="module")
def card(shipped: Path) -> Card:
    """The new model's card."""
    return load_card(shipped / "weights" / f"{NAME}.json")


def test_its_files_are_there_and_belong_to_each_other(shipped: Path, recipe_run: Path, card: Card) -> None:
    place = shipped / "weights"
    assert sorted(path.name for path in place.iterdir()) == FILES
    assert dict(card.files) == {name: sha256(place / name) for name in FILES if name != f"{NAME}.json"}
    checkpoint = load_checkpoint(place / f"{NAME}.safetensors")
    ranges = load_ranges(ranges_path(place / f"{NAME}.safetensors"))
    ranges.require_checkpoint(checkpoint.sha256)
    assert ranges.activations == load_ranges(recipe_run / "int8" / "model.ranges.json").activations
    parent = load_checkpoint(shipped / "parents" / f"{NAME}_float.safetensors")
    assert card.parent_sha256 == parent.sha256
    assert parent.notes["sha256_before_half_precision"] == checkpoint.notes["parent_sha256"]
    assert parent.notes["sha256_before_half_precision"] == sha256(recipe_run / "float" / "model.safetensors")


def test_the_int8_file_computes_what_the_run_s_checkpoint_is(shipped: Path, recipe_run: Path) -> None:
    pixels = np.random.default_rng(5).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    with (
        open_session(shipped / "weights" / f"{NAME}.tflite") as int8,
        open_session(shipped / "weights" / f"{NAME}.safetensors") as stored,
        open_session(recipe_run / "int8" / "model.safetensors") as before,
    ):
        assert np.array_equal(stored.run(pixels), before.run(pixels))
        assert np.abs(int8.run(pixels) - before.run(pixels)).mean() < 0.02


def test_the_checkpoint_is_integers_that_are_the_run_s_weights_bit_for_bit(shipped: Path, recipe_run: Path) -> None:
    path = shipped / "weights" / f"{NAME}.safetensors"
    assert {type_ for type_, shape in stored_tensors(path).values() if len(shape) > 1} == {"int8"}
    before, after = (load_checkpoint(one) for one in (recipe_run / "int8" / "model.safetensors", path))
    assert after.notes == before.notes
    assert after.weights.keys() == before.weights.keys()
    for name, value in before.weights.items():
        assert after.weights[name].tobytes() == value.tobytes(), name


def test_the_card_says_what_was_measured(shipped: Path, tested_persons: Path, card: Card) -> None:
    photos = open_dataset(tested_persons, split="test")
    with open_session(shipped / "weights" / f"{NAME}.tflite") as session:
        expected = evaluate(session, photos)
        disturbed = [evaluate(session, DisturbedDataset(photos, each)).total for each in DISTURBANCES]
    (score,) = card.scores
    assert (score.name, score.images) == ("made", 4)
    assert score.int8["person_iou"] == pytest.approx(expected.total.person_iou, abs=1e-4)
    assert score.int8["boundary_f"] == pytest.approx(expected.total.boundary_f, abs=1e-4)
    assert score.int8["false_person_rate"] == pytest.approx(expected.total.false_person, abs=1e-4)
    assert sum(size.images for size in card.sizes) == 4 - expected.total.negatives
    assert [each.name for each in card.robustness] == [each.name for each in DISTURBANCES]
    measured = [each.int8["person_iou"] for each in card.robustness]
    assert measured == pytest.approx([each.person_iou for each in disturbed], abs=1e-4)
    assert len(set(measured)) > 1
    assert card.conditions["split"] == "test"
    assert card.conditions["disturbances"] == {each.name: each.strength for each in DISTURBANCES}
    assert card.latency is not None
    assert card.latency.against_sha256 == sha256(weights.shipped_model())
    assert (card.latency.threads, card.latency.runs) == (1, 3)


def test_the_card_says_how_it_was_made_and_what_a_person_said(card: Card, recipe_run: Path) -> None:
    recipe = load_recipe(recipe_run / "recipe.json")
    assert (card.recipe_name, card.recipe_sha256, card.seed) == (NAME, recipe.sha256, 3)
    (data,) = card.training_data
    assert (data.source, data.images, data.repeat, data.open) == ("made", 32, 1, True)
    assert (data.terms, data.why) == ("made by a program", "Nobody has rights in them.")
    assert (card.recipe["float"]["epochs"], card.recipe["quantization_aware"]["epochs"]) == (2, 1)
    assert card.recipe["quantization_aware"]["distillation"] == 0.5
    assert card.recipe["data"]["made"]["train"]["photos"] == 32
    assert (card.intended_use, card.terms) == ("It finds made persons.", "Anything may be done with it.")
    assert card.known_failures == ("Whatever is not a made person.",)
    assert "MobileNetV2 0.35" in card.summary
    assert "64x64" in card.summary


def test_it_is_a_model_like_the_others(
    shipped: Path, two_models: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in FILES:
        shutil.copy(shipped / "weights" / name, two_models)
    assert weights.shipped_names() == ("portrait", "portrait-fast", NAME)
    assert run(["models"]) == 0
    assert NAME in capsys.readouterr().out
    monkeypatch.syspath_prepend(ROOT / "docs")
    documents = importlib.import_module("model_cards")
    cards = [weights.shipped_card(name) for name in weights.shipped_names()]
    rows = [line for line in documents.overview(cards, two_models).splitlines() if line.startswith(f"| `{NAME}` |")]
    (score,) = cards[-1].scores
    assert len(rows) == 1
    assert f" {score.int8['person_iou']:.3f} |" in rows[0]
    section = documents.sections(cards, two_models).partition(f"## {NAME}\n")[2]
    assert f"{cards[-1].latency.ratio:.2f} times as long" in section
    for words in ("Whatever is not a made person.", "made by a program", "quality 20", cards[-1].recipe_sha256):
        assert words in section


def _refused(main: Main, words: list[str], out: Path) -> str:
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(SystemExit) as refusal:
        main(words)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert list((out / "weights").iterdir()) == []
    assert str(refusal.value).startswith("ship_model: ")
    return str(refusal.value)


def test_what_it_refuses_before_anything_is_made(
    main: Main, recipe_run: Path, tested_persons: Path, tmp_path: Path
) -> None:
    words = _words(recipe_run, tested_persons, tmp_path)
    assert "says nothing of portrait-large" in _refused(main, ["portrait-large", *words[1:]], tmp_path)
    (tmp_path / "words.toml").write_text(WORDS.replace("portrait-small", "other"))
    assert "run of the recipe 'portrait-small', not of 'other'" in _refused(main, ["other", *words[1:]], tmp_path)
    (tmp_path / "words.toml").write_text(WORDS.replace('terms = "Anything may be done with it."', ""))
    assert "portrait-small.terms is missing" in _refused(main, words, tmp_path)
    words = _words(tmp_path / "gone", tested_persons, tmp_path)
    assert "holds no run of a recipe" in _refused(main, words, tmp_path)
    shutil.copytree(recipe_run, tmp_path / "unfinished")
    record = json.loads((tmp_path / "unfinished" / "record.json").read_text())
    del record["stages"]["int8"]
    (tmp_path / "unfinished" / "record.json").write_text(json.dumps(record))
    assert "has not finished int8" in _refused(
        main, _words(tmp_path / "unfinished", tested_persons, tmp_path), tmp_path
    )


def test_a_failure_on_the_way_leaves_nothing(
    main: Main, recipe_run: Path, tested_persons: Path, tmp_path: Path
) -> None:
    shutil.copytree(recipe_run, tmp_path / "spoiled")
    shutil.copy(weights.shipped_checkpoint().with_suffix(".ranges.json"), tmp_path / "spoiled/int8/model.ranges.json")
    words = _words(tmp_path / "spoiled", tested_persons, tmp_path)
    assert "ranges" in _refused(main, words, tmp_path)
