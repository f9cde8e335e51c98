"""Put what cards.toml says of shipped models into their cards.

    python benchmarks/card_words.py [NAME...]

For when only the words have changed, or a model's worst photos were looked at after ship_model.py had written its card:
nothing is measured. Without a NAME all models.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ship_model import HERE, load_words

from edge_deeplab.errors import EdgeDeeplabError
from edge_deeplab.weights import FOLDER, shipped_names
from edge_deeplab.weights.card import load_card


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="of a shipped model (default: all)")
    parser.add_argument("--words", type=Path, default=HERE / "cards.toml", help="what only a person can say")
    parser.add_argument("--weights", type=Path, default=FOLDER, help="where the models and their cards lie")
    parsed = parser.parse_args(arguments)
    try:
        for name in parsed.names or shipped_names():
            say(parsed.weights / f"{name}.json", parsed.words, name)
    except EdgeDeeplabError as error:
        sys.exit(f"card_words: {error}")
    print("Next: python docs/update_readme.py")


def say(path: Path, words: Path, name: str) -> None:
    """Write one card anew.

    Args:
        path: of the card.
        words: file of words.
        name: of the model.

    Raises:
        SpecError: the file says nothing of it, or not all.
        CheckpointError: there is no such card, or it cannot be read.
        OutputError: the card cannot be written.
    """
    said = load_words(words, name)
    card = load_card(path)
    replace(card, intended_use=said.intended_use, terms=said.terms, known_failures=said.known_failures).write(path)


if __name__ == "__main__":
    main()
