"""What each part of a recipe brings: short runs, each with one thing changed.

Run: python benchmarks/ablations.py DATA --runs DIR --weights DIR... [--steps N] [--row NAME]... [--json FILE]

The rows are in ablations.toml. Every row trains the float network for as many steps, and is scored on the validation
split and on training photos that are held out of all rows, never on the test split. FILE is written after each row; a
row that it holds already, with the same recipe, is not run again, and a row that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from edge_deeplab.cli.progress import image_progress
from edge_deeplab.data.manifest import ManifestDataset
from edge_deeplab.data.sample import Sample, SegmentationDataset
from edge_deeplab.data.subset import Subset
from edge_deeplab.errors import EdgeDeeplabError, SpecError
from edge_deeplab.evaluation.evaluate import Evaluation, evaluate
from edge_deeplab.evaluation.machine import describe_machine
from edge_deeplab.files import write_json
from edge_deeplab.runtime.opening import open_session
from edge_deeplab.training.float_stage import train_float
from edge_deeplab.training.recipe import Recipe, load_recipe, merged
from edge_deeplab.training.recipe_data import TRAIN, VAL, RecipeData
from edge_deeplab.training.run import CHECKPOINT, RESUME

LIST = Path(__file__).with_suffix(".toml")
_TOP_KEYS, _ROW_KEYS = {"recipe", "steps", "epochs", "held_out", "row"}, {"name", "change", "doubts"}


@dataclass(frozen=True)
class Row:
    """One run: its name, the recipe with its change, and whether the doubts beside the masks are looked at."""

    name: str
    recipe: Recipe
    doubts: bool


@dataclass(frozen=True)
class Ablations:
    """The list: its rows, and the part of each source that is held out of the training split (every n-th photo)."""

    rows: tuple[Row, ...]
    held_out: Mapping[str, int]


class Trusting:
    """A data set without the doubts about its labels."""

    def __init__(self, dataset: SegmentationDataset) -> None:
        self.classes, self.mask_kind, self._dataset = dataset.classes, dataset.mask_kind, dataset

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Sample:
        return replace(self._dataset[index], ignored=None)


def main(words: Sequence[str] | None = None) -> None:
    """Train, score, print; write the JSON after each row.

    Args:
        words: of the command line; None: those that the script was started with.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path)
    parser.add_argument("--list", type=Path, default=LIST)
    parser.add_argument("--weights", type=Path, action="append", default=[], help="folder of first weights, teachers")
    parser.add_argument("--runs", type=Path, required=True, help="folder for the runs, one in it for each row")
    parser.add_argument("--steps", type=int, help="of each run, instead of the list's")
    parser.add_argument("--row", action="append", help="only this one; may be given several times")
    parser.add_argument("--accelerator", default="auto", choices=["auto", "cpu", "gpu"])
    parser.add_argument("--json", type=Path, help="write the numbers here, and go on from those that are here")
    arguments = parser.parse_args(words)
    console = Console()
    ablations = read_ablations(arguments.list, arguments.steps)
    result: dict[str, Any] = {
        "held_out": dict(ablations.held_out),
        "machine": describe_machine(["torch", "torchvision", "lightning", "numpy"]),
        "rows": {},
    }
    if arguments.json and arguments.json.exists():
        result["rows"] = json.loads(arguments.json.read_text())["rows"]
    for row in ablations.rows:
        if result["rows"].get(row.name, {}).get("recipe") == row.recipe.sha256:
            continue
        if arguments.row and row.name not in arguments.row:
            continue
        out = arguments.runs / re.sub(r"[^a-z0-9]+", "-", f"{row.name.lower()}-{row.recipe.sha256[:8]}")
        try:
            evaluation = run_row(row, ablations.held_out, arguments.data, arguments.weights, out, arguments.accelerator)
        except FileNotFoundError as error:
            console.print(f"{row.name} waits: {error}")
            continue
        result["rows"][row.name] = scores(evaluation) | {"recipe": row.recipe.sha256}
        if arguments.json:
            write_json(arguments.json, result)
    if result["rows"]:
        console.print(table(result["rows"]))


