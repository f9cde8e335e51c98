"""How good our models' masks are beside those of the models that one would pick instead, in one run.

    python benchmarks/compare_models.py --data DIR [--split val] [--peers DIR] [--model FILE ...] [--only NAME ...]
                                        [--limit N] [--disturbed N] [--frames FOLDER] [--slow] [--latency ROUNDS]
                                        [--workers N] [--json FILE] [--sheets FOLDER]

All models see the same photos by the same resize and are cut at the same threshold, each photo at its own size; how
each is fed is printed. Person IoU by source and by size of the person, boundary F, false persons on photos without one,
person IoU under disturbances (edge_deeplab/evaluation/disturbances.py), and on frames with true masks (--frames:
FOLDER/frames and FOLDER/masks) IoU, dtSSD and flicker. peers.toml lists the peers; ours are the shipped int8 files and,
where benchmarks/NAME_float.safetensors is there, the networks that they were fine-tuned from.

FILE is written after each model, and models that it holds already are not measured again; nor does a model that is not
asked for go. docs/update_models_compared.py makes the page from it. Never choose anything by what this says of a test
split.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from comparison_latency import measure_latencies
from comparison_measuring import Record, Task, measure, open_contestant, worker_processes
from comparison_results import Results
from comparison_tables import comparison_tables
from peer_list import Contestant, read_peers
from rich.console import Console

from edge_deeplab.cli.progress import stage_progress
from edge_deeplab.data.opening import open_dataset
from edge_deeplab.data.sample import SegmentationDataset
from edge_deeplab.data.subset import Subset, spread
from edge_deeplab.errors import EdgeDeeplabError, SpecError
from edge_deeplab.evaluation.contact_sheet import contact_sheet
from edge_deeplab.evaluation.disturbances import DISTURBANCES
from edge_deeplab.evaluation.evaluate import evaluate
from edge_deeplab.evaluation.film import Film
from edge_deeplab.evaluation.latency.report import distinct_names
from edge_deeplab.evaluation.metrics import BOUNDARY_TOLERANCE, THRESHOLD
from edge_deeplab.files import make_folder
from edge_deeplab.image import write_image
from edge_deeplab.weights import shipped_model, shipped_names

HERE = Path(__file__).parent
PEERS = HERE / "peers.toml"

Progress = Callable[[str, int, int | None], None]


def ours(paths: Sequence[Path]) -> list[Contestant]:
    """The files that are named; if none are, the shipped models, each before its float parent."""
    if paths:
        return [Contestant(name, path) for name, path in zip(distinct_names(paths), paths, strict=True)]
    found = []
    for name in shipped_names():
        found.append(Contestant(f"{name} int8", shipped_model(name)))
        parent = HERE / f"{name}_float.safetensors"
        if parent.is_file():
            found.append(Contestant(f"{name} float", parent))
    return found


def look_through(
    data: Path, split: str, limit: int | None, disturbed: int, frames: Path | None
) -> tuple[Task, dict[str, Any]]:
    """Read every photo once.

    Returns:
        the photos to measure on, and what of them must be the same where a run is continued.

    Raises:
        DatasetError: the data set or the film cannot be used.
        ImageError: a photo cannot be read.
    """
    dataset = open_dataset(data, split=split)
    digest = hashlib.sha256()
    by_source: dict[str, list[int]] = {}
    for place in range(len(dataset)):
        sample = dataset[place]
        by_source.setdefault(sample.source, []).append(place)
        ignored = b"" if sample.ignored is None else sample.ignored.tobytes()
        for part in (sample.id.encode(), sample.image.tobytes(), sample.mask.tobytes(), ignored):
            digest.update(part)
    chosen = {source: spread(places, limit or len(places)) for source, places in by_source.items()}
    suffering = {source: spread(places, disturbed) for source, places in chosen.items()}
    task = Task(
        data=data,
        split=split,
        photos=tuple(sorted(place for places in chosen.values() for place in places)),
        disturbed=frozenset(place for places in suffering.values() for place in places),
        frames=frames,
    )
    return task, {
        "data": data.resolve().name,
        "split": split,
        "data_sha256": digest.hexdigest(),
        "photos": {source: len(places) for source, places in chosen.items()},
        "disturbed_photos": {source: len(places) for source, places in suffering.items()},
        "film": Film(frames).name if frames else None,
        "limit": limit,
        "probability_threshold": THRESHOLD,
        "boundary_tolerance": BOUNDARY_TOLERANCE,
        "disturbances": {each.name: each.strength for each in DISTURBANCES},
    }


def draw_worst(contestant: Contestant, record: Record, dataset: SegmentationDataset, path: Path) -> None:
    """Write the contact sheet of a model's worst photos."""
    worst = Subset(dataset, [photo["index"] for photo in record["worst"]])
    with open_contestant(contestant) as session:
        sheet = contact_sheet(evaluate(session, worst), session, worst, title=f"The worst of {contestant.name}")
    write_image(path, sheet)


