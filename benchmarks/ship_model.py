"""Make a shipped model's files and its card.

    python benchmarks/ship_model.py NAME RUN DATA --against PEER

RUN is the folder of ``edge-deeplab train DATA --recipe NAME --out RUN``, all of its stages finished; PEER the model
file that its latency is compared with. Writes into edge_deeplab/weights, the card last: the checkpoint with its weights
as the integers that they are, the learned ranges, the int8 file that they give, and the card with what the float parent
and the int8 file score on the test split, as it is and disturbed. The float parent goes into
benchmarks/NAME_float.safetensors, in half precision and on the pixels of the int8 file: that file is what is measured.
What the run left of its course goes into benchmarks/runs/NAME: its settings, the digests of its data, and each stage
epoch by epoch. What only a person can say of the model stands in benchmarks/cards.toml.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from card_measurements import (
    Accuracy,
    Progress,
    compare_latency,
    conditions,
    disturbed_scores,
    measure_accuracy,
    size_scores,
    source_scores,
)
from rich.console import Console

from converters import tflite, tflite_int8
from edge_deeplab.artifact import sidecar_path
from edge_deeplab.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from edge_deeplab.cli.progress import stage_progress
from edge_deeplab.data.opening import open_dataset
from edge_deeplab.errors import CheckpointError, EdgeDeeplabError, SpecError
from edge_deeplab.evaluation.tables import evaluation_table
from edge_deeplab.files import make_folder, move, sha256, write_bytes
from edge_deeplab.models.loading import load_network
from edge_deeplab.quantization.graph import quantization_graph
from edge_deeplab.quantization.ranges import QuantRanges, load_ranges, ranges_path, save_ranges
from edge_deeplab.quantization.unfold import integer_weights
from edge_deeplab.spec import Backbone, ModelSpec
from edge_deeplab.training.callbacks import CURVES
from edge_deeplab.training.recipe import Recipe, load_recipe
from edge_deeplab.training.recipe_data import TRAIN
from edge_deeplab.training.run import CHECKPOINT
from edge_deeplab.training.run_record import INT8, RECIPE, RECORD, finished_stages, stages
from edge_deeplab.weights import FOLDER
from edge_deeplab.weights.card import Card, TrainingData
from edge_deeplab.weights.reading import read

HERE = Path(__file__).resolve().parent
SPLIT = "test"


@dataclass(frozen=True)
class Words:
    """What only a person can say of a model: see :class:`edge_deeplab.weights.card.Card`."""

    intended_use: str
    terms: str
    known_failures: tuple[str, ...]


@dataclass(frozen=True)
class Run:
    """A finished run of a recipe.

    Attributes:
        recipe: what was run.
        record: what the run noted of its data, first weights and machine.
        floats: stage to float checkpoint, in order; the last is the integer network's parent.
        trained: the quantization-aware one.
        folder: where they lie.
    """

    recipe: Recipe
    record: Mapping[str, Any]
    floats: Mapping[str, Checkpoint]
    trained: Checkpoint
    folder: Path

    @property
    def parent(self) -> Checkpoint:
        """The float checkpoint that the integer network came from."""
        return list(self.floats.values())[-1]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", help="of the model and of its recipe")
    parser.add_argument("run", type=Path, help="folder of edge-deeplab train --recipe NAME")
    parser.add_argument("data", type=Path, help="manifest folder with a split test")
    parser.add_argument("--against", type=Path, required=True, help="model file that the latency is compared with")
    parser.add_argument("--rounds", type=int, default=200, help="of the latency (default: 200)")
    parser.add_argument("--words", type=Path, default=HERE / "cards.toml", help="what only a person can say")
    parser.add_argument("--weights", type=Path, default=FOLDER, help="where the model goes")
    parser.add_argument("--parents", type=Path, default=HERE, help="where its float parent goes")
    parser.add_argument("--logs", type=Path, default=HERE / "runs", help="where the run's course goes")
    try:
        ship(parser.parse_args(arguments))
    except EdgeDeeplabError as error:
        sys.exit(f"ship_model: {error}")


def ship(arguments: argparse.Namespace) -> None:
    """Run the steps in order; nothing is in its place before all of it is there.

    Raises:
        EdgeDeeplabError: the run, the data or a place cannot be used.
    """
    name = arguments.name
    words = load_words(arguments.words, name)
    run = load_run(arguments.run, name)
    photos = open_dataset(arguments.data, split=SPLIT)
    for place in (arguments.weights, arguments.parents):
        make_folder(place)
    with tempfile.TemporaryDirectory(dir=arguments.weights) as folder, stage_progress() as progress:
        files, parent = _files(run, Path(folder))
        checkpoint, ranges, int8, sidecar = files
        latency = compare_latency(
            int8, arguments.against, arguments.rounds, lambda done, count: progress("taking turns", done, count)
        )
        before, after = (_accuracy(model, photos, progress) for model in (parent, int8))
        card = Card(
            name=name,
            summary=_summary(run.trained.spec),
            intended_use=words.intended_use,
            terms=words.terms,
            files={path.name: sha256(path) for path in (checkpoint, ranges, int8, sidecar)},
            parent_sha256=sha256(parent),
            training_data=_training_data(run),
            recipe_name=run.recipe.name,
            recipe_sha256=run.recipe.sha256,
            recipe=_settings(run),
            seed=run.recipe.training.seed,
            conditions=conditions(SPLIT, before, after),
            scores=source_scores(before, after),
            sizes=size_scores(before, after),
            robustness=disturbed_scores(before, after),
            latency=latency,
            known_failures=words.known_failures,
        )
        card.write(Path(folder) / f"{name}.json")
        keep_course(run, arguments.logs / name)
        move(parent, arguments.parents / parent.name)
        for path in (*files, Path(folder) / f"{name}.json"):
            move(path, arguments.weights / path.name)
    print("Next: python docs/update_readme.py && python docs/make_pictures.py")


def load_words(path: Path, name: str) -> Words:
    """What is said of a model in a file of words. Raises: SpecError: nothing, or not all of it."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SpecError(f"{path} cannot be read ({error}): correct it") from error
    if name not in table:
        raise SpecError(f"{path} says nothing of {name}: look at its worst photos, and add a table [{name}]")
    try:
        words: Words = read(Words, table[name], name)
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from error
    return words


