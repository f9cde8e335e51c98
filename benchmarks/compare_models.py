"""How good our model's masks are beside those of the models that one would pick instead, in one run.

    python benchmarks/compare_models.py --data DIR [--split val] [--peers DIR] [--model FILE ...] [--limit N]
                                        [--frames FOLDER] [--json FILE] [--sheet FILE]

All models see the same photos by the same resize and are cut at the same threshold, each photo at its own size; how
each is fed is printed. Person IoU by source and by size of the person, boundary F, false persons on photos without one,
person IoU under disturbances (edge_deeplab/evaluation/disturbances.py), and on frames with true masks (--frames:
FOLDER/frames and FOLDER/masks) IoU, dtSSD and flicker. peers.toml lists the peers. Never choose anything by what this
says of a test split.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from comparison_tables import Result, comparison_tables, sizes
from peer_list import Contestant, read_peers
from rich.console import Console

from edge_deeplab.cli.progress import stage_progress
from edge_deeplab.data.opening import open_dataset
from edge_deeplab.data.sample import SegmentationDataset
from edge_deeplab.data.subset import limit_sources
from edge_deeplab.errors import EdgeDeeplabError
from edge_deeplab.evaluation.contact_sheet import contact_sheet
from edge_deeplab.evaluation.disturbances import DISTURBANCES, DisturbedDataset
from edge_deeplab.evaluation.evaluate import evaluate
from edge_deeplab.evaluation.film import Film
from edge_deeplab.evaluation.machine import describe_machine
from edge_deeplab.evaluation.metrics import BOUNDARY_TOLERANCE, THRESHOLD
from edge_deeplab.files import make_folder, sha256, write_json
from edge_deeplab.image import format_of, write_image
from edge_deeplab.runtime.foreign.session import ForeignSession
from edge_deeplab.runtime.opening import open_any_session
from edge_deeplab.runtime.session import Session
from edge_deeplab.weights import shipped_model

PEERS = Path(__file__).with_name("peers.toml")


def measure(
    contestant: Contestant,
    dataset: SegmentationDataset,
    film: Film | None,
    threads: int | None,
    progress: Callable[[str, int, int | None], None],
) -> Result:
    """Everything about one model.

    Raises:
        EdgeDeeplabError: the model or the data cannot be used.
    """

    def stage(what: str) -> Callable[[int, int], None]:
        return lambda done, count: progress(f"{contestant.name}, {what}", done, count)

    with open_any_session(contestant.path, threads=threads, overrides=contestant.overrides) as session:
        return Result(
            contestant=contestant,
            size=(session.height, session.width),
            preprocessing=_preprocessing(session),
            clean=evaluate(session, dataset, progress=stage("as they are")),
            disturbed={
                each.name: evaluate(session, DisturbedDataset(dataset, each), progress=stage(each.name))
                for each in DISTURBANCES
            },
            film=film.score(session, progress=stage("film")) if film else None,
        )


def _preprocessing(session: Session) -> str:
    if isinstance(session, ForeignSession):
        return "; ".join(session.reasons)
    return "fed and read as its own description says"


def to_dict(result: Result) -> dict[str, Any]:
    """Plain JSON types."""
    return {
        "name": result.contestant.name,
        "file": result.contestant.path.name,
        "sha256": sha256(result.contestant.path),
        "height": result.size[0],
        "width": result.size[1],
        "runtime": result.clean.runtime,
        "preprocessing": result.preprocessing,
        "total": result.clean.total.to_dict(),
        "sources": {name: scores.to_dict() for name, scores in result.clean.sources.items()},
        "sizes": {name: scores.to_dict() for name, scores in sizes(result).items()},
        "disturbed": {
            name: {
                "total": evaluation.total.to_dict(),
                "sources": {source: scores.to_dict() for source, scores in evaluation.sources.items()},
            }
            for name, evaluation in result.disturbed.items()
        },
        "film": result.film.to_dict() if result.film else None,
    }


def draw_worst(result: Result, dataset: SegmentationDataset, path: Path) -> None:
    """Write the contact sheet of a model's worst photos."""
    title = f"The worst of {result.contestant.name} ({result.contestant.path.name})"
    with open_any_session(result.contestant.path, overrides=result.contestant.overrides) as session:
        write_image(path, contact_sheet(result.clean, session, dataset, title=title))


def run(arguments: argparse.Namespace) -> None:
    """Measure, print and write what the arguments ask for."""
    for path in (arguments.json, arguments.sheet):
        if path is not None:
            make_folder(path.parent)
    if arguments.sheet is not None:
        format_of(arguments.sheet)
    models = [Contestant(path.name, path) for path in arguments.model or [shipped_model()]]
    if arguments.peers is not None:
        models += read_peers(arguments.list, arguments.peers)
    dataset = open_dataset(arguments.data, split=arguments.split)
    if arguments.limit is not None:
        dataset = limit_sources(dataset, arguments.limit)
    film = Film(arguments.frames) if arguments.frames else None
    with stage_progress() as progress:
        results = [measure(model, dataset, film, arguments.threads, progress) for model in models]
    Console().print(comparison_tables(results))
    if arguments.json is not None:
        values = {
            "machine": describe_machine(["numpy", "opencv-python", "ai-edge-litert"]),
            "data": arguments.data.name,
            "split": arguments.split,
            "photos of each source at most": arguments.limit,
            "film": film.name if film else None,
            "probability_threshold": THRESHOLD,
            "boundary_tolerance": BOUNDARY_TOLERANCE,
            "disturbances": {each.name: each.strength for each in DISTURBANCES},
            "models": [to_dict(result) for result in results],
        }
        write_json(arguments.json, _rounded(values))
    if arguments.sheet is not None:
        draw_worst(results[0], dataset, arguments.sheet)


def _rounded(values: Any) -> Any:
    """Numbers of a tree of JSON types to six decimals."""
    if isinstance(values, dict):
        return {key: _rounded(value) for key, value in values.items()}
    if isinstance(values, list):
        return [_rounded(value) for value in values]
    return round(values, 6) if isinstance(values, float) else values


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of photos with masks")
    parser.add_argument("--split", default="val", help="split that is measured (default: val)")
    parser.add_argument("--peers", type=Path, help="folder with the peers' files")
    parser.add_argument("--list", type=Path, default=PEERS, help="which of them, and how they are fed")
    parser.add_argument(
        "--model", type=Path, action="append", help="ours, the first of which is drawn; the shipped one"
    )
    parser.add_argument("--limit", type=_positive, help="photos of each source at most, for a quick look")
    parser.add_argument("--frames", type=Path, help="a folder with frames/ and masks/")
    parser.add_argument("--threads", type=_positive, help="threads of the runtimes")
    parser.add_argument("--json", type=Path, help="write the numbers here too")
    parser.add_argument("--sheet", type=Path, help="draw the first model's worst photos here")
    try:
        run(parser.parse_args(arguments))
    except EdgeDeeplabError as error:
        sys.exit(f"compare_models: {error}")


if __name__ == "__main__":
    main()
