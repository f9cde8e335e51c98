"""``edge-deeplab bundle``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_deeplab.cli.model_path import CHECKPOINT
from edge_deeplab.weights import shipped_checkpoint

if TYPE_CHECKING:
    from edge_deeplab.artifact import Artifact
    from edge_deeplab.bundle.contract import Contract
    from edge_deeplab.weights.card import Card

_TARGETS = ("tflite-int8", "tflite-float16", "coreml-float16")
_CHECKPOINT = ".safetensors"


@click.command()
@click.argument("models", metavar="[MODEL]...", type=CHECKPOINT, nargs=-1)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder to write; it must not be there yet."
)
@click.option(
    "--target",
    "targets",
    multiple=True,
    help=f"What to convert a checkpoint to: TFLite and Core ML, as for convert. May be given several times; "
    f"{', '.join(_TARGETS)} if it is not given.",
)
@click.option(
    "--ranges",
    "ranges_file",
    type=click.Path(path_type=Path),
    help="Quantization ranges; CHECKPOINT.ranges.json beside the checkpoint if it is not given.",
)
@click.option("--data", type=click.Path(path_type=Path), help="Photos with masks to compare on; else bundled photos.")
@click.option("--split", help="Split of --data, such as test.")
@click.option(
    "--card", "card_file", type=click.Path(path_type=Path), help="The model's card, as in a release, for the guide."
)
def command(
    models: tuple[Path, ...],
    out: Path,
    targets: tuple[str, ...],
    ranges_file: Path | None,
    data: Path | None,
    split: str | None,
    card_file: Path | None,
) -> None:
    """Write a folder that an Android or iOS developer takes as it is.

    MODEL is a checkpoint, or the name of a shipped model (portrait if none is given): it is converted, and compared
    with PyTorch. Or it is one or several files that were converted from one checkpoint, with their sidecars.

    In it: the files, source code for LiteRT, MediaPipe Tasks and Core ML with these very files' numbers, contract.json
    with all that an app must know of them, three golden pairs to test an app with, a checker, a guide and checksums.
    Exit status 1 if something is refused: there is no OUT then.
    """
    from rich.console import Console

    from edge_deeplab.errors import SpecError
    from edge_deeplab.extras import require_extra

    chosen = models or (shipped_checkpoint(),)
    checkpoints = [path for path in chosen if path.suffix == _CHECKPOINT]
    if checkpoints and len(chosen) > 1:
        raise SpecError(
            "a bundle is of one checkpoint, or of files that were converted from one: name one or the other"
        )
    if not checkpoints and (targets or ranges_file or data or split):
        raise SpecError(
            "--target, --ranges, --data and --split are for a checkpoint: these files are converted, and were compared"
        )
    require_extra("convert", "a bundle", "jinja2", "flatbuffers")
    if checkpoints:
        contract = _bundle_checkpoint(checkpoints[0], out, targets or _TARGETS, ranges_file, data, split, card_file)
    else:
        contract = _bundle_files(chosen, out, card_file)
    files = ", ".join(Path(model.path).name for model in contract.models)
    Console().print(f"{out} written with {files}: its README.md says how to use it", soft_wrap=True)


def _bundle_checkpoint(
    checkpoint: Path,
    out: Path,
    names: Sequence[str],
    ranges_file: Path | None,
    data: Path | None,
    split: str | None,
    card_file: Path | None,
) -> Contract:
    """Convert, compare with PyTorch what an app will get, and write the bundle."""
    from edge_deeplab.bundle.describe import FORMATS
    from edge_deeplab.bundle.writing import MODELS, write_bundle
    from edge_deeplab.cli.comparison import Candidate, compare_files, with_parity
    from edge_deeplab.cli.conversion import REQUIRED, convert_files, parse_targets, prepared_ranges, variants
    from edge_deeplab.cli.release_card import card_of, named_card
    from edge_deeplab.errors import SpecError
    from edge_deeplab.extras import require_extra
    from edge_deeplab.files import new_folder

    targets = parse_targets(names)
    for target in targets:
        if target.format not in FORMATS:
            raise SpecError(f"{target} is nothing that an app here takes: choose TFLite and Core ML targets")
    require_extra("convert", "a bundle of a checkpoint", *REQUIRED)

    from edge_deeplab.models.loading import load_network

    network, loaded = load_network(checkpoint)
    card = card_of(checkpoint, loaded) if card_file is None else named_card(card_file, loaded.sha256)
    ranges = prepared_ranges(checkpoint, loaded, targets, ranges_file)
    outputs = [(target, variants(target)[0]) for target in targets]
    with new_folder(out) as folder:
        converted = convert_files(checkpoint, network, loaded, outputs, folder / MODELS, ranges)
        artifacts = [_place(artifact, folder / MODELS, card) for artifact in converted]
        candidates = [Candidate(artifact.path, artifact.target) for artifact in artifacts]
        report = compare_files(checkpoint, candidates, data=data, split=split).report
        report.check()
        artifacts = with_parity(artifacts, report)
        for artifact in artifacts:
            artifact.write_sidecar()
        return write_bundle(folder, artifacts, card)


def _bundle_files(paths: Sequence[Path], out: Path, card_file: Path | None) -> Contract:
    """Write the bundle around copies of converted files."""
    from edge_deeplab.artifact import load_artifact
    from edge_deeplab.bundle.describe import FORMATS, read_ends
    from edge_deeplab.bundle.writing import MODELS, write_bundle
    from edge_deeplab.cli.release_card import card_of_converted, named_card
    from edge_deeplab.errors import ModelFileError, SpecError
    from edge_deeplab.files import new_folder

    for path in paths:
        if not path.exists():
            raise ModelFileError(f"there is no model file {path}")
    given = [load_artifact(path) for path in paths]
    first = given[0]
    for artifact in given:
        if artifact.target.format not in FORMATS:
            raise SpecError(f"{artifact.path} is nothing that an app here takes: name TFLite and Core ML files")
        if artifact.checkpoint_sha256 != first.checkpoint_sha256:
            raise SpecError(
                f"{artifact.path} was converted from another checkpoint than {first.path}: make two bundles"
            )
        if [other.path.name for other in given].count(artifact.path.name) > 1:
            raise SpecError(f"several files are called {artifact.path.name}: rename one, and its sidecar")
        read_ends(artifact)
    card = card_of_converted(first) if card_file is None else named_card(card_file, first.checkpoint_sha256)
    with new_folder(out) as folder:
        artifacts = [_place(artifact, folder / MODELS, card) for artifact in given]
        return write_bundle(folder, artifacts, card)


def _place(artifact: Artifact, folder: Path, card: Card) -> Artifact:
    """A file with its sidecar in the folder of models; with TFLite's metadata, unless it is of int8 input.

    Nobody who reads metadata takes int8 input.
    """
    import shutil
    from dataclasses import replace

    from converters.tflite_metadata import with_metadata
    from edge_deeplab.artifact import load_artifact
    from edge_deeplab.files import make_folder
    from edge_deeplab.spec import Format, IoType

    place = make_folder(folder) / artifact.path.name
    if artifact.target.format is Format.TFLITE and artifact.io is not IoType.INT8:
        return load_artifact(with_metadata(artifact.path, place, card))
    if artifact.path != place:
        (shutil.copytree if artifact.path.is_dir() else shutil.copyfile)(artifact.path, place)
    placed = replace(artifact, path=place)
    placed.write_sidecar()
    return placed
