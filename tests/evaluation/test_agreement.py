from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from edge_deeplab.errors import ParityError
from edge_deeplab.evaluation.agreement import ClassAgreement, accumulate, deviation

PERSON = ("person",)
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
    result = accumulate([first, second], ["one", "two"], PERSON)
    assert result.reference_iou == 1 / 4
    assert result.mask_agreement == (3 / 4 + 2 / 4) / 2
    assert (result.worst_image, result.worst_index, result.worst_agreement) == ("two", 1, 0.5)
    assert result.max_error == pytest.approx(0.8)
    assert result.mean_error == pytest.approx((0.2 + 0.4) / 2)


def test_several_classes_are_judged_by_their_winners() -> None:
    reference = np.array([[[0.1, 0.6, 0.3], [0.1, 0.6, 0.3], [0.8, 0.1, 0.1]]], dtype=np.float32)
    candidate = np.array([[[0.1, 0.5, 0.4], [0.1, 0.4, 0.5], [0.8, 0.1, 0.1]]], dtype=np.float32)
    result = accumulate([deviation(reference, candidate)], ["one"], ("background", "cat", "dog"))
    assert result.mask_agreement == pytest.approx(2 / 3)
    assert result.reference_iou == 1 / 3  # cat: 1 of 2, dog: 0 of 1
    assert result.classes == (ClassAgreement("cat", 2, 1 / 2), ClassAgreement("dog", 0, 0.0))
    assert result.worst_class == ClassAgreement("cat", 2, 1 / 2)  # the reference has no dog to keep


def _scores(winners: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """Probabilities by which these classes win, HxWxC."""
    return np.eye(classes, dtype=np.float32)[winners]


def test_a_class_weighs_as_its_pixels_do() -> None:
    """A class of two pixels that loses one of them, beside one of ninety that loses one."""
    classes = ("background", "person", "bottle", "train")
    reference = np.zeros((10, 10), dtype=np.int64)
    reference[:9], reference[9, :2] = 1, 2
    candidate = reference.copy()
    candidate[0, 0] = candidate[9, 0] = 0
    result = accumulate([deviation(_scores(reference, 4), _scores(candidate, 4))], ["one"], classes)
    assert result.reference_iou == 90 / 92  # a mean over the classes would say 0.74
    assert result.classes == (ClassAgreement("person", 90, 89 / 90), ClassAgreement("bottle", 2, 1 / 2))
    assert result.worst_class == ClassAgreement("bottle", 2, 1 / 2)


def test_nothing_lost_has_no_worst_class_and_one_class_no_table() -> None:
    scores = _scores(np.array([[0, 1, 2]]), 3)
    same = accumulate([deviation(scores, scores)], ["one"], ("background", "cat", "dog"))
    assert (same.reference_iou, same.worst_class, len(same.classes)) == (1.0, None, 2)
    alone = accumulate([deviation(column(0.9, 0.1), column(0.1, 0.1))], ["one"], PERSON)
    assert (alone.reference_iou, alone.worst_class, alone.classes) == (0.0, None, ())


@given(arrays(np.int64, (3, 12), elements=st.integers(0, 1)))
def test_one_class_gives_the_same_number_as_two_with_its_background(three: NDArray[np.int64]) -> None:
    reference, candidate, other = (_scores(one[None], 2) for one in three)
    two = accumulate(
        [deviation(reference, candidate), deviation(reference, other)], ["one", "two"], ("background", "person")
    )
    alone = accumulate(
        [deviation(reference[:, :, 1:], candidate[:, :, 1:]), deviation(reference[:, :, 1:], other[:, :, 1:])],
        ["one", "two"],
        PERSON,
    )
    assert two.reference_iou == alone.reference_iou


LABELS = arrays(np.int64, (3, 40), elements=st.integers(0, 4))


@given(LABELS)
def test_its_complement_is_a_metric(three: NDArray[np.int64]) -> None:
    """What --allow-drop rests on where the true masks are not known, also with several classes."""
    names = ("background", "a", "b", "c", "d")

    def distance(one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
        compared = deviation(_scores(one[None], 5), _scores(other[None], 5))
        return 1 - accumulate([compared], ["one"], names).reference_iou

    truth, reference, candidate = three
    assert distance(truth, candidate) <= distance(truth, reference) + distance(reference, candidate) + 1e-12


def test_two_empty_masks_agree() -> None:
    nobody = column(0.1, 0.2)
    assert accumulate([deviation(nobody, nobody)], ["one"], PERSON).reference_iou == 1.0


def test_one_value_that_is_not_finite_spoils_the_sum() -> None:
    good, bad = deviation(column(0.5), column(0.5)), deviation(column(0.5), column(np.nan))
    assert np.isnan(accumulate([good, bad, good], ["a", "b", "c"], PERSON).max_error)


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
