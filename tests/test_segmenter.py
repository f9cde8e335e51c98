from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_deeplab.errors import ImageError, ModelFileError
from edge_deeplab.runtime.opening import open_session
from edge_deeplab.runtime.session import Session
from edge_deeplab.segmenter import Segmenter


@pytest.fixture(scope="module")
def session(small_checkpoint: Path) -> Iterator[Session]:
    with open_session(small_checkpoint) as session:
        yield session


@settings(max_examples=15, deadline=None)
@given(rows=st.integers(1, 400), columns=st.integers(1, 400), seed=st.integers(0, 9))
def test_a_picture_of_any_size_gets_a_matte_of_its_size(session: Session, rows: int, columns: int, seed: int) -> None:
    rgb = np.random.default_rng(seed).integers(0, 256, (rows, columns, 3), dtype=np.uint8)
    alpha = Segmenter(session)(rgb)
    assert alpha.shape == (rows, columns)
    assert alpha.dtype == np.float32
    assert alpha.min() >= 0
    assert alpha.max() <= 1


def test_a_picture_of_the_networks_size_is_not_resampled(session: Session) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    np.testing.assert_array_equal(Segmenter(session)(rgb), session.run(rgb)[:, :, 0])


def test_a_view_is_as_good_as_a_copy(session: Session) -> None:
    bgr = np.random.default_rng(0).integers(0, 256, (120, 200, 3), dtype=np.uint8)
    view = bgr[::-1, 10:, ::-1]
    np.testing.assert_array_equal(Segmenter(session)(view), Segmenter(session)(view.copy()))


@pytest.mark.parametrize(("size", "halves"), [((400, 768), 2), ((385, 768), 0), ((192, 192), 1), ((180, 400), 0)])
def test_the_shrunk_picture_has_the_same_matte(session: Session, size: tuple[int, int], halves: int) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    shrunk = Segmenter(session).shrunk(rgb)
    assert shrunk.shape[:2] == (size[0] >> halves, size[1] >> halves)
    np.testing.assert_array_equal(Segmenter(session).coarse(shrunk), Segmenter(session).coarse(rgb))


class ThreeClasses:
    """A session by structure: channel i is i / 10."""

    height, width, runtime = 8, 8, "none"

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes

    def run(self, pixels: np.ndarray) -> np.ndarray:
        assert pixels.shape == (8, 8, 3)
        return np.broadcast_to(np.arange(3, dtype=np.float32) / 10, (8, 8, 3))

    def close(self) -> None: ...
    def __enter__(self) -> ThreeClasses:
        return self

    def __exit__(self, *_: object) -> None: ...


def test_the_persons_channel_is_found_by_name() -> None:
    rgb = np.zeros((20, 10, 3), np.uint8)
    segmenter = Segmenter(ThreeClasses(("sky", "dog", "person")))
    np.testing.assert_allclose(segmenter(rgb), np.full((20, 10), 0.2), atol=1e-6)
    maps = segmenter.probabilities(rgb)
    assert maps.shape == (20, 10, 3)
    np.testing.assert_allclose(maps[3, 4], [0, 0.1, 0.2], atol=1e-6)


def test_a_model_without_a_person_is_refused() -> None:
    with pytest.raises(ModelFileError, match="knows no person, only: sky, dog, cat"):
        Segmenter(ThreeClasses(("sky", "dog", "cat")))


def test_what_is_no_picture_is_refused(session: Session) -> None:
    segmenter = Segmenter(session)
    for wrong in (np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 3), np.float32)):
        with pytest.raises(ImageError, match="must be RGB uint8 HxWx3"):
            segmenter(wrong)