def read_ablations(path: Path, steps: int | None = None) -> Ablations:
    """Read the list.

    Args:
        path: see ``ablations.toml``.
        steps: of each run, instead of the list's.

    Raises:
        SpecError: it cannot be read, or a key or a change makes no sense.
    """
    try:
        listed = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SpecError(f"the list of ablations {path} cannot be read: {error}") from error
    _require_keys(listed, _TOP_KEYS, _TOP_KEYS - {"held_out"}, str(path))
    epochs = listed["epochs"]
    short = {"training": {"epochs": epochs, "epoch_steps": (steps or listed["steps"]) // epochs}}
    base = merged(load_recipe(listed["recipe"]).table, short)
    rows = []
    for entry in listed["row"]:
        _require_keys(entry, _ROW_KEYS, {"name"}, f"a row of {path}")
        where = f"{path.name}, {entry['name']}"
        recipe = Recipe.from_table(merged(base, entry.get("change", {})), where)
        rows.append(Row(entry["name"], recipe, entry.get("doubts", False)))
    if len({row.name for row in rows}) < len(rows):
        raise SpecError(f"two rows of {path} have one name: rename one of them")
    return Ablations(tuple(rows), listed.get("held_out", {}))


def _require_keys(table: Mapping[str, Any], known: set[str], required: set[str], where: str) -> None:
    if wrong := sorted((set(table) - known) | (required - set(table))):
        raise SpecError(f"{where} has the unknown key {wrong[0]!r}, or lacks it: it has {', '.join(sorted(known))}")


def divide(data: ManifestDataset, repeats: Mapping[str, int], held_out: Mapping[str, int]) -> tuple[Subset, Subset]:
    """What is trained on, and what is scored beside the validation split.

    Args:
        data: the training split.
        repeats: source to how often its photos come.
        held_out: source to n: every n-th of its photos is scored, and not trained on.
    """
    places: dict[str, int] = {}
    train: list[int] = []
    scored: list[int] = []
    for index, row in enumerate(data.rows):
        place = places[row.source] = places.get(row.source, -1) + 1
        if row.source in held_out and place % held_out[row.source] == 0:
            scored.append(index)
        else:
            train += [index] * repeats.get(row.source, 0)
    return Subset(data, train), Subset(data, scored)


def run_row(
    row: Row, held_out: Mapping[str, int], root: Path, weights: Sequence[Path], out: Path, accelerator: str
) -> Evaluation:
    """Train a row's network, and score it.

    Raises:
        FileNotFoundError: its first weights, its teacher or its doubts are not there.
    """
    recipe = row.recipe
    init = _find(recipe.init, weights) if recipe.init_is_file else None
    teacher = _find(recipe.teacher, weights) if recipe.teacher else None
    data, val = (ManifestDataset(root, split=split, classes=recipe.model.classes) for split in (TRAIN, VAL))
    train, held = divide(data, recipe.repeats, held_out)
    if row.doubts and not any(data.doubts(one) for one in data.rows):
        raise FileNotFoundError(f"there are no doubts beside the masks of {root}")
    learned = train if row.doubts else Trusting(train)
    photos = RecipeData(learned, learned, val, ())
    resume = (out / RESUME).exists()
    train_float(recipe, photos, out, init=init, teacher=teacher, resume=resume, accelerator=accelerator)
    with open_session(out / CHECKPOINT) as session, image_progress(f"scoring {row.name}") as progress:
        return evaluate(session, Joined(val, held), progress=progress)


class Joined:
    """Two data sets of the same classes, one behind the other."""

    def __init__(self, first: SegmentationDataset, second: SegmentationDataset) -> None:
        self.classes, self.mask_kind, self._first, self._second = first.classes, first.mask_kind, first, second

    def __len__(self) -> int:
        return len(self._first) + len(self._second)

    def __getitem__(self, index: int) -> Sample:
        behind = index - len(self._first)
        return self._first[index] if behind < 0 else self._second[behind]


def _find(name: str, folders: Sequence[Path]) -> Path:
    found = [folder / name for folder in folders if (folder / name).is_file()]
    if not found:
        raise FileNotFoundError(f"{name} is in none of the folders of --weights")
    return found[0]


def scores(evaluation: Evaluation) -> dict[str, Any]:
    """What the JSON keeps of a row."""
    return {
        "person IoU": {
            source: round(one.person_iou, 5) for source, one in evaluation.sources.items() if one.person_iou is not None
        },
        "boundary F": round(evaluation.total.boundary_f or 0.0, 5),
        "false person": None if evaluation.total.false_person is None else round(evaluation.total.false_person, 6),
    }


def table(rows: Mapping[str, Mapping[str, Any]]) -> Table:
    """Person IoU of each source and their mean, boundary F, and how much of the negatives is called a person."""
    first = next(iter(rows.values()))
    sources = list(first["person IoU"])
    found = Table("row", *sources, "mean", "boundary F", "false person")
    for name, row in rows.items():
        ious = [row["person IoU"][source] for source in sources]
        found.add_row(
            name,
            *(f"{iou:.4f}" for iou in (*ious, sum(ious) / len(ious))),
            f"{row['boundary F']:.4f}",
            "-" if row["false person"] is None else f"{row['false person']:.2%}",
        )
    return found


if __name__ == "__main__":
    try:
        main()
    except EdgeDeeplabError as error:
        raise SystemExit(str(error)) from error
