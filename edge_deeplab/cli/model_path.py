"""A model on the command line: a path, or the name of one that comes with edge-deeplab.

A name has no ending and no folder, and no format's file is without an ending, so that the two are told apart by their
looks. Where a file of a shipped model's name lies here all the same, neither is taken: ``./portrait`` says that the
file is meant.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from edge_deeplab.weights import DEFAULT, shipped_checkpoint, shipped_model, shipped_names


class ModelPath(click.Path):
    """Gives the path of a model file, whether it was named or comes with edge-deeplab.

    Args:
        shipped: a shipped model's name to the file that the command wants of it.
    """

    def __init__(self, shipped: Callable[[str], Path]) -> None:
        super().__init__(path_type=Path)
        self._shipped = shipped

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """See the module.

        Raises:
            click.BadParameter: a bare word that is neither, or both.
            ModelFileError: the shipped model lacks the file.
        """
        path = Path(value)
        if isinstance(value, Path) or value != path.name or path.suffix:
            return path
        names = shipped_names()
        if not path.is_file():
            if value not in names:
                self.fail(
                    f"there is no file {value}, and no shipped model of that name: {', '.join(names)}.", param, ctx
                )
            return self._shipped(value)
        if value in names:
            self.fail(f"{value} is a file here and a shipped model: ./{value} is the file.", param, ctx)
        return path


MODEL = ModelPath(shipped_model)
"""For commands that run a model: a shipped one is its int8 file."""

CHECKPOINT = ModelPath(shipped_checkpoint)
"""For commands that start from a checkpoint."""

model_option = click.option(
    "--model",
    type=MODEL,
    default=shipped_model,
    show_default=DEFAULT,
    help="Model file, or the name of a shipped one (edge-deeplab models).",
)
"""The option of commands that run a model on pictures."""
