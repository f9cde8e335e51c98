"""The options that say how a teacher looks at pictures, for ``train`` and ``doubts``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_deeplab.cli.model_options import say_how

if TYPE_CHECKING:
    from edge_deeplab.training.config import TeacherViews
    from edge_deeplab.training.teacher import Teacher

VIEW_OPTIONS = ("teacher_size", "teacher_scales", "teacher_flip")
"""The names of their parameters."""


def _factors(context: click.Context, parameter: click.Parameter, value: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is no list of numbers such as 0.75,1,1.25") from None


_OPTIONS = (
    click.option("--teacher-size", default=0, show_default="as it was trained", help="Side of its input in pixels."),
    click.option(
        "--teacher-scales", default="1", show_default=True, callback=_factors, help="Its views: factors on that size."
    ),
    click.option(
        "--teacher-flip/--no-teacher-flip", default=True, show_default=True, help="It sees each view mirrored as well."
    ),
)


def teacher_view_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command these options, as one argument ``views``: keyword arguments of TeacherViews."""

    @functools.wraps(command)
    def with_views(
        *args: Any, teacher_size: int, teacher_scales: tuple[float, ...], teacher_flip: bool, **kwargs: Any
    ) -> Any:
        views = {"size": teacher_size, "scales": teacher_scales, "flip": teacher_flip}
        return command(*args, views=views, **kwargs)

    for option in reversed(_OPTIONS):
        with_views = option(with_views)
    return with_views


def open_teacher(path: Path, classes: Sequence[str], views: TeacherViews) -> Teacher:
    """Open a teacher; of a file from elsewhere, a line on standard error says how it is fed and read, and why.

    Raises:
        CheckpointError, ModelFileError, MissingExtraError, SpecError: as
            :func:`edge_deeplab.training.teacher.load_teacher`.
    """
    from edge_deeplab.training.teacher import load_teacher

    teacher = load_teacher(path, classes, views)
    if teacher.reasons:
        say_how(path, teacher.reasons)
    return teacher
