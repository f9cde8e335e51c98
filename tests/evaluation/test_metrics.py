from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from edge_deeplab.evaluation.metrics import (
    Mask,
    agreement,
    boundary,
    boundary_f,
    boundary_radius,
    class_ious,
    class_map,
    confusion_matrix,
    false_person_rate,
    iou,
    mean_iou,
    person_mask,
)

SHAPES = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)
PAIRS = SHAPES.flatmap(lambda shape: st.tuples(arrays(np.bool_, shape), arrays(np.bool_, shape)))
MASKS = arrays(np.bool_, SHAPES)


def mask(*rows: str) -> Mask:
    return np.array([[letter == "#" for letter in row] for row in rows])


class TestPersonMask:
    def test_a_probability_of_one_half_is_a_person(self) -> None:
        assert person_mask(np.array([[0.49999, 0.5, np.nan]])).tolist() == [[False, True, False]]

    def test_coverage_counts_from_128(self) -> None:
        assert person_mask(np.array([[127, 128]], dtype=np.uint8)).tolist() == [[False, True]]


class TestClassMap:
    def test_one_channel_has_a_threshold_and_several_a_winner(self) -> None:
        one = np.array([[[0.4], [0.6]]], dtype=np.float32)
        three = np.array([[[0.3, 0.4, 0.3], [0.5, 0.1, 0.4]]], dtype=np.float32)
        assert class_map(one).tolist() == [[0, 1]]
        assert class_map(three).tolist() == [[1, 0]]


class TestIou:
    def test_by_hand(self) -> None:
        assert iou(mask("##..", "##.."), mask(".##.", ".##.")) == 2 / 6

    def test_two_empty_masks_agree(self) -> None:
        assert iou(mask("..."), mask("...")) == 1.0

    def test_a_false_person_on_an_empty_truth_is_worth_nothing(self) -> None:
        assert iou(mask("#.."), mask("...")) == 0.0

    def test_pixels_that_are_not_valid_do_not_count(self) -> None:
        assert iou(mask("##.."), mask("#..."), valid=mask("#.##")) == 1.0
        assert iou(mask("###."), mask("##.."), valid=mask("#.##")) == 1 / 2

    def test_other_shapes_are_refused(self) -> None:
        with pytest.raises(ValueError, match=r"\(1, 3\) and \(1, 2\)"):
            iou(mask("..."), mask(".."))

    @given(PAIRS)
    def test_symmetric_and_one_only_for_equal_masks(self, pair: tuple[Mask, Mask]) -> None:
        one, other = pair
        assert iou(one, other) == iou(other, one)
        assert (iou(one, other) == 1.0) == np.array_equal(one, other)
        assert 0.0 <= iou(one, other) <= 1.0

    @given(PAIRS)
    def test_is_the_confusion_matrix_s(self, pair: tuple[Mask, Mask]) -> None:
        one, other = pair
        from_counts = class_ious(confusion_matrix(one, other, 2))[1]
        assert iou(one, other) == (1.0 if np.isnan(from_counts) else from_counts)


class TestMeanIou:
    def test_by_hand(self) -> None:
        truth = np.array([[0, 0, 1, 2, 255]], dtype=np.uint8)
        predicted = np.array([[0, 1, 1, 1, 2]], dtype=np.uint8)
        confusion = confusion_matrix(predicted, truth, 4)
        assert confusion.tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
        assert class_ious(confusion)[:3].tolist() == [1 / 2, 1 / 3, 0.0]
        assert np.isnan(class_ious(confusion)[3])
        assert mean_iou(confusion) == pytest.approx((1 / 2 + 1 / 3 + 0) / 3)

    def test_nothing_to_count_is_no_mistake(self) -> None:
        nothing = np.full((2, 2), 255, dtype=np.uint8)
        assert mean_iou(confusion_matrix(np.zeros_like(nothing), nothing, 3)) == 1.0

    def test_an_index_beyond_the_classes_is_refused(self) -> None:
        with pytest.raises(ValueError, match="number of classes, 2"):
            confusion_matrix(np.array([[0]], dtype=np.uint8), np.array([[2]], dtype=np.uint8), 2)

    @given(arrays(np.uint8, (2, 6, 5), elements=st.sampled_from([0, 1, 2, 255])))
    def test_matrices_of_parts_add_up_to_the_whole(self, maps: NDArray[np.uint8]) -> None:
        truth, predicted = maps[0], maps[1] % 3
        parts = [confusion_matrix(predicted[rows], truth[rows], 3) for rows in (slice(0, 2), slice(2, 6))]
        whole = confusion_matrix(predicted, truth, 3)
        assert np.array_equal(sum(parts), whole)
        assert whole.sum() == np.count_nonzero(truth != 255)


