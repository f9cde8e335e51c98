"""Options that belong to one way of using a command."""

from __future__ import annotations

from collections.abc import Sequence

import click
from click.core import ParameterSource


def refuse_options(context: click.Context, names: Sequence[str], reason: str) -> None:
    """Refuse options that would be ignored.

    Args:
        context: of the command.
        names: of its parameters.
        reason: the end of the sentence: "does not go with --qat: the checkpoint says it".

    Raises:
        click.UsageError: one of them was given on the command line.
    """
    flags = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    for name in names:
        if given(context, name):
            raise click.UsageError(f"{flags[name]} {reason}")


def given(context: click.Context, name: str) -> bool:
    """The parameter of this name was given, and is not its default."""
    return context.get_parameter_source(name) is not ParameterSource.DEFAULT
