"""``edge-deeplab benchmark``."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_deeplab.cli.model_options import foreign_model_options, say_how
from edge_deeplab.cli.model_path import MODEL

if TYPE_CHECKING:
    from edge_deeplab.evaluation.latency.contestant import Contestant
    from edge_deeplab.evaluation.latency.report import LeftOut
    from edge_deeplab.runtime.foreign.adaptation import Overrides


@click.command()
@click.argument("files", metavar="FILE...", type=MODEL, nargs=-1, required=True)
@click.option("--against", type=MODEL, help="File that all others are compared with.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Threads of every runtime.")
@click.option("--warm-up", type=click.IntRange(min=0), default=10, show_default=True, help="Rounds before it counts.")
@click.option("--runs", type=click.IntRange(min=2), default=100, show_default=True, help="Rounds that count.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the order within a round.")
@click.option("--json", "numbers", type=click.Path(path_type=Path), help="Write every number here.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw every run here, as .png.")
@foreign_model_options
@click.pass_context
def command(
    context: click.Context,
    files: tuple[Path, ...],
    against: Path | None,
    threads: int,
    warm_up: int,
    runs: int,
    seed: int,
    numbers: Path | None,
    plot: Path | None,
    overrides: Overrides,
) -> None:
    """Measure how long each FILE takes for a picture: a checkpoint, a converted file or anybody's segmentation model.

    In each round every file runs once, in an order of its own, so that a busy machine disturbs all alike. A run goes
    from the pixels at the network's size to the probabilities. docs/benchmark.md explains the numbers. A file that
    cannot be opened is left out, and the exit status is 1.
    """
    from rich.console import Console

    from edge_deeplab.cli.progress import image_progress
    from edge_deeplab.evaluation.latency.report import distinct_names, measure_latency
    from edge_deeplab.evaluation.latency.tables import latency_tables
    from edge_deeplab.extras import require_extra
    from edge_deeplab.files import make_folder, write_bytes, write_json

    paths, reference = _all_different(files, against)
    if plot is not None:
        if plot.suffix.lower() != ".png":
            raise click.UsageError(f"--plot draws a PNG: {plot.name} must end in .png.")
        require_extra("convert", "--plot", "matplotlib")
    for written in (numbers, plot):
        if written is not None:
            make_folder(written.parent)
    with ExitStack() as stack:
        opened, left_out = _open_all(stack, paths, distinct_names(paths), reference, threads, overrides)
        with image_progress("taking turns") as progress:
            report = measure_latency(
                opened,
                against=None if reference is None else paths[reference],
                threads=threads,
                warm_up=warm_up,
                runs=runs,
                seed=seed,
                left_out=left_out,
                progress=progress,
            )
    console = Console()
    console.print(latency_tables(report, width=console.width))
    if numbers is not None:
        write_json(numbers, report.to_dict())
    if plot is not None:
        from edge_deeplab.evaluation.latency.plot import latency_plot

        write_bytes(plot, latency_plot(report))
    if numbers or plot:
        console.print(f"{' and '.join(str(path) for path in (numbers, plot) if path)} written", soft_wrap=True)
    if left_out:
        context.exit(1)


def _all_different(files: Sequence[Path], against: Path | None) -> tuple[list[Path], int | None]:
    """All files to run, each once, and the index of the one to compare with: one of FILE..., or a further one."""
    places = [path.resolve() for path in files]
    for index, place in enumerate(places):
        if place in places[:index]:
            raise click.UsageError(f"{files[index]} is given twice: leave one out, or copy it to see what noise does.")
    if against is None:
        return list(files), None
    if against.resolve() in places:
        return list(files), places.index(against.resolve())
    return [*files, against], len(files)


def _open_all(
    stack: ExitStack,
    paths: Sequence[Path],
    names: Sequence[str],
    reference: int | None,
    threads: int,
    overrides: Overrides,
) -> tuple[list[Contestant], list[LeftOut]]:
    """Open what can be opened; a line on standard error for what cannot, and for each model from elsewhere.

    Raises:
        ModelFileError: the file that all are compared with cannot be opened, or none of the others can.
    """
    from rich.console import Console

    from edge_deeplab.errors import ModelFileError
    from edge_deeplab.evaluation.latency.contestant import Contestant
    from edge_deeplab.evaluation.latency.report import LeftOut
    from edge_deeplab.runtime.opening import from_elsewhere

    opened: list[Contestant] = []
    left_out: list[LeftOut] = []
    for index, (path, name) in enumerate(zip(paths, names, strict=True)):
        told = overrides if from_elsewhere(path) else None
        try:
            with Console(stderr=True).status(f"opening {name}"):
                contestant = Contestant(path, name=name, threads=threads, overrides=told)
        except ModelFileError as error:
            if index == reference or len(paths) == 1:
                raise
            click.echo(f"edge-deeplab: left out: {error}", err=True)
            left_out.append(LeftOut(name, str(error)))
            continue
        opened.append(stack.enter_context(contestant))
        if contestant.reasons:
            say_how(path, contestant.reasons)
    if len(opened) == (reference is not None):
        raise ModelFileError("no file is left to be measured: see the lines above")
    return opened, left_out