def load_run(folder: Path, name: str) -> Run:
    """Read a run, and see that its parts belong together.

    Raises:
        CheckpointError: there is none, a stage is not finished, or a checkpoint was changed or is of another parent.
        SpecError: it is the run of another recipe, or a checkpoint is of another network than the recipe's.
    """
    finished = finished_stages(folder)
    recipe = load_recipe(folder / RECIPE)
    if missing := [stage for stage in stages(recipe) if stage not in finished]:
        raise CheckpointError(f"{folder} has not finished {', '.join(missing)}: go on with train --resume")
    if recipe.name != name:
        raise SpecError(f"{folder} is a run of the recipe {recipe.name!r}, not of {name!r}")
    floats = {stage: load_checkpoint(folder / stage / CHECKPOINT) for stage in stages(recipe)}
    trained = floats.pop(INT8)
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    run = Run(recipe, record, floats, trained, folder)
    if trained.notes["parent_sha256"] != run.parent.sha256:
        raise CheckpointError(f"{folder / INT8} was not trained from {folder / [*floats][-1]}: train it again")
    if {one.spec for one in floats.values()} != {recipe.model} or trained.spec != recipe.deployed_model:
        raise SpecError(f"the checkpoints in {folder} are not of the network that the recipe describes")
    return run


def keep_course(run: Run, place: Path) -> None:
    """Copy what a run left of its course: RUN/recipe.json, RUN/record.json, each stage's curves.

    Raises:
        OutputError: the place cannot be written to.
    """
    make_folder(place)
    for name in (RECIPE, RECORD):
        write_bytes(place / name, (run.folder / name).read_bytes())
    for stage in stages(run.recipe):
        for suffix in (".csv", ".png"):
            write_bytes(place / f"{stage}{suffix}", (run.folder / stage / CURVES).with_suffix(suffix).read_bytes())


