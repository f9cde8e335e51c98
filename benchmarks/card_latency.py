"""Measure the latency of shipped models again, and put it into their cards.

    python benchmarks/card_latency.py [NAME...] --against PEER [--rounds N]

For when ship_model.py ran on a busy machine: everything else on a card depends on no clock. Without a NAME all models.
The int8 file and PEER take turns on one thread; what else runs on the machine spoils the milliseconds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from card_measurements import compare_latency

from edge_deeplab.cli.progress import stage_progress
from edge_deeplab.errors import EdgeDeeplabError
from edge_deeplab.weights import FOLDER, shipped_names
from edge_deeplab.weights.card import load_card


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="of a shipped model (default: all)")
    parser.add_argument("--against", type=Path, required=True, help="model file that the latency is compared with")
    parser.add_argument("--rounds", type=int, default=200, help="that count (default: 200)")
    parser.add_argument("--weights", type=Path, default=FOLDER, help="where the models and their cards lie")
    parsed = parser.parse_args(arguments)
    try:
        for name in parsed.names or shipped_names():
            measure(parsed.weights, name, parsed.against, parsed.rounds)
    except EdgeDeeplabError as error:
        sys.exit(f"card_latency: {error}")
    print("Next: python docs/update_readme.py")


def measure(weights: Path, name: str, against: Path, rounds: int) -> None:
    """Run one model and the other in turns, and write its card anew.

    Args:
        weights: folder of the model and its card.
        name: of the model.
        against: the other model's file.
        rounds: that count.

    Raises:
        CheckpointError: there is no such card, or it cannot be read.
        ModelFileError: one of the files cannot be opened or run.
        OutputError: the card cannot be written.
    """
    path = weights / f"{name}.json"
    card = load_card(path)
    with stage_progress() as progress:
        latency = compare_latency(
            weights / f"{name}.tflite", against, rounds, lambda done, count: progress(f"{name} in turns", done, count)
        )
    replace(card, latency=latency).write(path)
    print(f"{name}: {latency.ratio:.2f} ({latency.low:.2f} to {latency.high:.2f}) times {latency.against}")


if __name__ == "__main__":
    main()
