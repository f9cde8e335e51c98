"""The loop for files: every frame, in order."""

from __future__ import annotations

from collections.abc import Callable, Generator

from demo_app.frame import Frame
from demo_app.live.mailbox import Ended
from demo_app.live.pipeline import Pipeline
from demo_app.matte import Alpha
from demo_app.sources.source import Source
from edge_deeplab.image import Rgb


def run(
    source: Source, matting: Callable[[Rgb], tuple[Alpha, bool]], compose: Callable[[Frame, Alpha], Frame]
) -> Generator[Frame, None, None]:
    """Turn every frame of a source into a portrait. The same source gives the same portraits, to the bit.

    Reading, the network and composing run side by side, a few frames ahead at most. Whatever ends the iteration, also
    an error of who iterates, ends them.

    Args:
        source: not entered yet: it is entered, read and left by one thread of its own.
        matting: frame -> (its matte, whether the network ran): :class:`demo_app.live.inference.Matting`.
        compose: (frame, matte) -> portrait: :meth:`demo_app.live.effects.Effect.still`.

    Returns:
        The portraits under their frames' names. The pixels of one may be overwritten when the next is asked for:
        use or copy them first.

    Raises:
        SourceError: the source broke; every frame until then was given.
    """
    with Pipeline(source, matting, every_frame=True) as pipeline:
        while True:
            try:
                matted = pipeline.take()
            except Ended:
                return
            if matted is not None:
                yield compose(matted.captured.frame, matted.alpha)
