from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from edge_deeplab.errors import ParityError
from edge_deeplab.evaluation.agreement import accumulate, deviation

PROBABILITIES = arrays(np.float32, (2, 4, 5, 1), elements=st.floats(0, 1, width=32))


def column(*values: float) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32)[:, None, None]


def test_by_hand() -> None:
    reference, candidate = column(0.9, 0.6, 0.4, 0.1), column(0.9, 0.4, 0.4, 0.2)
    result = deviation(reference, candidate)
    assert result.max_error == pytest.approx(0.2)
    assert result.mean_error == pytest.approx(0.3 / 4)
    assert result.agreement == 3 / 4
    assert result.confusion.tolist() == [[2, 0], [1, 1]]


def test_iou_is_over_the_pixels_of_all_pictures_and_the_rest_is_named() -> None:
    # One pixel of a person lost in a picture of two, and a picture in which nobody is, with one false pixel: a mean
    # over pictures would say (1/2 + 0) / 2.
    first = deviation(column(0.9, 0.9, 0.1, 0.1), column(0.9, 0.1, 0.1, 0.1))
    second = deviation(column(0.1, 0.1, 0.1, 0.1), column(0.1, 0.1, 0.9, 0.9))
    result = accumulate([first, second], ["one", "two"])
    assert result.reference_iou == 1 / 4
    assert result.mask_agreement == (3 / 4 + 2 / 4) / 2
    assert (result.worst_image, result.worst_index, result.worst_agreement) == ("two", 1, 0.5)
    assert result.max_error == pytest.approx(0.8)
    assert result.mean_error == pytest.approx((0.2 + 0.4) / 2)


def test_several_classes_are_judged_by_their_winners() -> None:
    reference = np.array([[[0.1, 0.6, 0.3], [0.1, 0.6, 0.3], [0.8, 0.1, 0.1]]], dtype=np.float32)
    candidate = np.array([[[0.1, 0.5, 0.4], [0.1, 0.4, 0.5], [0.8, 0.1, 0.1]]], dtype=np.float32)
    result = accumulate([deviation(reference, candidate)], ["one"])
    assert result.mask_agreement == pytest.approx(2 / 3)
    assert result.reference_iou == pytest.approx((1 / 2 + 0) / 2)  # of class 1, and of class 2


def test_two_empty_masks_agree() -> None:
    nobody = column(0.1, 0.2)
    assert accumulate([deviation(nobody, nobody)], ["one"]).reference_iou == 1.0


def test_one_value_that_is_not_finite_spoils_the_sum() -> None:
    good, bad = deviation(column(0.5), column(0.5)), deviation(column(0.5), column(np.nan))
    assert np.isnan(accumulate([good, bad, good], ["a", "b", "c"]).max_error)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ParityError, match="different shapes"):
        deviation(column(0.1, 0.2), column(0.1))


@given(PROBABILITIES)
def test_errors_bound_each_other_and_nothing_differs_from_itself(pair: NDArray[np.float32]) -> None:
    result = deviation(pair[0], pair[1])
    assert 0 <= result.mean_error <= result.max_error <= 1
    assert 0 <= result.agreement <= 1
    same = deviation(pair[0], pair[0])
    assert (same.max_error, same.mean_error, same.agreement) == (0, 0, 1)
