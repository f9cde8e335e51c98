"""int8 latency of candidate networks beside another model's, all in one run; and what the trained ones are worth.

    python benchmarks/architecture_search.py latency --against PEER.tflite --files FOLDER [--runs 100] [--json FILE]
    python benchmarks/architecture_search.py score MODEL EVALUATION.json [--json FILE]

The first makes an int8 file of each network in architecture_search.toml (half a minute each; those that FOLDER holds
already are kept, so that it can be interrupted), with random weights: latency does not depend on them. Then all of them
run in turns, as `edge-deeplab benchmark` does it. The second adds what `edge-deeplab evaluate --split val --out` found
of a trained MODEL to the network that it is. FILE (architecture_search.json) keeps the scores when the latencies are
measured anew. docs/update_architecture_search.py makes the table and the picture.
"""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from candidates import candidate_name, read_candidates, write_int8
from rich.console import Console
from rich.table import Table

from edge_deeplab.artifact import load_artifact, sidecar_path
from edge_deeplab.checkpoint import load_checkpoint
from edge_deeplab.cli.progress import image_progress
from edge_deeplab.errors import EdgeDeeplabError
from edge_deeplab.evaluation.latency.contestant import Contestant
from edge_deeplab.evaluation.latency.report import FileLatency, LatencyReport, measure_latency
from edge_deeplab.files import make_folder, sha256, write_json
from edge_deeplab.models.cost import count_cost
from edge_deeplab.models.deeplab import build_network
from edge_deeplab.runtime.contract import plural_threads
from edge_deeplab.spec import ModelSpec
from edge_deeplab.terminal import number_columns, plain_table

HERE = Path(__file__).resolve().parent
SPLIT = "val"  # test is for the last word, not for choosing


def latency(arguments: argparse.Namespace) -> None:
    """Make the files that are not there yet, time all of them, print and write."""
    specs = read_candidates(arguments.candidates)
    make_folder(arguments.files)
    make_folder(arguments.json.parent)
    files = {name: arguments.files / f"{name}.tflite" for name in specs}
    for done, (name, path) in enumerate(files.items(), start=1):
        if not sidecar_path(path).exists():  # it comes last
            with Console(stderr=True).status(f"making {name} ({done} of {len(files)})"):
                write_int8(specs[name], path)
    with ExitStack() as stack:
        contestants = [
            stack.enter_context(Contestant(path, name=name, threads=arguments.threads))
            for name, path in {**files, arguments.against.name: arguments.against}.items()
        ]
        with image_progress("taking turns") as progress:
            report = measure_latency(
                contestants,
                against=arguments.against,
                threads=arguments.threads,
                warm_up=arguments.warm_up,
                runs=arguments.runs,
                seed=arguments.seed,
                progress=progress,
            )
    found = _record(report, specs) | {"scores": _read(arguments.json).get("scores", {})}
    write_json(arguments.json, found)
    Console().print(table(found))


def _record(report: LatencyReport, specs: dict[str, ModelSpec]) -> dict[str, Any]:
    """What is kept of a run: no single round, but what they come to."""
    *candidates, peer = report.files
    return {
        "machine": report.machine,
        "threads": report.threads,
        "warm_up": report.warm_up,
        "runs": report.runs,
        "seed": report.seed,
        "against": {"name": peer.name, "sha256": peer.sha256, "median_ms": peer.wall.spread.median},
        "candidates": {file.name: _candidate(file, specs[file.name]) for file in candidates},
    }


def _candidate(file: FileLatency, spec: ModelSpec) -> dict[str, Any]:
    ratio = file.wall.ratio
    assert ratio is not None  # the wall's clock always ticks
    cost = count_cost(build_network(spec.network), spec.height, spec.width)
    return {
        "spec": spec.to_dict(),
        "parameters": cost.parameters,
        "multiply_adds": cost.multiply_adds,
        "bytes": file.size,
        "median_ms": file.wall.spread.median,
        "ratio": {key: round(value, 4) for key, value in vars(ratio).items()},
    }


