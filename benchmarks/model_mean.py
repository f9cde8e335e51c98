"""What the mean of several models' masks is worth: where it is better than each, they know different things.

    python benchmarks/model_mean.py DATA MODEL MODEL... [--split val]

Each MODEL, and the mean of their probabilities, is scored as `edge-deeplab evaluate` does it. They may be anybody's,
as far as their files say how they are fed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from edge_deeplab.cli.progress import image_progress
from edge_deeplab.data.opening import open_dataset
from edge_deeplab.errors import EdgeDeeplabError, SpecError
from edge_deeplab.evaluation.evaluate import evaluate
from edge_deeplab.image import resize_area, resize_map
from edge_deeplab.runtime.closing import ClosedOnExit
from edge_deeplab.runtime.opening import open_any_session
from edge_deeplab.runtime.session import Session
from edge_deeplab.terminal import number_columns, plain_table


class MeanSession(ClosedOnExit):
    """Several sessions as one: the mean of what they say. It takes as many pixels as the largest of them.

    The others see those pixels reduced to their own size, and what they say is enlarged to the largest one's.

    Raises:
        SpecError: their classes differ.
    """

    def __init__(self, sessions: Sequence[Session]) -> None:
        largest = max(sessions, key=lambda session: session.height * session.width)
        for other in sessions:
            if other.classes != largest.classes:
                raise SpecError(
                    f"one model knows {', '.join(other.classes)}, and another {', '.join(largest.classes)}: take "
                    "models of the same classes"
                )
        self.height, self.width, self.classes = largest.height, largest.width, largest.classes
        self.runtime = f"mean of {len(sessions)}"
        self._sessions = sessions

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See :meth:`edge_deeplab.runtime.session.Session.run`."""
        said = [session.run(resize_area(pixels, session.height, session.width)) for session in self._sessions]
        rows, columns, classes = max((one.shape for one in said), key=lambda shape: shape[0] * shape[1])
        planes = [
            np.mean([resize_map(np.ascontiguousarray(one[:, :, c]), rows, columns) for one in said], axis=0)
            for c in range(classes)
        ]
        return np.stack(planes, axis=2).astype(np.float32)

    def close(self) -> None:
        """Nothing: whoever opened the sessions closes them."""


def main(words: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL")
    parser.add_argument("--split", default="val")
    arguments = parser.parse_args(words)
    try:
        measure(arguments.data, arguments.models, arguments.split)
    except EdgeDeeplabError as error:
        sys.exit(f"model_mean: {error}")


def measure(data: Path, models: Sequence[Path], split: str) -> None:
    """Score and print.

    Raises:
        EdgeDeeplabError: the data or a model cannot be used.
    """
    photos = open_dataset(data, split=split)
    with ExitStack() as stack:
        sessions = [stack.enter_context(open_any_session(model)) for model in models]
        rows = {}
        named = [(model.name, session) for model, session in zip(models, sessions, strict=True)]
        for name, session in [*named, ("mean", MeanSession(sessions))]:
            with image_progress(name) as progress:
                rows[name] = evaluate(session, photos, progress=progress)
    sources = list(rows["mean"].sources)
    shown = plain_table(f"person IoU, {len(photos)} photos of {split}", "model")
    number_columns(shown, *sources, "all", "boundary F")
    for name, found in rows.items():
        cells = [*(found.sources[source].person_iou for source in sources), found.total.person_iou]
        shown.add_row(name, *(_four(value) for value in [*cells, found.total.boundary_f]))
    Console().print(shown)


def _four(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


if __name__ == "__main__":
    main()
