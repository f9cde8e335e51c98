"""The options that say what is done with the background: the same for photos, films and the live portrait."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from demo_app.backdrops.backdrop import Backdrop
    from demo_app.backdrops.colour import Colour

_Command = TypeVar("_Command", bound=Callable[..., Any])


def effect_options(command: _Command) -> _Command:
    """Give a command ``--f-number`` and ``--background``."""
    f_number = click.option(
        "--f-number",
        type=click.FloatRange(min=0.5, max=64.0),
        default=2.0,
        show_default=True,
        help="Strength of the blur, as on a lens: 1 is strong, 16 next to nothing.",
    )
    background = click.option(
        "--background",
        metavar="COLOUR|FILE",
        help="In place of the background: a colour (green, #00b140), a picture or a video.",
    )
    return f_number(background(command))


@dataclass(frozen=True)
class Background:
    """What ``--background`` names: at most one of them.

    Attributes:
        colour: sRGB.
        picture: a picture, or a film that gives one frame after the other.
    """

    colour: Colour | None = None
    picture: Backdrop | None = None

    @property
    def backdrop(self) -> Backdrop | None:
        """Either of them as a backdrop."""
        from demo_app.backdrops.colour import ColourBackdrop

        return self.picture if self.colour is None else ColourBackdrop(self.colour)


def open_background(stack: ExitStack, named: str | None) -> Background:
    """Open what was named; a film is closed with the stack.

    Args:
        stack: entered.
        named: a colour, or a file; a file of that name comes first.

    Raises:
        ImageError, SourceError, SpecError: no such file, or one that cannot be read, or no such colour.
    """
    from demo_app.backdrops.colour import parse_colour
    from demo_app.backdrops.film import FilmBackdrop
    from demo_app.backdrops.picture import PictureBackdrop
    from edge_deeplab.image import IMAGE_SUFFIXES, read_rgb

    if named is None:
        return Background()
    path = Path(named)
    if not path.suffix and not path.exists():
        return Background(colour=parse_colour(named))
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return Background(picture=PictureBackdrop(read_rgb(path)))
    return Background(picture=stack.enter_context(FilmBackdrop(path)))
