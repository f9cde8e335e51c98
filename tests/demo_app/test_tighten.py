"""From probabilities to a matte without a veil."""

from __future__ import annotations

import numpy as np

from demo_app.matte.tighten import tighten


def test_nearly_certain_pixels_become_certain() -> None:
    """A uint8 file's largest probability is 255/256."""
    alpha = np.array([[0.0, 0.1, 0.5, 0.9, 255 / 256]], np.float32)
    assert tighten(np.zeros((1, 5, 3), np.uint8), alpha).tolist() == [[0.0, 0.0, 0.5, 1.0, 1.0]]


def test_the_edge_gets_steeper_and_stays_in_order() -> None:
    alpha = np.linspace(0.2, 0.8, 61, dtype=np.float32)[None]
    steps = np.diff(tighten(np.zeros((1, 61, 3), np.uint8), alpha)[0])
    assert (steps > 0.0).all()
    assert steps[30] > 2.0 * 0.01
