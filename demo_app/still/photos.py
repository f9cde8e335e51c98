"""Photos one by one: portraits or cut-outs of them, and what is to be said of each."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace

from demo_app.frame import Frame
from demo_app.still.portrait import StillMatte, StillPortrait

Note = Callable[[str], None]
"""Told sentences for the user."""


def portraits(
    photos: Iterable[Frame], portrait: StillPortrait, note: Note, *, hide_subject: bool = False
) -> Generator[Frame, None, None]:
    """The portraits of photos, in order. A photo without a person is given back as it is: all of it out of focus would
    be of no use to anybody.

    Args:
        photos: what a source of photos gives.
        portrait: makes them.
        note: told of metadata that could not be kept, and of photos without a person.
        hide_subject: the background stays, and what is behind the subject, a strong blur for example, takes its place.
    """
    for photo, matte in _mattes(photos, portrait, note):
        if matte.found:
            yield replace(photo, rgb=portrait.compose(photo.rgb, matte.of_the_rest() if hide_subject else matte))
        else:
            note(f"{photo.name}: no person was found in it, and it stays as it is")
            yield photo


def cut_outs(photos: Iterable[Frame], portrait: StillPortrait, note: Note) -> Generator[Frame, None, None]:
    """The subjects of photos, with alpha, in order. A photo without a person gives nothing.

    Arguments as for :func:`portraits`.
    """
    for photo, matte in _mattes(photos, portrait, note):
        if matte.found:
            rgb, alpha = portrait.cut_out(photo.rgb, matte)
            yield replace(photo, rgb=rgb, alpha=alpha)
        else:
            note(f"{photo.name}: no person was found in it, and there is nothing to cut out")


def _mattes(photos: Iterable[Frame], portrait: StillPortrait, note: Note) -> Iterator[tuple[Frame, StillMatte]]:
    for photo in photos:
        for problem in photo.metadata.problems if photo.metadata is not None else ():
            note(problem)
        yield photo, portrait.matte(photo.rgb)
