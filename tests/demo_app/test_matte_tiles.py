"""Pictures in tiles: every pixel once, and none in the wrong class."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from demo_app.matte.tiles import bridged, partition, runs


@settings(max_examples=60, deadline=None)
@given(height=st.integers(1, 70), width=st.integers(1, 70), side=st.integers(1, 20), seed=st.integers(0, 99))
def test_runs_cover_the_marked_tiles_once_and_no_other(height: int, width: int, side: int, seed: int) -> None:
    marked = np.random.default_rng(seed).random((-(-height // side), -(-width // side))) < 0.5
    counted = np.zeros((height, width), int)
    for rectangle in runs(marked, side, height, width):
        counted[rectangle] += 1
    assert np.array_equal(counted, np.kron(marked, np.ones((side, side), int))[:height, :width])


@settings(max_examples=200, deadline=None)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    given_height=st.integers(1, 90),
    given_width=st.integers(1, 90),
    block=st.integers(1, 30),
    side=st.integers(1, 20),
    seed=st.integers(0, 99),
)
def test_a_partition_leaves_out_background_only_and_copies_subject_only(
    height: int, width: int, given_height: int, given_width: int, block: int, side: int, seed: int
) -> None:
    """Also what a single pixel of the given coverage does to the stretched one is seen."""
    random = np.random.default_rng(seed)
    blocks = random.integers(0, 2, (-(-given_height // block), -(-given_width // block)), dtype=np.uint8) * 255
    small = np.kron(blocks, np.ones((block, block), np.uint8))[:given_height, :given_width]
    small[random.integers(given_height), random.integers(given_width)] = random.integers(256)
    inside, partial = partition(small, side, height, width)
    coverage = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    count = np.zeros((height, width), int)
    for rectangle in inside:
        assert (coverage[rectangle] == 255).all()
        count[rectangle] += 1
    for rectangle in partial:
        count[rectangle] += 2
    assert (coverage[count == 0] == 0).all()
    assert (coverage[count == 1] == 255).all()


def test_a_partition_marks_the_tiles_at_the_edge_and_leaves_the_others_alone() -> None:
    small = np.zeros((64, 64), np.uint8)
    small[:, 32:] = 255
    inside, partial = partition(small, 32, 256, 256)
    share = {
        name: sum((rows.stop - rows.start) * (columns.stop - columns.start) for rows, columns in found) / 256**2
        for name, found in (("inside", inside), ("partial", partial))
    }
    assert share == {"inside": 3 / 8, "partial": 2 / 8}


def test_a_gap_of_one_tile_is_bridged_and_one_of_two_is_not() -> None:
    marked = np.array([[1, 0, 1, 0, 0, 1]], bool)
    assert bridged(marked).tolist() == [[True, True, True, False, False, True]]
