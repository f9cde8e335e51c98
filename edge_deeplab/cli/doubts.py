"""``edge-deeplab doubts``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_deeplab.cli.teacher_options import open_teacher, teacher_view_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_deeplab.training.label_cleaning import Doubt

_SHOWN = 32


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--teacher",
    metavar="FILE",
    type=click.Path(path_type=Path),
    required=True,
    help="A network that was trained without the doubtful labels.",
)
@teacher_view_options
@click.option(
    "--source", "sources", multiple=True, required=True, help="A collection whose labels lack parts; may come again."
)
@click.option("--split", default="train", show_default=True, help="Split that is learned; no other is touched.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New folder: the data set with doubts.")
def command(data: Path, teacher: Path, views: dict[str, Any], sources: tuple[str, ...], split: str, out: Path) -> None:
    """Find where labels of DATA, a folder with manifest.csv, call background what a teacher is sure is a person.

    OUT becomes the same data set, by links to DATA's photos and masks, with doubts/ID.png beside them: pixels that
    count neither way wherever OUT is trained on. OUT/doubts.jpg shows them: look at it before you train.
    """
    from edge_deeplab.extras import require_extra

    require_extra("train", "finding doubts", "torch", "safetensors")

    from edge_deeplab.cli.progress import image_progress
    from edge_deeplab.data.doubts import DOUBTS
    from edge_deeplab.data.manifest import MANIFEST, ManifestDataset
    from edge_deeplab.evaluation.doubt_sheet import doubt_sheet
    from edge_deeplab.files import new_folder, output_error, write_json
    from edge_deeplab.image import write_image
    from edge_deeplab.training.config import TeacherViews
    from edge_deeplab.training.label_cleaning import write_doubts

    dataset = ManifestDataset(data, split=split)
    taught_by = open_teacher(teacher, dataset.classes, TeacherViews(**views))
    with image_progress("looking at the labels") as progress, new_folder(out) as folder:
        (folder / DOUBTS).mkdir()
        doubts = write_doubts(dataset, sources, taught_by, folder / DOUBTS, progress=progress)
        write_json(
            folder / DOUBTS / "doubts.json",
            {"teacher_sha256": taught_by.sha256, "views": views, "split": split, "sources": _summary(doubts)},
        )
    # The manifest comes last: with it the folder is a data set.
    try:
        for name in ("images", "masks", MANIFEST):
            (out / name).symlink_to((data / name).resolve())
    except OSError as error:
        raise output_error(out, error) from error
    for source, numbers in _summary(doubts).items():
        click.echo(
            f"{source}: {numbers['doubted']} of {numbers['photos']} labels doubted, in {numbers['share']:.1%} of all "
            "pixels"
        )
    if shown := _spread([doubt for doubt in doubts if doubt.share]):
        cleaned = ManifestDataset(out, split=split)
        place = {row.id: index for index, row in enumerate(cleaned.rows)}
        title = f"What {teacher.name} doubts of {', '.join(sources)}: from the largest part to the smallest"
        write_image(out / "doubts.jpg", doubt_sheet([cleaned[place[doubt.id]] for doubt in shown], title=title))
        click.echo(f"Look at {out / 'doubts.jpg'}. Next: edge-deeplab train {out} --out RUN")


def _summary(doubts: Sequence[Doubt]) -> dict[str, dict[str, float]]:
    """Source to how many photos it has, of how many the label is doubted, and the doubted share of all pixels."""
    summary = {}
    for source in sorted({doubt.source for doubt in doubts}):
        shares = [doubt.share for doubt in doubts if doubt.source == source]
        share = round(sum(shares) / len(shares), 6)
        summary[source] = {"photos": len(shares), "doubted": sum(share > 0 for share in shares), "share": share}
    return summary


def _spread(doubts: Sequence[Doubt]) -> list[Doubt]:
    """Some of them, evenly from the largest to the smallest."""
    ranked = sorted(doubts, key=lambda doubt: (-doubt.share, doubt.id))
    count = min(_SHOWN, len(ranked))
    return [ranked[place * len(ranked) // count] for place in range(count)]
