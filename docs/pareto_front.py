"""The choices that no other beats in cost and worth at once."""

from __future__ import annotations

from collections.abc import Mapping


def pareto_front(choices: Mapping[str, tuple[float, float]]) -> list[str]:
    """Names of the choices for which no other is both at most as dear and better, or cheaper and as good.

    Args:
        choices: name to (cost, less is better; worth, more is better).

    Returns:
        From the cheapest to the dearest; of equal ones the first by name.
    """
    front: list[str] = []
    for name in sorted(choices, key=lambda name: (choices[name][0], -choices[name][1], name)):
        if not front or choices[name][1] > choices[front[-1]][1]:
            front.append(name)
    return front
