"""Pictures in cells: gathered and put back without loss, and stretched as if the picture were whole."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo_app.matte.cells import CellMap, Grid, shrink_by


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    cell=st.integers(1, 9),
    channels=st.sampled_from([(), (3,)]),
    seed=st.integers(0, 99),
)
def test_marked_cells_and_no_other_pixel_are_copied(
    height: int, width: int, cell: int, channels: tuple[int, ...], seed: int
) -> None:
    random = np.random.default_rng(seed)
    grid = Grid(height, width, cell)
    picture = random.integers(1, 256, (height, width, *channels), dtype=np.uint8)
    marked = random.random((grid.rows, grid.columns)) < 0.5
    out = grid.empty(*channels)
    out.fill(0)
    for cells in grid.batches(marked):
        stack = grid.gather(grid.whole(picture, grid.empty(*channels)), cells)
        assert stack.shape == (len(cells.index), cell * cell, *channels)
        grid.put(stack, cells, out)
    here = np.kron(marked, np.ones((cell, cell), bool))[:height, :width]
    got = grid.cropped_into(out, np.empty_like(picture))
    assert got.flags.c_contiguous
    assert np.array_equal(got[here], picture[here])
    assert (got[~here] == 0).all()


def test_more_cells_than_one_batch_holds_come_one_after_the_other() -> None:
    grid = Grid(1024, 512, 4)
    marked = np.random.default_rng(0).random((256, 128)) < 0.7
    index = [cells.index for cells in grid.batches(marked)]
    assert len(index) > 2
    assert max(map(len, index)) <= grid.batch
    assert np.array_equal(np.concatenate(index), np.flatnonzero(marked))


def test_a_picture_that_is_not_contiguous_is_gathered_all_the_same_and_never_written_to_a_copy() -> None:
    grid = Grid(8, 12, 4)
    mirrored = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)[:, ::-1]
    (cells,) = grid.batches(np.ones((2, 3), bool))
    stack = grid.gather(grid.whole(mirrored, grid.empty(3)), cells)
    assert np.array_equal(stack[1], mirrored[:4, 4:8].reshape(16, 3))
    with pytest.raises(AttributeError, match="shape"):
        grid.put(stack, cells, mirrored)


def test_one_value_for_each_cell_fills_it() -> None:
    grid, values = Grid(7, 11, 3), np.arange(12, dtype=np.uint8).reshape(3, 4)
    picture = grid.empty()
    grid.spread(values, picture)
    assert np.array_equal(picture, np.kron(values, np.ones((3, 3), np.uint8)))


@settings(max_examples=60, deadline=None)
@given(rows=st.integers(1, 12), columns=st.integers(1, 12), cell=st.integers(1, 9), seed=st.integers(0, 99))
def test_cells_are_stretched_as_if_they_were_the_whole(rows: int, columns: int, cell: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    planes = list(random.random((2, rows, columns), np.float32))
    grid = Grid(rows * cell, columns * cell, cell)
    cell_map = CellMap(grid, 2)
    cell_map.fill(planes)
    marked = random.random((rows, columns)) < 0.5
    for cells in grid.batches(marked):
        stretched = cell_map.stretched(cells)
        for plane, got in zip(planes, stretched, strict=True):
            whole = cv2.resize(plane, (columns * cell, rows * cell), interpolation=cv2.INTER_LINEAR)
            for at, pixels in zip(cells.index, got, strict=True):
                y, x = at // columns * cell, at % columns * cell
                assert np.allclose(pixels.reshape(cell, cell), whole[y : y + cell, x : x + cell], atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (8, 16), (33, 50), (5, 100), (60, 41)], ids=str)
@pytest.mark.parametrize("factor", [1, 3, 5, 8])
def test_cells_are_the_means_of_their_pixels(size: tuple[int, int], factor: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    small = shrink_by(picture, factor)
    for y, x in np.ndindex(*small.shape[:2]):
        cell = picture[y * factor : (y + 1) * factor, x * factor : (x + 1) * factor]
        assert np.abs(small[y, x] - cell.mean((0, 1))).max() <= 2.0  # rounded at each of three halvings
