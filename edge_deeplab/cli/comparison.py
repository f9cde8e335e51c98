"""Files held against a reference, from their paths on: for ``parity``, ``convert``, ``release`` and ``bundle``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_deeplab.artifact import Artifact
    from edge_deeplab.evaluation.exhibits import Exhibit
    from edge_deeplab.evaluation.parity import ParityReport
    from edge_deeplab.evaluation.parity_images import ParityImages
    from edge_deeplab.spec import Target


@dataclass(frozen=True)
class Candidate:
    """A file to compare: see :class:`edge_deeplab.evaluation.parity.Contender`."""

    path: Path
    target: Target
    allowed_drop: float | None = None


@dataclass(frozen=True)
class Comparison:
    """What came of it, the pictures to show, and all pictures."""

    report: ParityReport
    exhibits: tuple[Exhibit, ...]
    images: ParityImages


def compare_files(
    reference: Path,
    candidates: Sequence[Candidate],
    *,
    data: Path | None,
    split: str | None,
    threads: int | None = None,
    workers: int | None = None,
) -> Comparison:
    """Open the files, send the same pictures through all of them with a progress bar, and print the tables.

    Args:
        reference: what the others are held against.
        candidates: the others.
        data: folder of a data set; None: the bundled photos.
        split: of the data set.
        threads: of every runtime; None: one, because several pictures are on their way at once.
        workers: pictures at once; None: one for each core.
    """
    from contextlib import ExitStack

    from rich.console import Console

    from edge_deeplab.cli.progress import image_progress
    from edge_deeplab.evaluation.exhibits import exhibits
    from edge_deeplab.evaluation.parity import Contender, compare
    from edge_deeplab.evaluation.parity_images import parity_images
    from edge_deeplab.evaluation.tables import parity_tables
    from edge_deeplab.files import size
    from edge_deeplab.runtime.opening import open_session

    names = _names([reference, *(candidate.path for candidate in candidates)])
    with ExitStack() as stack:

        def contender(path: Path, target: Target | None, allowed_drop: float | None) -> Contender:
            session = stack.enter_context(open_session(path, threads=threads or 1))
            return Contender(names[path], session, size(path), target, allowed_drop)

        judged = contender(reference, None, None)
        others = [contender(one.path, one.target, one.allowed_drop) for one in candidates]
        images = parity_images(data, split, judged.session.classes)
        with image_progress("comparing") as progress:
            report = compare(judged, others, images, workers=workers, progress=progress)
        console = Console()
        console.print(parity_tables(report, width=console.width))
        return Comparison(report, exhibits(report, judged, others, images), images)


def with_parity(artifacts: Sequence[Artifact], report: ParityReport) -> list[Artifact]:
    """The artifacts with what was measured of them."""
    from dataclasses import replace

    return [
        replace(artifact, metrics={"parity": {"images": report.images, **row.to_dict()}})
        for artifact, row in zip(artifacts, report.rows, strict=True)
    ]


def _names(paths: Sequence[Path]) -> dict[Path, str]:
    """The file's name for each path; with its folder where two files have the same name."""
    bare = Counter(path.name for path in dict.fromkeys(paths))
    return {path: path.name if bare[path.name] == 1 else str(path) for path in paths}