def score(arguments: argparse.Namespace) -> None:
    """Add what was measured of a trained model to its network, in place of what there was.

    Raises:
        SystemExit: its network is none of the candidates, or it was not measured on the validation split.
    """
    found, evaluation = _read(arguments.json), json.loads(arguments.evaluation.read_text())
    name = candidate_name(_spec_of(arguments.model))
    if name not in found.get("candidates", {}):
        raise SystemExit(f"{arguments.json} has no latency of {name}: add it to the candidates, and measure first")
    if evaluation.get("split") != SPLIT or evaluation.get("model") != arguments.model.name:
        raise SystemExit(
            f"{arguments.evaluation} is of {evaluation.get('model')} on {evaluation.get('split')}, and "
            f"{arguments.model.name} on {SPLIT} is wanted: edge-deeplab evaluate MODEL --split {SPLIT} --out FOLDER"
        )
    persons = {source: scores for source, scores in evaluation["sources"].items() if scores["person_iou"] is not None}
    found["scores"][name] = {
        "model": arguments.model.name,
        "sha256": sha256(arguments.model),
        "data": evaluation["data"],
        "split": evaluation["split"],
        "photos": evaluation["total"]["images"],
        "person_iou": {source: round(scores["person_iou"], 5) for source, scores in persons.items()},
        # Each source counts alike, however many photos it has.
        "mean_person_iou": round(sum(scores["person_iou"] for scores in persons.values()) / len(persons), 5),
    }
    write_json(arguments.json, found)
    Console().print(table(found))


def _spec_of(model: Path) -> ModelSpec:
    return load_artifact(model).spec if sidecar_path(model).exists() else load_checkpoint(model).spec


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def table(found: dict[str, Any]) -> Table:
    """A row for each network, the quickest first."""
    peer = found["against"]
    shown = plain_table(f"int8, {plural_threads(found['threads'])}, {found['runs']} rounds in turns", "network")
    shown.collapse_padding = True
    number_columns(shown, "multiply-\nadds, M", "ms", "times as\nlong", "val\nIoU")
    for name, row in sorted(found["candidates"].items(), key=lambda item: item[1]["ratio"]["median"]):
        worth = found["scores"].get(name)
        shown.add_row(
            name,
            f"{row['multiply_adds'] / 1e6:.0f}",
            f"{row['median_ms']:.2f}",
            f"{row['ratio']['median']:.2f}",
            "" if worth is None else f"{worth['mean_person_iou']:.4f}",
        )
    shown.caption = f"Times as long as {peer['name']}, which takes {peer['median_ms']:.2f} ms."
    return shown


def main(words: list[str] | None = None) -> None:
    """Read the command line and do it. Whatever is refused is one line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(required=True)
    timing = commands.add_parser("latency", help="make the networks and time them")
    timing.set_defaults(work=latency)
    timing.add_argument("--against", type=Path, required=True, help="the model that all are compared with")
    timing.add_argument("--files", type=Path, required=True, help="folder of the int8 files, kept for the next time")
    timing.add_argument("--candidates", type=Path, default=HERE / "architecture_search.toml")
    timing.add_argument("--threads", type=int, default=1)
    timing.add_argument("--warm-up", type=int, default=10)
    timing.add_argument("--runs", type=int, default=100)
    timing.add_argument("--seed", type=int, default=0)
    worth = commands.add_parser("score", help="add what a trained model is worth")
    worth.set_defaults(work=score)
    worth.add_argument("model", type=Path, help="a checkpoint, or a converted file with its sidecar")
    worth.add_argument("evaluation", type=Path, help="evaluation.json of edge-deeplab evaluate")
    for command in (timing, worth):
        command.add_argument("--json", type=Path, default=HERE / "architecture_search.json")
    arguments = parser.parse_args(words)
    try:
        arguments.work(arguments)
    except EdgeDeeplabError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