def _files(run: Run, folder: Path) -> tuple[tuple[Path, Path, Path, Path], Path]:
    """Write checkpoint, ranges, int8 file and sidecar, and the float parent; their paths."""
    name = run.recipe.name
    checkpoint, int8 = folder / f"{name}.safetensors", folder / f"{name}.tflite"
    parent = folder / f"{name}_float.safetensors"
    notes = {**run.parent.notes, "sha256_before_half_precision": run.parent.sha256}
    save_checkpoint(parent, run.trained.spec, run.parent.weights, notes=notes, half=True)
    ranges = _as_integers(run, checkpoint)
    tflite_int8.convert(checkpoint, int8, ranges, tflite.float32_flatbuffer(checkpoint)).write_sidecar()
    return (checkpoint, ranges_path(checkpoint), int8, sidecar_path(int8)), parent


def _as_integers(run: Run, path: Path) -> QuantRanges:
    """Write the quantization-aware checkpoint, its weights as integers, and its ranges beside it."""
    source = run.folder / INT8 / CHECKPOINT
    ranges = load_ranges(ranges_path(source))
    ranges.require_checkpoint(run.trained.sha256)
    network, trained = load_network(source)
    graph = quantization_graph(network, trained.spec.network.num_classes)
    save_checkpoint(path, trained.spec, integer_weights(network, graph, ranges), notes=trained.notes)
    written = replace(ranges, checkpoint_sha256=sha256(path))
    save_ranges(ranges_path(path), written)
    return written


def _accuracy(model: Path, photos: Any, progress: Progress) -> Accuracy:
    measured = measure_accuracy(model, photos, progress)
    Console().print(evaluation_table(measured.clean, title=f"{model.name} on the split {SPLIT}"))
    return measured


def _summary(spec: ModelSpec) -> str:
    network = spec.network
    backbone = network.backbone_words.replace(Backbone.MOBILENET_V2, "MobileNetV2")
    return (
        f"DeepLabV3+ with {backbone}, output stride {network.output_stride}, ASPP "
        f"{network.aspp_channels} and decoder {network.decoder_channels} channels wide, {spec.height}x{spec.width} "
        "pixels, int8 by quantization-aware training."
    )


def _training_data(run: Run) -> tuple[TrainingData, ...]:
    return tuple(
        TrainingData(
            source=name,
            images=run.record["sources"][name][TRAIN]["photos"],
            repeat=source.repeat,
            terms=source.terms,
            open=source.open,
            why=f"{source.why} Learned from in the last of the float runs." if source.late else source.why,
        )
        for name, source in sorted(run.recipe.sources.items())
        if source.repeat
    )


def _settings(run: Run) -> dict[str, Any]:
    """How it was trained, every setting as it was, and what the stages came to on the validation split."""
    after = run.trained.notes
    taught = {"teacher": {**run.record["teacher"], "terms": run.recipe.teacher_terms}} if run.recipe.teacher else {}
    return {
        "init": {**run.record["init"], "terms": run.recipe.init_terms},
        **taught,
        "chosen_on": "the validation split",
        "data": run.record["sources"],
        "machine": run.record["machine"],
        **{
            stage: {
                "height": one.spec.height,
                "width": one.spec.width,
                "epoch": one.notes["epoch"],
                "val_iou": one.notes["val_iou"],
                **one.notes["recipe"],
            }
            for stage, one in run.floats.items()
        },
        "quantization_aware": {
            "height": run.trained.spec.height,
            "width": run.trained.spec.width,
            "epoch": after["epoch"],
            "val_iou": after["val_iou"],
            **after["quantization_aware"],
        },
    }


if __name__ == "__main__":
    main()
