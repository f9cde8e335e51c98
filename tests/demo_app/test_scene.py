"""The made scene: the same each time, and somebody whom the real model sees."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from demo_app.sources.scene import SceneSource
from edge_deeplab.errors import SpecError
from edge_deeplab.runtime.opening import open_session
from edge_deeplab.segmenter import Segmenter
from edge_deeplab.weights import shipped_model


def pictures(*, size: tuple[int, int] = (320, 180), frames: int | None = 3, seed: int = 0) -> list[np.ndarray]:
    with SceneSource(*size, fps=10.0, frames=frames, seed=seed) as source:
        return [frame.rgb for frame in source]


def test_the_same_seed_gives_the_same_bytes_and_another_one_others() -> None:
    first, again, other = pictures(), pictures(), pictures(seed=1)
    assert len(first) == 3
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_the_person_moves_before_a_room_that_stands_still() -> None:
    first, *_, last = pictures(frames=21)
    moved = np.abs(first.astype(int) - last).max(axis=2) > 16
    assert moved.mean() > 0.02
    assert not moved[:, :24].any()
    assert not moved[:8].any()
    assert np.array_equal(first[:, -8:], last[:, -8:])


@pytest.mark.parametrize("size", [(641, 361), (360, 640), (32, 32)])
def test_any_size_is_filled(size: tuple[int, int]) -> None:
    (picture,) = pictures(size=size, frames=1)
    assert picture.shape == (size[1], size[0], 3)
    assert picture.std() > 20.0


def test_a_scene_too_small_to_see_is_refused() -> None:
    with pytest.raises(SpecError, match="a scene of 31x400"):
        SceneSource(31, 400)


def test_it_goes_on_without_end() -> None:
    with SceneSource(64, 36) as source:
        assert source.total is None
        assert len(list(itertools.islice(source, 200))) == 200


def test_the_shipped_model_sees_the_person_where_it_is() -> None:
    centres = []
    with open_session(shipped_model(), threads=1) as session, SceneSource(fps=1.0, frames=6) as source:
        segmenter = Segmenter(session)
        for frame in source:
            person = segmenter.coarse(frame.rgb) > 0.5
            assert 0.1 < person.mean() < 0.4
            assert person[:, :20].sum() == 0  # the window
            centres.append(np.nonzero(person)[1].mean())
    assert max(centres) - min(centres) > 10.0  # it moves, in pixels of the model
