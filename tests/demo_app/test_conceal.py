"""What privacy hides: more than the person."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from demo_app.matte.conceal import conceal


@pytest.mark.parametrize("side", [64, 256, 1024])
def test_the_person_and_a_rim_are_hidden_and_the_rest_is_not(side: int) -> None:
    alpha = np.zeros((side, side), np.float32)
    cv2.circle(alpha, (side // 2, side // 2), side // 5, (1.0,), -1)
    hidden = conceal(alpha)
    rim = max(1, round(0.006 * side))
    near = cv2.dilate(alpha, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * rim + 1, 2 * rim + 1)))
    assert hidden[near == 1.0] == pytest.approx(1.0, abs=1e-6)
    far = cv2.dilate(alpha, np.ones((side // 10 | 1, side // 10 | 1))) == 0.0
    assert (hidden[far] == 0.0).all()


def test_what_the_network_doubts_is_hidden_wholly() -> None:
    assert conceal(np.full((32, 32), 0.31, np.float32)).min() == pytest.approx(1.0, abs=1e-6)
    assert (conceal(np.full((32, 32), 0.09, np.float32)) == 0.0).all()


def test_a_strand_a_pixel_wide_is_hidden() -> None:
    alpha = np.zeros((256, 256), np.float32)
    alpha[100, 50:200] = 0.5
    assert conceal(alpha)[100, 50:200].min() == pytest.approx(1.0, abs=1e-6)
