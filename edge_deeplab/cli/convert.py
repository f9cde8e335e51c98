"""``edge-deeplab convert``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_deeplab.cli.model_path import CHECKPOINT
from edge_deeplab.weights import shipped_checkpoint

if TYPE_CHECKING:
    from edge_deeplab.artifact import Artifact
    from edge_deeplab.checkpoint import Checkpoint
    from edge_deeplab.evaluation.parity_images import ParityImages
    from edge_deeplab.models.deeplab import DeepLab
    from edge_deeplab.quantization.ranges import QuantRanges
    from edge_deeplab.quantization.sensitivity import LayerSensitivity

_BLAME_IMAGES, _BLAMED = 8, 3  # photos that layers are measured on, and layers that are named


@click.command()
@click.argument("checkpoint", type=CHECKPOINT, default=shipped_checkpoint)
@click.option(
    "--target",
    "targets",
    multiple=True,
    required=True,
    help="onnx, tflite-float32, tflite-float16, tflite-dynamic, tflite-int8, onnx-qdq, coreml-float32, coreml-float16, "
    "coreml-int8, coreml-palettized6, coreml-palettized4, coreml-w8a8, coreml (these six), or all. May be given "
    "several times.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the files and the report.")
@click.option(
    "--io",
    type=click.Choice(["uint8", "int8", "float"]),
    default="uint8",
    show_default=True,
    help="Element type of the int8 TFLite file's input and output.",
)
@click.option(
    "--coreml-output",
    type=click.Choice(["probability", "image"]),
    default="probability",
    show_default=True,
    help="What a Core ML package gives: a float array of probabilities, or a grey image of probability * 255.",
)
@click.option(
    "--deployment-target",
    type=click.Choice(["iOS15", "iOS16", "iOS17"]),
    help="The oldest system that shall run a Core ML package; for each target the oldest that can if it is not given.",
)
@click.option(
    "--ranges",
    "ranges_file",
    type=click.Path(path_type=Path),
    help="Quantization ranges; CHECKPOINT.ranges.json beside the checkpoint if it is not given.",
)
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    help="Folder of photos, or a data set, to observe the ranges on instead.",
)
@click.option("--calibration-split", help="Split of --calibration; the training split if it has one.")
@click.option("--calibration-images", default=128, show_default=True, help="How many of them.")
@click.option("--data", type=click.Path(path_type=Path), help="Photos with masks to compare on; else bundled photos.")
@click.option("--split", help="Split of --data, such as test.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads of every runtime in the comparison.")
@click.option(
    "--allow-drop",
    type=click.FloatRange(min=0, max=100),
    metavar="POINTS",
    help="Keep a quantized file over its tolerance if it loses at most so many points of person IoU "
    "(docs/evaluation.md).",
)
def command(
    checkpoint: Path,
    targets: tuple[str, ...],
    out: Path,
    io: str,
    coreml_output: str,
    deployment_target: str | None,
    ranges_file: Path | None,
    calibration: Path | None,
    calibration_split: str | None,
    calibration_images: int,
    data: Path | None,
    split: str | None,
    threads: int | None,
    allow_drop: float | None,
) -> None:
    """Convert CHECKPOINT, and prove parity.

    CHECKPOINT is a file, or the name of a shipped model: portrait if it is not given.
    Every file is compared with PyTorch on the same images; its sidecar FILE.json says what it is and how it compared.
    Exit status 1 if one is further off than its tolerance allows: it is then named FILE.rejected, and where its
    activations are int8 the layers to blame are named.
    """
    from edge_deeplab.cli.conversion import REQUIRED, convert_files, coreml_recipes, parse_targets
    from edge_deeplab.errors import SpecError
    from edge_deeplab.extras import require_extra
    from edge_deeplab.files import make_folder
    from edge_deeplab.spec import Format, IoType

    chosen = parse_targets(targets)
    require_extra("convert", "converting", *REQUIRED)

    from converters.coreml_recipe import DeploymentTarget
    from edge_deeplab.models.loading import load_network

    if ranges_file is not None and calibration is not None:
        raise SpecError("--ranges and --calibration exclude each other: take the ranges, or observe new ones")
    if allow_drop is not None and not any(target.quantized for target in chosen):
        raise SpecError(
            "--allow-drop is for quantized files: a float file that is off is wrong, and no loss makes it right"
        )
    coreml_io = IoType.IMAGE if coreml_output == "image" else IoType.FLOAT32
    outputs = [(target, coreml_io if target.format is Format.COREML else IoType(io)) for target in chosen]
    oldest = None if deployment_target is None else DeploymentTarget(deployment_target)
    coreml_recipes(outputs, oldest)  # what cannot be made is better known before the ranges are observed
    network, loaded = load_network(checkpoint)
    make_folder(out)
    ranges = None
    if any(target.integer_activations for target in chosen):
        ranges = _ranges(
            checkpoint, network, loaded, ranges_file, calibration, calibration_split, calibration_images, out
        )
    artifacts = convert_files(checkpoint, network, loaded, outputs, out, ranges, oldest)
    _prove(
        checkpoint, network, ranges, artifacts, out, data=data, split=split, threads=threads, allowed_drop=allow_drop
    )


def _ranges(
    checkpoint: Path,
    network: DeepLab,
    loaded: Checkpoint,
    file: Path | None,
    calibration: Path | None,
    split: str | None,
    count: int,
    out: Path,
) -> QuantRanges:
    """The ranges that were asked for; else those beside the checkpoint; else observed on the bundled photos."""
    from calibration.collect import collect_ranges
    from calibration.images import bundled_calibration, open_calibration
    from edge_deeplab.cli.progress import image_progress
    from edge_deeplab.quantization.ranges import load_ranges, ranges_path, save_ranges

    beside = ranges_path(checkpoint)
    if file is None and calibration is None and beside.exists():
        file = beside
    if file is not None:
        ranges = load_ranges(file)
        ranges.require_checkpoint(loaded.sha256)
        return ranges
    if calibration is None:
        click.echo(
            "No ranges beside the checkpoint and no --calibration: observing them on variations of one bundled "
            "portrait. Give --calibration a folder of your own photos for a better file.",
            err=True,
        )
    images = bundled_calibration() if calibration is None else open_calibration(calibration, split=split, count=count)
    with image_progress("observing ranges") as progress:
        ranges = collect_ranges(
            network,
            loaded.spec,
            images,
            checkpoint_sha256=loaded.sha256,
            progress=lambda done: progress(done, len(images)),
        )
    written = out / ranges_path(checkpoint).name
    save_ranges(written, ranges)
    click.echo(f"{written} written: ranges observed on {images.description}", err=True)
    return ranges


def _prove(
    checkpoint: Path,
    network: DeepLab,
    ranges: QuantRanges | None,
    artifacts: list[Artifact],
    out: Path,
    *,
    data: Path | None,
    split: str | None,
    threads: int | None,
    allowed_drop: float | None,
) -> None:
    """Compare, print the table, write the report and the numbers into the sidecars; set aside what failed."""
    from dataclasses import replace

    from rich.console import Console

    from edge_deeplab.cli.comparison import Candidate, compare_files
    from edge_deeplab.errors import ParityError
    from edge_deeplab.evaluation.blame import blame
    from edge_deeplab.evaluation.report import write_report

    console = Console()
    candidates = [
        Candidate(
            artifact.path,
            artifact.target,
            allowed_drop if artifact.target.quantized else None,
        )
        for artifact in artifacts
    ]
    compared = compare_files(checkpoint, candidates, data=data, split=split, threads=threads)
    report = compared.report
    numbers, picture, page = write_report(report, compared.exhibits, out)
    rejected = []
    for artifact, row in zip(artifacts, report.rows, strict=True):
        measured = replace(artifact, metrics={"parity": {"images": report.images, **row.to_dict()}})
        if row.passed:
            measured.write_sidecar()
            console.print(f"{artifact.path} written", soft_wrap=True)
        else:
            rejected.append(_set_aside(measured))
    console.print(f"{numbers}, {picture} and {page} written", soft_wrap=True)
    # Blame comes after the renaming: it takes a while, and an interruption must not leave a bad file a good name.
    quantized = [artifact for artifact in rejected if artifact.target.integer_activations]
    if ranges is not None and quantized:
        layers = _blame(network, quantized, ranges, compared.images)
        raise ParityError(
            f"{'; '.join(report.failures)}; the layers that do most harm in int8 are {blame(layers)}: "
            "edge-deeplab sensitivity shows more, --allow-drop accepts a loss"
        )
    report.check()


def _set_aside(artifact: Artifact) -> Artifact:
    """Rename a file that failed, so that no build script picks it up, and tell why in its sidecar."""
    from dataclasses import replace

    from edge_deeplab.files import move

    rejected = replace(artifact, path=artifact.path.with_name(f"{artifact.path.name}.rejected"))
    move(artifact.path, rejected.path)
    artifact.sidecar.unlink()
    rejected.write_sidecar()
    return rejected


def _blame(
    network: DeepLab, rejected: Sequence[Artifact], ranges: QuantRanges, images: ParityImages
) -> tuple[LayerSensitivity, ...]:
    """The layers that do most harm, on a few of the images that were compared; noted in the sidecars, too."""
    from dataclasses import replace

    import numpy as np

    from edge_deeplab.cli.progress import image_progress
    from edge_deeplab.image import resize_area
    from edge_deeplab.quantization.graph import quantization_graph
    from edge_deeplab.quantization.sensitivity import measure_sensitivity

    spec = rejected[0].spec
    count = min(_BLAME_IMAGES, len(images))
    chosen = [images[index * len(images) // count] for index in range(count)]
    pixels = np.stack([resize_area(image.rgb, spec.height, spec.width) for image in chosen])
    graph = quantization_graph(network, spec.network.num_classes)
    with image_progress("finding the layers to blame") as progress:
        layers = measure_sensitivity(graph, ranges, pixels, progress=progress).worst(_BLAMED)
    for artifact in rejected:
        blamed = {"blame": [layer.to_dict() for layer in layers]}
        replace(artifact, metrics={**artifact.metrics, **blamed}).write_sidecar()
    return layers
