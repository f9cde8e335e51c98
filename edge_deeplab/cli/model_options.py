"""The options of commands that take anybody's segmentation model."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_deeplab.errors import SpecError

if TYPE_CHECKING:
    from edge_deeplab.runtime.foreign.adaptation import InputRange, Overrides
    from edge_deeplab.runtime.session import Session


def _numbers(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[float, ...] | None:
    """As many numbers as the parameter's metavar has words."""
    if value is None:
        return None
    count = str(parameter.metavar).count(",") + 1
    try:
        numbers = tuple(float(part) for part in value.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != count:
        raise click.BadParameter(f"{value!r} is not {count} numbers, separated by commas.")
    return numbers


_OPTIONS = (
    click.option(
        "--person-index",
        type=click.IntRange(min=0),
        help="Class of the person in the output of a model from elsewhere, from 0; found by its labels, or guessed.",
    ),
    click.option(
        "--background-index",
        type=click.IntRange(min=0),
        help="Class of the background instead: everything else is the person.",
    ),
    click.option(
        "--input-range",
        metavar="LOW,HIGH",
        callback=_numbers,
        help="What such a model takes for black and white: 0,1 or -1,1 or 0,255; from the file, or 0,1.",
    ),
    click.option(
        "--input-mean",
        metavar="C1,C2,C3",
        callback=_numbers,
        help="Instead of a range: mean of each channel of the model, in 0 to 255; with --input-deviation.",
    ),
    click.option(
        "--input-deviation",
        metavar="C1,C2,C3",
        callback=_numbers,
        help="Standard deviation of each channel, in 0 to 255.",
    ),
    click.option("--bgr", is_flag=True, help="Such a model takes blue first."),
    click.option(
        "--output-kind",
        type=click.Choice(["probabilities", "logits", "classes"]),
        help="What such a model gives: probabilities, numbers before the sigmoid or softmax, or numbers of classes.",
    ),
)


def foreign_model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options on models from elsewhere, as one argument ``overrides`` for :func:`open_model`."""

    @functools.wraps(command)
    def with_overrides(
        *args: Any,
        person_index: int | None,
        background_index: int | None,
        input_range: tuple[float, ...] | None,
        input_mean: tuple[float, ...] | None,
        input_deviation: tuple[float, ...] | None,
        bgr: bool,
        output_kind: str | None,
        **kwargs: Any,
    ) -> Any:
        from edge_deeplab.runtime.foreign.adaptation import OutputKind, Overrides

        try:
            overrides = Overrides(
                input_range=_input_range(input_range, input_mean, input_deviation),
                bgr=bgr,
                output=None if output_kind is None else OutputKind(output_kind),
                person=person_index,
                background=background_index,
            )
        except SpecError as error:
            raise click.UsageError(f"{error}.") from error
        return command(*args, overrides=overrides, **kwargs)

    for option in reversed(_OPTIONS):
        with_overrides = option(with_overrides)
    return with_overrides


def open_model(path: Path, *, threads: int | None, overrides: Overrides) -> Session:
    """Open any model; of one from elsewhere, a line on standard error says how it is fed and read, and why.

    Raises:
        ModelFileError: as :func:`edge_deeplab.runtime.opening.open_any_session`.
        CheckpointError: as there.
        MissingExtraError: as there.
    """
    from edge_deeplab.runtime.foreign.session import ForeignSession
    from edge_deeplab.runtime.opening import open_any_session

    session = open_any_session(path, threads=threads, overrides=overrides)
    if isinstance(session, ForeignSession):
        say_how(path, session.reasons)
    return session


def say_how(path: Path, reasons: Sequence[str]) -> None:
    """Say on standard error how a model from elsewhere is fed and read, and why."""
    click.echo(f"edge-deeplab: {path.name} {'; '.join(reasons)}", err=True)


def _input_range(
    ends: tuple[float, ...] | None, mean: tuple[float, ...] | None, deviation: tuple[float, ...] | None
) -> InputRange | None:
    from edge_deeplab.runtime.foreign.adaptation import InputRange

    if (mean is None) != (deviation is None):
        raise click.UsageError("--input-mean and --input-deviation go together.")
    if ends is not None and mean is not None:
        raise click.UsageError("--input-range and --input-mean both say what the model takes: give one of them.")
    if ends is not None:
        return InputRange.uniform(ends[0], ends[1])
    if mean is not None and deviation is not None:
        return InputRange.normalized((mean[0], mean[1], mean[2]), (deviation[0], deviation[1], deviation[2]))
    return None