class TestBoundary:
    def test_the_outermost_pixels_and_not_the_frame(self) -> None:
        # A person cut off by the left and lower frame: its boundary is the upper and right side only.
        person = mask(".....", "####.", "####.", "####.")
        assert np.array_equal(boundary(person), mask(".....", "####.", "...#.", "...#."))

    def test_neighbours_are_the_four(self) -> None:
        assert not boundary(mask("##.", "###", "###"))[2, 0]
        assert not boundary(mask(".##", "###", "###"))[1, 1]

    @pytest.mark.parametrize(("size", "radius"), [((312, 416), 5), ((480, 854), 8), ((1, 1), 1)])
    def test_the_radius_is_a_fraction_of_the_diagonal_rounded_up(self, size: tuple[int, int], radius: int) -> None:
        assert boundary_radius(*size) == radius  # DAVIS: ceil(0.008 * 979.7) = 8

    @given(MASKS)
    def test_it_is_empty_only_for_masks_that_are_all_or_nothing(self, person: Mask) -> None:
        assert boundary(person).any() == (person.any() and not person.all())


class TestBoundaryF:
    def test_by_hand(self) -> None:
        # 40x30: a diagonal of 50; 0.02 of it is one pixel. Vertical edges at columns 9 and 11: two apart, no match;
        # at 9 and 10 all match.
        truth = np.zeros((40, 30), dtype=np.bool_)
        truth[:, :10] = True
        for columns, expected in ((10, 1.0), (11, 1.0), (12, 0.0)):
            predicted = np.zeros_like(truth)
            predicted[:, :columns] = True
            assert boundary_f(predicted, truth, tolerance=0.02) == expected

    def test_precision_and_recall_by_hand(self) -> None:
        # The prediction's edge covers the upper half of the truth's (20 of 40 rows), and a stray pixel lies far away.
        # One pixel of tolerance matches row 20 of the truth too.
        truth = np.zeros((40, 30), dtype=np.bool_)
        truth[:, 10] = True
        predicted = np.zeros_like(truth)
        predicted[:20, 10] = True
        predicted[30, 25] = True
        precision, recall = 20 / 21, 21 / 40
        expected = 2 * precision * recall / (precision + recall)
        assert boundary_f(predicted, truth, tolerance=0.02) == pytest.approx(expected)

    @pytest.mark.parametrize(
        ("predicted", "truth", "expected"),
        [
            ("....", "....", 1.0),
            ("####", "####", 1.0),
            ("####", "....", 0.0),
            ("##..", "....", 0.0),
            ("....", "##..", 0.0),
        ],
    )
    def test_without_a_boundary(self, predicted: str, truth: str, expected: float) -> None:
        assert boundary_f(mask(predicted), mask(truth)) == expected

    @given(PAIRS)
    def test_symmetric_between_0_and_1(self, pair: tuple[Mask, Mask]) -> None:
        one, other = pair
        assert boundary_f(one, other) == boundary_f(other, one)
        assert 0.0 <= boundary_f(one, other) <= 1.0
        assert boundary_f(one, one) == 1.0

    @given(PAIRS, st.floats(0.01, 0.5), st.floats(0.01, 0.5))
    def test_a_wider_tolerance_never_scores_less(self, pair: tuple[Mask, Mask], one: float, other: float) -> None:
        narrow, wide = sorted((one, other))
        assert boundary_f(*pair, tolerance=narrow) <= boundary_f(*pair, tolerance=wide)

    @given(PAIRS, st.floats(0.01, 0.3))
    def test_a_pixel_is_matched_by_any_that_is_near(self, pair: tuple[Mask, Mask], tolerance: float) -> None:
        ours, theirs = (np.argwhere(boundary(mask)) for mask in pair)
        near = np.hypot(*(ours[:, None] - theirs[None]).transpose(2, 0, 1)) <= boundary_radius(
            *pair[0].shape, tolerance
        )
        if len(ours) and len(theirs):
            precision, recall = near.any(axis=1).mean(), near.any(axis=0).mean()
            expected = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
            assert boundary_f(*pair, tolerance=tolerance) == pytest.approx(expected)

    @pytest.mark.parametrize("radius", [3, 8, 9, 20])  # small discs are dilated, large ones measured
    def test_a_bar_is_matched_as_far_away_as_is_allowed(self, radius: int) -> None:
        def bar(top: int) -> Mask:
            drawn = np.zeros((800, 600), np.bool_)
            drawn[top : top + 100] = True
            return drawn

        tolerance = (radius - 0.5) / 1000
        assert boundary_f(bar(300), bar(300 + radius), tolerance=tolerance) == 1.0
        assert boundary_f(bar(300), bar(300 + radius + 1), tolerance=tolerance) == 0.0


class TestRates:
    def test_false_persons_by_hand(self) -> None:
        assert false_person_rate(mask("#...", "....")) == 1 / 8
        assert false_person_rate(mask("##.."), valid=mask("#.##")) == 1 / 3

    def test_agreement_by_hand(self) -> None:
        assert agreement(np.array([[0, 1, 2, 2]]), np.array([[0, 1, 1, 2]])) == 3 / 4
