"""Scores on films whose answers are known, with a network that takes red for a person."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edge_deeplab.errors import DatasetError
from edge_deeplab.evaluation.film import Film
from edge_deeplab.image import write_image

SIDE = 256


def write_film(folder: Path, *, red: list[int], true: list[int]) -> Path:
    """Frames of 256x256 of which the first ``red`` columns are red, with masks of the first ``true`` columns."""
    (folder / "masks").mkdir()
    for index, (painted, person) in enumerate(zip(red, true, strict=True)):
        frame, mask = np.zeros((SIDE, SIDE, 3), np.uint8), np.zeros((SIDE, SIDE), np.uint8)
        frame[:, :painted, 0], mask[:, :person] = 255, 255
        write_image(folder / "frames" / f"{index:03}.png", frame)
        Image.fromarray(mask).save(folder / "masks" / f"{index:03}.png")
    return folder


def red_network(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return pixels[:, :, :1].astype(np.float32) / np.float32(255)


@pytest.fixture
def session(session_of: Any) -> Any:
    return session_of(red_network, height=SIDE, width=SIDE)


def test_a_perfect_model_makes_no_error(tmp_path: Path, session: Any) -> None:
    told: list[tuple[int, int]] = []
    film = Film(write_film(tmp_path, red=[64, 96, 128], true=[64, 96, 128]))
    scores = film.score(session, progress=lambda done, count: told.append((done, count)))
    assert scores.to_dict() == {"frames": 3, "person_iou": 1.0, "dt_ssd": 0.0, "flicker": 0.0}
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_what_a_person_lacks_and_how_it_changes(tmp_path: Path, session: Any) -> None:
    # One column in two is found, then all of them: the error changes in 64 of 256 columns, from frame to frame.
    scores = Film(write_film(tmp_path, red=[64, 128, 64], true=[128, 128, 128])).score(session)
    assert scores.person_iou == pytest.approx((0.5 + 1 + 0.5) / 3)
    assert scores.dt_ssd == pytest.approx((64 / 256) ** 0.5)


def test_a_matte_that_changes_where_nothing_moves_flickers(tmp_path: Path, session_of: Any) -> None:
    calls: list[int] = []

    def blinks(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        calls.append(1)
        return np.full((SIDE, SIDE, 1), 0.2 * (len(calls) % 2), np.float32)

    scores = Film(write_film(tmp_path, red=[64, 64, 64], true=[0, 0, 0])).score(
        session_of(blinks, height=SIDE, width=SIDE)
    )
    assert scores.flicker == pytest.approx(0.2)
    assert scores.person_iou is None


def test_there_is_no_flicker_to_measure_where_everything_moves(tmp_path: Path, session: Any) -> None:
    scores = Film(write_film(tmp_path, red=[0, 256], true=[0, 256])).score(session)
    assert scores.flicker is None


class TestRefused:
    def test_a_mask_too_few(self, tmp_path: Path) -> None:
        folder = write_film(tmp_path, red=[8, 8, 8], true=[8, 8, 8])
        (folder / "masks" / "001.png").unlink()
        with pytest.raises(DatasetError, match="3 frames and 2 masks"):
            Film(folder)

    def test_one_frame(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match="two frames or more"):
            Film(write_film(tmp_path, red=[8], true=[8]))

    def test_frames_of_two_sizes(self, tmp_path: Path, session: Any) -> None:
        folder = write_film(tmp_path, red=[8, 8], true=[8, 8])
        write_image(folder / "frames" / "001.png", np.zeros((9, 9, 3), np.uint8))
        Image.fromarray(np.zeros((9, 9), np.uint8)).save(folder / "masks" / "001.png")
        with pytest.raises(DatasetError, match=r"001\.png is of another size"):
            Film(folder).score(session)
