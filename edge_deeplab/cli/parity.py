"""``edge-deeplab parity``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click


@click.command()
@click.argument("reference", type=click.Path(path_type=Path))
@click.argument("models", metavar="MODEL...", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--data", type=click.Path(path_type=Path), help="Folder of photos with masks; without it, bundled photos."
)
@click.option("--split", help="Split of --data, such as test; all of them if it is not given.")
@click.option("--target", help="Target whose tolerance applies to models without a sidecar, such as tflite-float16.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for parity.json and parity.png.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads of every runtime.")
def command(
    reference: Path,
    models: tuple[Path, ...],
    data: Path | None,
    split: str | None,
    target: str | None,
    out: Path | None,
    threads: int | None,
) -> None:
    """Run the same images through REFERENCE (usually the checkpoint) and every MODEL, and compare.

    Exit status 1 if a model is further from the reference than its target's tolerance (docs/evaluation.md) allows.
    """
    from contextlib import ExitStack

    from rich.console import Console

    from edge_deeplab.artifact import load_artifact, sidecar_path
    from edge_deeplab.cli.progress import image_progress
    from edge_deeplab.errors import ModelFileError, ParityError
    from edge_deeplab.evaluation.parity import Contender, compare
    from edge_deeplab.evaluation.parity_images import parity_images
    from edge_deeplab.evaluation.report import write_report
    from edge_deeplab.evaluation.tables import parity_tables
    from edge_deeplab.files import make_folder
    from edge_deeplab.runtime.opening import open_session
    from edge_deeplab.spec import Target

    fallback = None if target is None else Target.parse(target)

    def target_of(path: Path) -> Target:
        if not path.is_file():
            raise ModelFileError(f"there is no model file {path}")
        if sidecar_path(path).exists():
            return load_artifact(path).target
        if fallback is None:
            raise ParityError(
                f"{path} has no sidecar that says what it was converted to, so that no tolerance applies: "
                "name a target with --target, such as tflite-float16"
            )
        return fallback

    names = _names((reference, *models))
    if out is not None:
        make_folder(out)
    with ExitStack() as stack:

        def contender(path: Path, target: Target | None) -> Contender:
            session = stack.enter_context(open_session(path, threads=threads))
            return Contender(name=names[path], session=session, size=path.stat().st_size, target=target)

        judged = contender(reference, None)
        candidates = [contender(path, target_of(path)) for path in models]
        images = parity_images(data, split, judged.session.classes)
        with image_progress("comparing") as progress:
            report = compare(judged, candidates, images, progress=progress)
        console = Console()
        console.print(parity_tables(report))
        if out is not None:
            numbers, picture = write_report(report, judged, candidates, images, out)
            console.print(f"{numbers} and {picture} written", soft_wrap=True)
    report.check()


def _names(paths: Sequence[Path]) -> dict[Path, str]:
    """The file's name for each path; with its folder where two files have the same name."""
    bare = Counter(path.name for path in paths)
    return {path: path.name if bare[path.name] == 1 else str(path) for path in paths}
