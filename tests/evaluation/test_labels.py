from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_deeplab.errors import DatasetError
from edge_deeplab.evaluation.labels import labels_for
from edge_deeplab.segmenter import Segmenter

VOC = ("background", "cat", "person")


def test_a_person_model_on_coverage_masks(dataset_of: Any) -> None:
    labels = labels_for(("person",), dataset_of([]))
    assert labels.names == ("background", "person")
    assert labels.person == 1
    assert labels.truth(np.array([[0, 127, 128, 255]], dtype=np.uint8)).tolist() == [[0, 0, 1, 1]]
    mask, ignored = np.array([[0, 255, 255]], dtype=np.uint8), np.array([[True, True, False]])
    assert labels.truth(mask, ignored).tolist() == [[255, 255, 1]]
    assert labels.predicted(np.array([[[0.5], [0.4]]], dtype=np.float32), 1, 2).tolist() == [[1, 0]]


def test_a_person_model_on_class_masks_is_asked_for_the_person_only(dataset_of: Any) -> None:
    labels = labels_for(("person",), dataset_of([], VOC))
    assert labels.truth(np.array([[0, 1, 2, 255]], dtype=np.uint8)).tolist() == [[0, 0, 1, 255]]


def test_a_model_of_several_classes_on_person_masks_is_asked_for_its_person_channel(dataset_of: Any) -> None:
    labels = labels_for(VOC, dataset_of([]))
    probabilities = np.array([[[0.3, 0.1, 0.6], [0.3, 0.4, 0.3]]], dtype=np.float32)
    assert labels.predicted(probabilities, 1, 2).tolist() == [[1, 0]]


def test_the_same_several_classes_are_compared_all(dataset_of: Any) -> None:
    labels = labels_for(VOC, dataset_of([], VOC))
    probabilities = np.array([[[0.3, 0.1, 0.6], [0.3, 0.4, 0.3]]], dtype=np.float32)
    assert labels.names == VOC
    assert labels.person == 2
    assert labels.predicted(probabilities, 1, 2).tolist() == [[2, 1]]
    assert labels.truth(np.array([[0, 1, 2, 255]], dtype=np.uint8)).tolist() == [[0, 1, 2, 255]]


@pytest.mark.parametrize(
    ("model", "data", "words"),
    [
        (("background", "person", "cat"), VOC, "not the data set's"),
        (("dog",), VOC, "nothing to compare"),
        (VOC, ("dog",), "nothing to compare"),
    ],
)
def test_classes_that_do_not_fit_are_refused(
    dataset_of: Any, model: tuple[str, ...], data: tuple[str, ...], words: str
) -> None:
    with pytest.raises(DatasetError, match=words):
        labels_for(model, dataset_of([], data))


def test_decisions_at_the_picture_s_size_are_the_segmenter_s(dataset_of: Any, session_of: Any) -> None:
    rng = np.random.default_rng(1)
    output = rng.random((8, 8, 1), dtype=np.float32)
    rgb = rng.integers(0, 256, (23, 31, 3), dtype=np.uint8)
    alpha = Segmenter(session_of(lambda _: output))(rgb)
    predicted = labels_for(("person",), dataset_of([])).predicted(output, 23, 31)
    assert np.array_equal(predicted, alpha >= 0.5)
