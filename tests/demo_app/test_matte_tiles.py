"""Pictures in tiles: every pixel once, and none in the wrong class."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo_app.matte.tiles import CellMap, bridged, partition, runs, shrink_by


@settings(max_examples=60, deadline=None)
@given(height=st.integers(1, 70), width=st.integers(1, 70), side=st.integers(1, 20), seed=st.integers(0, 99))
def test_runs_cover_the_marked_tiles_once_and_no_other(height: int, width: int, side: int, seed: int) -> None:
    marked = np.random.default_rng(seed).random((-(-height // side), -(-width // side))) < 0.5
    counted = np.zeros((height, width), int)
    for rectangle in runs(marked, side, height, width):
        counted[rectangle] += 1
    assert np.array_equal(counted, np.kron(marked, np.ones((side, side), int))[:height, :width])


@settings(max_examples=60, deadline=None)
@given(height=st.integers(1, 70), width=st.integers(1, 70), side=st.integers(1, 20), seed=st.integers(0, 99))
def test_a_partition_leaves_out_background_only_and_copies_subject_only(
    height: int, width: int, side: int, seed: int
) -> None:
    """Also a single pixel that is not like its tile is seen."""
    random = np.random.default_rng(seed)
    blocks = random.integers(0, 2, (-(-height // side), -(-width // side)), dtype=np.uint8) * 255
    coverage = np.kron(blocks, np.ones((side, side), np.uint8))[:height, :width]
    coverage[random.integers(height), random.integers(width)] = random.integers(256)
    inside, partial = partition(coverage, side)
    count = np.zeros((height, width), int)
    for rectangle in inside:
        assert (coverage[rectangle] == 255).all()
        count[rectangle] += 1
    for rectangle in partial:
        count[rectangle] += 2
    assert (coverage[count == 0] == 0).all()
    assert ((count == 1) | (coverage < 255) | (count >= 2)).all()


def test_a_gap_of_one_tile_is_bridged_and_one_of_two_is_not() -> None:
    marked = np.array([[1, 0, 1, 0, 0, 1]], bool)
    assert bridged(marked).tolist() == [[True, True, True, False, False, True]]


@pytest.mark.parametrize("size", [(1, 1), (8, 16), (33, 50), (5, 100)], ids=str)
@pytest.mark.parametrize("factor", [1, 3, 8])
def test_cells_are_the_means_of_their_pixels(size: tuple[int, int], factor: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    small = shrink_by(picture, factor)
    for y, x in np.ndindex(*small.shape[:2]):
        cell = picture[y * factor : (y + 1) * factor, x * factor : (x + 1) * factor]
        assert np.abs(small[y, x] - cell.mean((0, 1))).max() <= 2.0  # rounded at each of three halvings


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 12), columns=st.integers(1, 12), cell=st.integers(1, 9), seed=st.integers(0, 99), data=st.data()
)
def test_a_rectangle_is_stretched_as_if_it_were_the_whole(
    rows: int, columns: int, cell: int, seed: int, data: st.DataObject
) -> None:
    ramp = np.arange(rows, dtype=np.float32)[:, None] * 3.0 + np.arange(columns, dtype=np.float32)
    values = np.stack([ramp, np.random.default_rng(seed).random((rows, columns), np.float32)], axis=2)
    cells = CellMap(rows, columns, cell, 2, (rows * cell, columns * cell))
    cells.fill(values)
    top, left = data.draw(st.integers(0, rows * cell - 1)), data.draw(st.integers(0, columns * cell - 1))
    bottom, right = data.draw(st.integers(top + 1, rows * cell)), data.draw(st.integers(left + 1, columns * cell))
    whole = cells.stretched(np.s_[0 : rows * cell, 0 : columns * cell]).copy()
    part = cells.stretched(np.s_[top:bottom, left:right])
    assert np.allclose(part, whole[top:bottom, left:right], atol=1e-4)
    # Bilinear with half-pixel centres: a ramp is a ramp, and ends in half a cell of the last value.
    y = np.clip((np.arange(top, bottom) + 0.5) / cell - 0.5, 0, rows - 1)[:, None]
    x = np.clip((np.arange(left, right) + 0.5) / cell - 0.5, 0, columns - 1)
    assert np.allclose(part[:, :, 0], 3.0 * y + x, atol=1e-4)
