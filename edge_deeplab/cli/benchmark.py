"""``edge-deeplab benchmark``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_deeplab.cli.model_options import foreign_model_options, say_how
from edge_deeplab.cli.model_path import MODEL

if TYPE_CHECKING:
    from edge_deeplab.evaluation.latency.contestant import Contestant
    from edge_deeplab.evaluation.latency.conversion import ConversionTime
    from edge_deeplab.evaluation.latency.report import LeftOut
    from edge_deeplab.evaluation.latency.stages import StageLatency
    from edge_deeplab.runtime.foreign.adaptation import Overrides
    from edge_deeplab.spec import Target

_LIVE = "live pipeline at 1280x720"


@click.command()
@click.argument("files", metavar="FILE...", type=MODEL, nargs=-1, required=True)
@click.option("--against", type=MODEL, help="File that all others are compared with.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Threads of every runtime.")
@click.option("--warm-up", type=click.IntRange(min=0), default=10, show_default=True, help="Rounds before it counts.")
@click.option("--runs", type=click.IntRange(min=2), default=100, show_default=True, help="Rounds that count.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the order within a round.")
@click.option("--live", is_flag=True, help="Also the stages of the live pipeline at 720p, with each FILE's network.")
@click.option(
    "--target",
    "targets",
    multiple=True,
    help="Also the conversion of each checkpoint among FILE... to this target, as for convert. May be given several "
    "times.",
)
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
    live: bool,
    targets: tuple[str, ...],
    numbers: Path | None,
    plot: Path | None,
    overrides: Overrides,
) -> None:
    """Measure how long each FILE takes for a picture: a checkpoint, a converted file or anybody's segmentation model.

    In each round every file runs once, in an order of its own, so that a busy machine disturbs all alike. A run goes
    from the pixels at the network's size to the probabilities. docs/benchmark.md explains the numbers. A file that
    cannot be opened is left out, and the exit status is 1.
    """
    import dataclasses

    from rich.console import Console

    from edge_deeplab.cli.progress import image_progress
    from edge_deeplab.evaluation.latency.report import distinct_names, measure_latency
    from edge_deeplab.evaluation.latency.stage_tables import conversion_table, stage_tables
    from edge_deeplab.evaluation.latency.tables import latency_tables
    from edge_deeplab.extras import require_extra
    from edge_deeplab.files import make_folder, write_bytes, write_json

    paths, reference = _all_different(files, against)
    if plot is not None:
        if plot.suffix.lower() != ".png":
            raise click.UsageError(f"--plot draws a PNG: {plot.name} must end in .png.")
        require_extra("convert", "--plot", "matplotlib")
    wanted = _conversions(files, targets)
    for written in (numbers, plot):
        if written is not None:
            make_folder(written.parent)
    names = distinct_names(paths)
    with ExitStack() as stack:
        opened, left_out = _open_all(stack, paths, names, reference, threads, overrides)
        stages: list[StageLatency] = []
        if live:  # first, because a model that knows no person is refused here
            from edge_deeplab.cli.live_stages import live_stages

            stages = live_stages(
                [(model.name, model.path) for model in opened],
                overrides,
                against=None if reference is None else names[reference],
                threads=threads,
                warm_up=warm_up,
                runs=runs,
                seed=seed,
            )
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
    found = report.to_dict()
    if stages:
        console.print(stage_tables(stages, title=_LIVE, against=report.against, width=console.width))
        found["live"] = {"of": _LIVE, "ways": [dataclasses.asdict(row) for row in stages]}
    conversions, failed = _time_conversions(wanted, dict(zip(paths, names, strict=True)))
    if wanted:
        if conversions:
            console.print(conversion_table(conversions))
        found["conversions"] = [dataclasses.asdict(row) for row in conversions]
        found["left_out"] = [dataclasses.asdict(row) for row in (*left_out, *failed)]
    if numbers is not None:
        write_json(numbers, found)
    if plot is not None:
        from edge_deeplab.evaluation.latency.plot import latency_plot

        write_bytes(plot, latency_plot(report, stages=stages, stages_title=_LIVE, conversions=conversions))
    if numbers or plot:
        console.print(f"{' and '.join(str(path) for path in (numbers, plot) if path)} written", soft_wrap=True)
    if left_out or failed:
        context.exit(1)


def _conversions(files: Sequence[Path], targets: Sequence[str]) -> list[tuple[Path, Target]]:
    """Every checkpoint among the files with every target."""
    if not targets:
        return []
    from edge_deeplab.cli.conversion import REQUIRED, parse_targets
    from edge_deeplab.extras import require_extra

    chosen = parse_targets(targets)
    checkpoints = [path for path in files if path.suffix.lower() == ".safetensors"]
    if not checkpoints:
        raise click.UsageError("--target is for checkpoints, and none of FILE... is one: name a .safetensors file.")
    require_extra("convert", "--target", *REQUIRED)
    return [(path, target) for path in checkpoints for target in chosen]


def _time_conversions(
    wanted: Sequence[tuple[Path, Target]], names: Mapping[Path, str]
) -> tuple[list[ConversionTime], list[LeftOut]]:
    """Convert one after the other; a line on standard error for each conversion that fails."""
    from rich.console import Console

    from edge_deeplab.cli.conversion_time import time_conversion
    from edge_deeplab.errors import ConversionError
    from edge_deeplab.evaluation.latency.report import LeftOut

    timed: list[ConversionTime] = []
    failed: list[LeftOut] = []
    for path, target in wanted:
        try:
            with Console(stderr=True).status(f"converting {names[path]} to {target}"):
                timed.append(time_conversion(path, target, name=names[path]))
        except ConversionError as error:
            click.echo(f"edge-deeplab: left out: {error}", err=True)
            failed.append(LeftOut(f"{names[path]} to {target}", str(error)))
    return timed, failed


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
