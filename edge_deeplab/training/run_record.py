"""What a recipe's run says about itself, in small files: the recipe, every photo, and what came out.

==============  =================================================================================================
recipe.json     the recipe's table; :func:`edge_deeplab.training.recipe.load_recipe` reads it
data.csv        every photo with its source, its split, and the hashes of its files
record.json     hashes of recipe, first weights, teacher and data; the machine; each finished stage with its score
==============  =================================================================================================
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_deeplab.checkpoint import load_checkpoint
from edge_deeplab.data.fingerprint import Digests, PhotoHash, digest_photos, write_photo_hashes
from edge_deeplab.errors import CheckpointError, OutputError
from edge_deeplab.files import make_folder, sha256, write_json
from edge_deeplab.training.recipe import Recipe
from edge_deeplab.training.run import CHECKPOINT

FLOAT, SETTLED, FINISHED, INT8 = "float", "settled", "finished", "int8"
"""The stages: each has a folder of its name with a checkpoint in it."""

RECIPE, PHOTOS, RECORD = "recipe.json", "data.csv", "record.json"


@dataclass(frozen=True)
class StageResult:
    """A finished stage: its checkpoint's hash, the epoch that was best (from 1), and its score on the val split."""

    sha256: str
    epoch: int
    val_iou: float


def stages(recipe: Recipe) -> tuple[str, ...]:
    """The stages of a recipe, in order; each goes on from the checkpoint of the one before it."""
    return (*(FLOAT, SETTLED, FINISHED)[: len(recipe.float_runs)], INT8)


def begin_run(
    out: Path,
    recipe: Recipe,
    photos: tuple[PhotoHash, ...],
    machine: Mapping[str, Any],
    *,
    init_sha256: str,
    teacher_sha256: str,
) -> None:
    """Write the files of a new run.

    Args:
        out: the run's folder.
        recipe: what is run.
        photos: what it is run on.
        machine: where it is run.
        init_sha256, teacher_sha256: of the files with the first weights and the teacher; empty: there is none.

    Raises:
        OutputError: the place cannot be written to, or holds a run already.
    """
    require_no_run(out)
    make_folder(out)
    recipe.write(out / RECIPE)
    write_photo_hashes(out / PHOTOS, photos)
    record = {
        "recipe": {"name": recipe.name, "sha256": recipe.sha256},
        "init": {"name": recipe.init, "sha256": init_sha256},
        "teacher": {"name": recipe.teacher, "sha256": teacher_sha256},
        "sources": _plain(digest_photos(photos)),
        "machine": dict(machine),
        "stages": {},
    }
    write_json(out / RECORD, record)  # the last of the three: where it is, the run has begun


def require_no_run(out: Path) -> None:
    """Refuse to write over a run. Raises: OutputError."""
    if (out / RECORD).exists():
        raise OutputError(f"{out} already holds a run: continue it with --resume, or choose another --out")


def require_same_run(out: Path, recipe: Recipe, photos: tuple[PhotoHash, ...]) -> None:
    """Refuse to go on with another recipe, or on other photos.

    Raises:
        CheckpointError: there is no run, or it was begun otherwise.
    """
    record = _record(out)
    if record["recipe"]["sha256"] != recipe.sha256:
        raise CheckpointError(
            f"{out} was begun with another recipe ({record['recipe']['name']}, kept in {out / RECIPE}): "
            f"go on with --recipe {out / RECIPE}, or start anew in another folder"
        )
    if record["sources"] != _plain(digest_photos(photos)):
        raise CheckpointError(f"{out} was begun on other photos (listed in {out / PHOTOS}): start anew elsewhere")


def require_same_teacher(out: Path, teacher_sha256: str) -> None:
    """Refuse to go on with another teacher. Raises: CheckpointError."""
    if _record(out)["teacher"]["sha256"] != teacher_sha256:
        raise CheckpointError(f"{out} was begun with another teacher: give the same one, or start anew elsewhere")


def finished_stages(out: Path) -> dict[str, StageResult]:
    """What is done, by stage.

    Raises:
        CheckpointError: there is no run, or the checkpoint of a finished stage is gone or was changed.
    """
    results = {stage: StageResult(**result) for stage, result in _record(out)["stages"].items()}
    for stage, result in results.items():
        path = out / stage / CHECKPOINT
        if not path.is_file() or sha256(path) != result.sha256:
            raise CheckpointError(f"{path} is not what the run left there: put it back, or start anew elsewhere")
    return results


def finish_stage(out: Path, stage: str) -> StageResult:
    """Note a stage as finished, with what its checkpoint says. Raises: OutputError, CheckpointError."""
    loaded = load_checkpoint(out / stage / CHECKPOINT)
    result = StageResult(loaded.sha256, loaded.notes["epoch"], loaded.notes["val_iou"])
    record = _record(out)
    record["stages"][stage] = asdict(result)
    write_json(out / RECORD, record)
    return result


def _record(out: Path) -> dict[str, Any]:
    path = out / RECORD
    if not path.is_file():
        raise CheckpointError(f"{out} holds no run of a recipe to resume: leave out --resume to start anew")
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        record["recipe"]["sha256"], record["teacher"]["sha256"], record["sources"], record["stages"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} cannot be read ({error!r}): start anew in another folder") from error
    return record


def _plain(digests: Digests) -> dict[str, dict[str, Any]]:
    return {source: {split: asdict(digest) for split, digest in splits.items()} for source, splits in digests.items()}
