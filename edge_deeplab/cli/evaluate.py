"""``edge-deeplab evaluate``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_deeplab.cli.model_options import foreign_model_options, open_model
from edge_deeplab.cli.model_path import MODEL
from edge_deeplab.errors import ModelFileError

if TYPE_CHECKING:
    from edge_deeplab.runtime.foreign.adaptation import Overrides
    from edge_deeplab.runtime.session import Session


def _scales(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[float, ...] | None:
    if value is None:
        return None
    try:
        return tuple(float(part) for part in value.split(","))
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not a list of numbers, separated by commas.") from error


@click.command()
@click.argument("model", type=MODEL)
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of photos with masks.")
@click.option("--split", help="Split that is measured, such as test; all of them if it is not given.")
@click.option("--classes", help="Class names, separated by commas; the model's if they are not given.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for evaluation.json and worst.jpg.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads of the runtime.")
@click.option("--skip-bad", is_flag=True, help="Leave out photos that cannot be read, and count them.")
@click.option(
    "--scales",
    metavar="S1,S2,...",
    callback=_scales,
    help="Run a checkpoint at these scales of its input, and take the mean: 0.5,0.75,1,1.25,1.5,1.75 in the papers.",
)
@click.option("--flip", is_flag=True, help="Run a checkpoint on the mirrored photo, too, and take the mean.")
@click.option(
    "--output-stride", type=int, help="Run a checkpoint at this output stride (8, 16 or 32); its own if not given."
)
@click.option("--crf", is_flag=True, help="Sharpen the probabilities by the dense CRF of DeepLab V1 and V2.")
@foreign_model_options
def command(
    model: Path,
    data: Path,
    split: str | None,
    classes: str | None,
    out: Path | None,
    threads: int | None,
    skip_bad: bool,
    scales: tuple[float, ...] | None,
    flip: bool,
    output_stride: int | None,
    crf: bool,
    overrides: Overrides,
) -> None:
    """Measure MODEL, a checkpoint, a converted file or anybody's segmentation model, on photos with masks.

    Person IoU is the mean over the photos, each at its own size; mIoU counts the pixels of all photos; the rate of
    false persons is measured on photos without a person. docs/evaluation.md defines them.
    """
    from rich.console import Console

    from edge_deeplab.cli.progress import image_progress
    from edge_deeplab.crf.post_process import CrfPostProcessing
    from edge_deeplab.data.opening import open_dataset
    from edge_deeplab.evaluation.contact_sheet import contact_sheet
    from edge_deeplab.evaluation.evaluate import evaluate
    from edge_deeplab.evaluation.tables import evaluation_table
    from edge_deeplab.files import make_folder, write_json
    from edge_deeplab.image import write_image

    if out is not None:
        make_folder(out)
    post_processing = CrfPostProcessing() if crf else None
    with _open(model, scales, flip, output_stride, threads=threads, overrides=overrides) as session:
        names = tuple(name.strip() for name in classes.split(",")) if classes else session.classes
        dataset = open_dataset(data, split=split, classes=names)
        title = f"{model.name} on {data.name}, {split or 'all splits'}"
        with image_progress(f"evaluating {model.name}") as progress:
            evaluation = evaluate(
                session, dataset, skip_bad=skip_bad, post_processing=post_processing, progress=progress
            )
        console = Console()
        console.print(evaluation_table(evaluation, title=title))
        for skipped in evaluation.skipped:
            click.echo(f"left out: {skipped.reason}", err=True)
        if out is not None:
            measured = {"model": model.name, "data": data.name, "split": split}
            how = {"crf": None if post_processing is None else asdict(post_processing.parameters)}
            write_json(out / "evaluation.json", measured | how | evaluation.to_dict())
            worst = contact_sheet(
                evaluation, session, dataset, title=f"The worst of {title}", post_processing=post_processing
            )
            write_image(out / "worst.jpg", worst)
            console.print(f"{out / 'evaluation.json'} and {out / 'worst.jpg'} written", soft_wrap=True)


def _open(
    model: Path,
    scales: tuple[float, ...] | None,
    flip: bool,
    output_stride: int | None,
    *,
    threads: int | None,
    overrides: Overrides,
) -> Session:
    """The model as it is, or a checkpoint in the papers' way where one of its options is given."""
    from edge_deeplab.runtime.foreign.adaptation import Overrides
    from edge_deeplab.runtime.multi_scale import MultiScale
    from edge_deeplab.runtime.opening import open_multi_scale

    if scales is None and not flip and output_stride is None:
        return open_model(model, threads=threads, overrides=overrides)
    if overrides != Overrides():
        raise ModelFileError(
            "--scales, --flip and --output-stride are for checkpoints, which say themselves how they are fed and read: "
            "leave out what is told of the input, output or person"
        )
    return open_multi_scale(model, MultiScale(scales or (1.0,), flip, output_stride), threads=threads)
