"""Everything that makes a model what it is, in one small file: network, first weights, data, training, seeds.

A recipe is a table of TOML. Those of the shipped models come with the package (``recipes/``); one of yours may start
from any of them (``base``) and name only what it changes::

    base = "portrait"
    name = "portrait-longer"
    summary = "portrait, trained for twice as long"

    [training]
    epochs = 60
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from edge_deeplab.data.fingerprint import Digest
from edge_deeplab.errors import SpecError
from edge_deeplab.files import write_json
from edge_deeplab.settings import changed, each_changed, subtable
from edge_deeplab.spec import ModelSpec
from edge_deeplab.training.config import TrainingConfig
from edge_deeplab.training.quantization_aware import FINE_TUNING, QuantizationAwareConfig

Table = Mapping[str, Any]

_REQUIRED = ("name", "summary", "sources")
_TEXTS = ("name", "summary", "init", "init_sha256", "init_terms", "teacher", "teacher_sha256", "teacher_terms")
_KEYS = (*_TEXTS, "model", "deployed", "sources", "data", "training", "settling", "finishing", "quantization_aware")


@dataclass(frozen=True)
class Source:
    """What a recipe does with one source of photos.

    Attributes:
        repeat: how often a photo of it comes in an epoch; 0: it is left out.
        terms: under which terms its photos and masks may be used, in its authors' words where they state any.
        open: those terms plainly permit that a model trained on it is passed on.
        why: the reason for ``open`` and ``repeat``.
        late: it comes in the last of the float network's runs and in the integer network's; those before do without.
    """

    repeat: int = 1
    terms: str = ""
    open: bool = False
    why: str = ""
    late: bool = False

    def __post_init__(self) -> None:
        if self.repeat < 0:
            raise SpecError(f"repeat is {self.repeat}: give 0 to leave the source out, or more")


@dataclass(frozen=True)
class Recipe:
    """What ``edge-deeplab train --recipe`` does.

    Attributes:
        name: of the recipe, and of the model that it makes.
        summary: the model in one sentence.
        model: the network and its input, as it is trained in float.
        deployed_model: the same network on the pixels that it is used on, from ``quantization_aware`` on. They are
            those of ``model`` unless the file gives others (``deployed``): on somewhat more than it was trained on, a
            network may be better than on as many (Touvron et al. 2019, "Fixing the train-test resolution discrepancy",
            section 3, of classifiers).
        init: the backbone's first weights: "none", "imagenet", or the name of a file, whose place is given to the
            command. A checkpoint (``.safetensors``) is taken whole: the recipe goes on from it.
        init_sha256: of that file; empty: any file will do.
        init_terms: under which terms those weights may be used, and what they learned from.
        teacher: the name of the file that teaches the float network its share of the loss,
            ``training.distillation``; its place is given to the command. Empty: nobody does. (The integer network's
            teacher is the float network.)
        teacher_sha256: of that file; empty: any file will do.
        teacher_terms: under which terms the teacher may be used, and what it learned from.
        sources: name of a source to what is done with it. Sources that are not named are left out.
        data: source to split to digest, of the photos that the recipe was made with; empty: not fixed.
        training: of the float network.
        settling: of the float network once more, a short run behind ``training`` on photos that are varied less, nearer
            to those that are met in use (as YOLOX ends without its mosaics; Ge et al. 2021, section 2.1). What the file
            does not say is as in ``training``. None: there is no such run.
        finishing: of the settled float network, a shorter run still, for what it is to learn without moving far (from
            sources that are ``late``). What the file does not say is as in ``settling``. None: there is no such run.
        quantization_aware: of the integer network that it becomes. What the file does not say is as in
            ``FINE_TUNING``; seed and augmentation are those of the float network's last run.
        table: the file's contents, its base included.
    """

    name: str
    summary: str
    model: ModelSpec
    deployed_model: ModelSpec
    init: str
    init_sha256: str
    init_terms: str
    teacher: str
    teacher_sha256: str
    teacher_terms: str
    sources: Mapping[str, Source]
    data: Mapping[str, Mapping[str, Digest]]
    training: TrainingConfig
    settling: TrainingConfig | None
    finishing: TrainingConfig | None
    quantization_aware: QuantizationAwareConfig
    table: Table

    @property
    def repeats(self) -> dict[str, int]:
        """The sources that are used, and how often a photo of each comes in an epoch of the last float run."""
        return {name: source.repeat for name, source in self.sources.items() if source.repeat}

    @property
    def early_repeats(self) -> dict[str, int]:
        """As :attr:`repeats`, in the float runs before the last."""
        return {name: count for name, count in self.repeats.items() if not self.sources[name].late}

    @property
    def float_runs(self) -> tuple[TrainingConfig, ...]:
        """The float network's runs, one to three, each on from the one before it."""
        return tuple(run for run in (self.training, self.settling, self.finishing) if run is not None)

    @property
    def init_is_file(self) -> bool:
        """The first weights are a file."""
        return self.init not in ("none", "imagenet")

    @property
    def sha256(self) -> str:
        """Of the table as JSON with sorted keys: comments and layout do not count, each value does."""
        text = json.dumps(self.table, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def with_workers(self, count: int) -> Recipe:
        """The same recipe with another number of loading processes, which no result depends on."""
        fine_tuning = self.quantization_aware
        return replace(
            self,
            training=replace(self.training, workers=count),
            settling=self.settling and replace(self.settling, workers=count),
            finishing=self.finishing and replace(self.finishing, workers=count),
            quantization_aware=replace(fine_tuning, training=replace(fine_tuning.training, workers=count)),
        )

    def write(self, path: Path) -> None:
        """Write the table as JSON, which :func:`load_recipe` reads. Raises: OutputError."""
        write_json(path, self.table)

    @staticmethod
    def from_table(table: Table, where: str) -> Recipe:
        """Read a table without a base.

        Args:
            table: what a file of TOML or JSON holds.
            where: the file's name, for messages.

        Raises:
            SpecError: a key that is unknown or missing, a value of another type, or settings that do not fit.
        """
        for name in table:
            if name not in _KEYS:
                raise SpecError(f"{where} has the unknown key {name!r}: it may have base, {', '.join(_KEYS)}")
        for name in _REQUIRED:
            if name not in table:
                raise SpecError(f"{where} lacks the key {name!r}: a recipe needs {', '.join(_REQUIRED)}")
        texts = {name: table.get(name, "") for name in _TEXTS}
        for name, text in texts.items():
            if not isinstance(text, str):
                raise SpecError(f"{where}: {name} is {text!r}: it must be a text")
        training = changed(TrainingConfig(), subtable(table, "training", where), f"{where}: training")
        if bool(texts["teacher"]) != (training.distillation > 0):
            raise SpecError(
                f"{where}: training.distillation is {training.distillation}, and the teacher {texts['teacher']!r}: "
                "give both or neither"
            )
        model = changed(ModelSpec(), subtable(table, "model", where), f"{where}: model")
        if training.start_share:
            raise SpecError(
                f"{where}: training.start_share is {training.start_share}, and the first run may begin with layers "
                "that are not trained: move it to settling or finishing"
            )
        runs = [training]
        for name in ("settling", "finishing"):
            if name not in table:
                break
            runs.append(changed(runs[-1], subtable(table, name, where), f"{where}: {name}"))
            if runs[-1].distillation and not texts["teacher"]:
                raise SpecError(f"{where}: {name}.distillation is {runs[-1].distillation}, and there is no teacher")
        if "finishing" in table and "settling" not in table:
            raise SpecError(f"{where}: finishing goes on from a settling, and there is none")
        sources = each_changed(Source(), subtable(table, "sources", where), f"{where}: sources")
        if len(runs) == 1 and (late := [name for name, source in sources.items() if source.late]):
            raise SpecError(f"{where}: sources.{late[0]} is late, and the float network has one run only: add settling")
        fine_tuning = replace(FINE_TUNING, seed=runs[-1].seed, augmentation=runs[-1].augmentation)
        digests = subtable(table, "data", where)
        return Recipe(
            **{**texts, "init": texts["init"] or "none"},
            model=model,
            deployed_model=_on_other_pixels(model, subtable(table, "deployed", where), where),
            sources=sources,
            data={
                source: each_changed(Digest(0, ""), subtable(digests, source, where), f"{where}: data.{source}")
                for source in digests
            },
            training=training,
            settling=runs[1] if len(runs) > 1 else None,
            finishing=runs[2] if len(runs) > 2 else None,
            quantization_aware=changed(
                QuantizationAwareConfig(fine_tuning),
                subtable(table, "quantization_aware", where),
                f"{where}: quantization_aware",
            ),
            table=table,
        )


def _on_other_pixels(model: ModelSpec, table: Table, where: str) -> ModelSpec:
    """The model with another height and width. Raises: SpecError: the table names anything else, or they do not fit."""
    if other := [name for name in table if name not in ("height", "width")]:
        raise SpecError(
            f"{where}: deployed has the key {other[0]!r}: a network is deployed as it was trained, but for its height "
            "and width"
        )
    return changed(model, table, f"{where}: deployed")


def load_recipe(name: str | Path) -> Recipe:
    """Read a recipe.

    Args:
        name: of one that comes with the package ("portrait"), or the path of a file that ends in ``.toml`` (or
            ``.json``: what :meth:`Recipe.write` wrote). A file's ``base`` is such a name, or such a path relative to
            the file.

    Raises:
        SpecError: there is none, it cannot be read, or something in it makes no sense; the message names the key.
    """
    path = _recipe_path(name, Path())
    return Recipe.from_table(_read(path, ()), path.name)


def shipped_recipes() -> tuple[str, ...]:
    """The names of the recipes that come with the package, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def merged(base: Table, change: Table) -> dict[str, Any]:
    """A table with some values replaced: tables are merged key by key, everything else is taken as it is."""
    result = dict(base)
    for key, value in change.items():
        before = result.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            value = merged(before, value)
        result[key] = value
    return result


_FOLDER = Path(str(resources.files("edge_deeplab.training"))) / "recipes"


def _recipe_path(name: str | Path, folder: Path) -> Path:
    if Path(name).suffix in (".toml", ".json"):
        return folder / name
    if str(name) not in shipped_recipes():
        raise SpecError(
            f"there is no recipe {str(name)!r}: choose from {', '.join(shipped_recipes())}, or name a file FILE.toml"
        )
    return _FOLDER / f"{name}.toml"


def _read(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    """A file's table, its base included; ``above`` are the files that it is a base of."""
    if path.resolve() in above:
        raise SpecError(f"the recipe {path} is a base of itself: take one of them out")
    try:
        text = path.read_text(encoding="utf-8")
        table = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except FileNotFoundError as error:
        raise SpecError(f"there is no recipe {path}") from error
    except (OSError, ValueError) as error:  # of UTF-8, TOML and JSON alike
        raise SpecError(f"the recipe {path} cannot be read: {error}") from error
    if not isinstance(table, dict):
        raise SpecError(f"the recipe {path} holds no table")
    if "base" not in table:
        return table
    base = table.pop("base")
    if not isinstance(base, str):
        raise SpecError(f"{path.name}: base is {base!r}: it must be the name of a recipe")
    return merged(_read(_recipe_path(base, path.parent), (*above, path.resolve())), table)
