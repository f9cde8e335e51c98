"""``edge-deeplab parity``."""

from __future__ import annotations

from pathlib import Path

import click

from edge_deeplab.cli.model_path import CHECKPOINT, MODEL


@click.command()
@click.argument("reference", type=CHECKPOINT)
@click.argument("models", metavar="MODEL...", type=MODEL, nargs=-1, required=True)
@click.option(
    "--data", type=click.Path(path_type=Path), help="Folder of photos with masks; without it, bundled photos."
)
@click.option("--split", help="Split of --data, such as test; all of them if it is not given.")
@click.option("--target", help="Target whose tolerance applies to models without a sidecar, such as tflite-float16.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for parity.json, parity.png and parity.html.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads of every runtime; 1.")
@click.option("--workers", type=click.IntRange(min=1), help="Images that go through at once; one for each core.")
def command(
    reference: Path,
    models: tuple[Path, ...],
    data: Path | None,
    split: str | None,
    target: str | None,
    out: Path | None,
    threads: int | None,
    workers: int | None,
) -> None:
    """Run the same images through REFERENCE (usually the checkpoint) and every MODEL, and compare.

    Exit status 1 if a model is further from the reference than its target's tolerance (docs/evaluation.md) allows.
    """
    from rich.console import Console

    from edge_deeplab.artifact import load_artifact, sidecar_path
    from edge_deeplab.cli.comparison import Candidate, compare_files
    from edge_deeplab.errors import ModelFileError, ParityError
    from edge_deeplab.evaluation.report import write_report
    from edge_deeplab.extras import require_extra
    from edge_deeplab.files import make_folder
    from edge_deeplab.spec import Target

    fallback = None if target is None else Target.parse(target)

    def target_of(path: Path) -> Target:
        if not path.exists():
            raise ModelFileError(f"there is no model file {path}")
        if sidecar_path(path).exists():
            return load_artifact(path).target
        if fallback is None:
            raise ParityError(
                f"{path} has no sidecar that says what it was converted to, so that no tolerance applies: "
                "name a target with --target, such as tflite-float16"
            )
        return fallback

    candidates = [Candidate(path, target_of(path)) for path in models]
    if out is not None:
        require_extra("convert", "the page in --out", "jinja2")
        make_folder(out)
    compared = compare_files(reference, candidates, data=data, split=split, threads=threads, workers=workers)
    if out is not None:
        numbers, picture, page = write_report(compared.report, compared.exhibits, out)
        Console().print(f"{numbers}, {picture} and {page} written", soft_wrap=True)
    compared.report.check()
