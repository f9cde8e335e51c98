"""Words that several clients' findings share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable


def counted(kinds: Iterable[str]) -> str:
    """How many of each, the most first: "3 CONV_2D, 1 MEAN"."""
    return ", ".join(f"{count} {kind}" for kind, count in Counter(kinds).most_common())


def plural(number: int, word: str) -> str:
    """A number of things: "1 resize", "2 resizes"."""
    return f"{number} {word}{'' if number == 1 else 's'}"
