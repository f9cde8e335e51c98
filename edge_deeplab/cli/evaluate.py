"""``edge-deeplab evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_deeplab.cli.model_options import foreign_model_options, open_model
from edge_deeplab.cli.model_path import MODEL

if TYPE_CHECKING:
    from edge_deeplab.runtime.foreign.adaptation import Overrides


@click.command()
@click.argument("model", type=MODEL)
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of photos with masks.")
@click.option("--split", help="Split that is measured, such as test; all of them if it is not given.")
@click.option("--classes", help="Class names, separated by commas; the model's if they are not given.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for evaluation.json and worst.jpg.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads of the runtime.")
@click.option("--skip-bad", is_flag=True, help="Leave out photos that cannot be read, and count them.")
@foreign_model_options
def command(
    model: Path,
    data: Path,
    split: str | None,
    classes: str | None,
    out: Path | None,
    threads: int | None,
    skip_bad: bool,
    overrides: Overrides,
) -> None:
    """Measure MODEL, a checkpoint, a converted file or anybody's segmentation model, on photos with masks.

    Person IoU is the mean over the photos, each at its own size; mIoU counts the pixels of all photos; the rate of
    false persons is measured on photos without a person. docs/evaluation.md defines them.
    """
    from rich.console import Console

    from edge_deeplab.cli.progress import image_progress
    from edge_deeplab.data.opening import open_dataset
    from edge_deeplab.evaluation.contact_sheet import contact_sheet
    from edge_deeplab.evaluation.evaluate import evaluate
    from edge_deeplab.evaluation.tables import evaluation_table
    from edge_deeplab.files import make_folder, write_json
    from edge_deeplab.image import write_image

    if out is not None:
        make_folder(out)
    with open_model(model, threads=threads, overrides=overrides) as session:
        names = tuple(name.strip() for name in classes.split(",")) if classes else session.classes
        dataset = open_dataset(data, split=split, classes=names)
        title = f"{model.name} on {data.name}, {split or 'all splits'}"
        with image_progress(f"evaluating {model.name}") as progress:
            evaluation = evaluate(session, dataset, skip_bad=skip_bad, progress=progress)
        console = Console()
        console.print(evaluation_table(evaluation, title=title))
        for skipped in evaluation.skipped:
            click.echo(f"left out: {skipped.reason}", err=True)
        if out is not None:
            write_json(
                out / "evaluation.json", {"model": model.name, "data": data.name, "split": split} | evaluation.to_dict()
            )
            write_image(out / "worst.jpg", contact_sheet(evaluation, session, dataset, title=f"The worst of {title}"))
            console.print(f"{out / 'evaluation.json'} and {out / 'worst.jpg'} written", soft_wrap=True)
