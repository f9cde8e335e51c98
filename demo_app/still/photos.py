"""Photos one by one: portraits or cut-outs of them, or their persons hidden, and what is to be said of each."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace

from demo_app.aperture import PRIVACY_F_NUMBER
from demo_app.backdrops.disc import DiscBlur
from demo_app.compositor import Compositor
from demo_app.frame import Frame
from demo_app.matte.conceal import conceal
from demo_app.still.portrait import StillMatte, StillPortrait
from demo_app.still.search import Coarse, search

Note = Callable[[str], None]
"""Told sentences for the user."""

# What is to be hidden is found at this size: four times the network's, for persons that it saw enlarged.
_HIDDEN_SIDE = 1024


def portraits(photos: Iterable[Frame], portrait: StillPortrait, note: Note) -> Generator[Frame, None, None]:
    """The portraits of photos, in order. A photo without a person is given back as it is: all of it out of focus would
    be of no use to anybody.

    Args:
        photos: what a source of photos gives.
        portrait: makes them.
        note: told of metadata that could not be kept, and of photos without a person.
    """
    for photo, matte in _mattes(photos, portrait, note):
        if matte.found:
            yield replace(photo, rgb=portrait.compose(photo.rgb, matte))
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


def hidden(photos: Iterable[Frame], coarse: Coarse, note: Note) -> Generator[Frame, None, None]:
    """Photos whose persons are blurred beyond recognition and whose background stays, to the bit, in order.

    Args:
        photos: what a source of photos gives.
        coarse: finds the person: :meth:`edge_deeplab.segmenter.Segmenter.coarse`.
        note: told of metadata that could not be kept, and of photos in which nothing was hidden.
    """
    compositor = Compositor(DiscBlur(PRIVACY_F_NUMBER), refine=False, hide_subject=True)
    for photo in _noted(photos, note):
        seen = search(coarse, photo.rgb)
        if not seen.found:
            note(f"{photo.name}: no person was found in it, and nothing is hidden")
        height, width = photo.rgb.shape[:2]
        factor = min(1.0, _HIDDEN_SIDE / max(height, width))
        alpha = conceal(seen.alpha(max(1, round(height * factor)), max(1, round(width * factor))))
        yield replace(photo, rgb=compositor(photo.rgb, alpha).copy())


def _mattes(photos: Iterable[Frame], portrait: StillPortrait, note: Note) -> Iterator[tuple[Frame, StillMatte]]:
    for photo in _noted(photos, note):
        yield photo, portrait.matte(photo.rgb)


def _noted(photos: Iterable[Frame], note: Note) -> Iterator[Frame]:
    for photo in photos:
        for problem in photo.metadata.problems if photo.metadata is not None else ():
            note(problem)
        yield photo