def run(arguments: argparse.Namespace, progress: Progress) -> list[Record]:
    """Measure, draw and write what the arguments ask for; the records of the models that were asked for."""
    for folder in (arguments.json.parent if arguments.json else None, arguments.sheets):
        if folder is not None:
            make_folder(folder)
    peers = read_peers(arguments.list, arguments.peers, slow=arguments.slow) if arguments.peers else None
    models = _chosen([*ours(arguments.model or []), *(peers.measured if peers else ())], arguments.only)
    task, conditions = look_through(
        arguments.data, arguments.split, arguments.limit, arguments.disturbed, arguments.frames
    )
    results = Results(arguments.json, conditions, peers)
    records: list[Record] = []
    with worker_processes(arguments.workers) as executor:
        for model in models:
            record = results.of(model) or measure(model, task, executor, _stage(progress, model.name))
            records.append(record)
            results.keep(records)
    if arguments.latency is not None:
        against = peers.measured[0] if peers else None
        results.keep_latency(measure_latencies(models, against, arguments.latency, _stage(progress, "latency")))
    if arguments.sheets is not None:
        dataset = open_dataset(task.data, split=task.split)
        for model, record in zip(models, records, strict=True):
            name = re.sub(r"[^0-9A-Za-z.]+", "-", model.name)
            draw_worst(model, record, dataset, arguments.sheets / f"{name}.jpg")
    return records


def _chosen(models: Sequence[Contestant], only: Sequence[str] | None) -> list[Contestant]:
    counts = Counter(model.name for model in models)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise SpecError(f"two models are called {twice[0]!r}: rename a file, or a peer in the list")
    unknown = [name for name in only or () if name not in counts]
    if unknown:
        raise SpecError(f"there is no model {unknown[0]!r}: it is one of {', '.join(counts)}")
    return [model for model in models if only is None or model.name in only]


def _stage(progress: Progress, what: str) -> Callable[[int, int], None]:
    return lambda done, count: progress(what, done, count)


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
    parser.add_argument("--slow", action="store_true", help="those, too, that the list calls slow")
    parser.add_argument("--model", type=Path, action="append", help="ours; the shipped ones and their float parents")
    parser.add_argument("--only", action="append", metavar="NAME", help="only this model; may be given several times")
    parser.add_argument("--limit", type=_positive, help="photos of each source at most, for a quick look")
    parser.add_argument("--disturbed", type=_positive, default=40, help="photos of each source to disturb (40)")
    parser.add_argument("--frames", type=Path, help="a folder with frames/ and masks/")
    parser.add_argument("--latency", type=_positive, metavar="ROUNDS", help="time the files, too, on an idle machine")
    parser.add_argument("--workers", type=_positive, default=os.cpu_count() or 1, help="processes (the cores)")
    parser.add_argument("--json", type=Path, help="write the numbers here, and go on from those that are here")
    parser.add_argument("--sheets", type=Path, help="draw each model's worst photos in this folder")
    given = parser.parse_args(arguments)
    try:
        with stage_progress() as progress:
            records = run(given, progress)
    except EdgeDeeplabError as error:
        sys.exit(f"compare_models: {error}")
    Console().print(comparison_tables(records))


if __name__ == "__main__":
    main()
