"""Colours of classes against Pascal VOC's, and what is painted where."""

from __future__ import annotations

import numpy as np

from edge_deeplab.evaluation.class_colours import names_in, overlay, voc_colours


def test_the_colours_are_pascal_vocs() -> None:
    """As in the palette of the data set's masks: aeroplane, bicycle, person, train, void."""
    known = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 15: (192, 128, 128), 19: (128, 192, 0), 255: (224, 224, 192)}
    for index, colour in known.items():
        assert tuple(voc_colours()[index]) == colour
    assert len(np.unique(voc_colours(), axis=0)) == 256


def test_a_class_shines_and_the_background_is_dimmed() -> None:
    photo = np.full((4, 6, 3), 90, np.uint8)
    classes = np.zeros((4, 6), np.uint8)
    classes[:, 3:] = 15
    painted = overlay(photo, classes)
    assert (painted[:, :3] == 30).all()
    assert (painted[:, 3:] == np.rint([0.4 * 90 + 0.6 * c for c in (192, 128, 128)])).all()


def test_names_come_by_size_without_background_and_ignored() -> None:
    classes = np.array([[0, 0, 0, 0], [2, 2, 1, 255]], np.uint8)
    assert names_in(classes, ("background", "cat", "dog", "sofa")) == "dog, cat"
    assert names_in(classes * 0, ("background", "cat", "dog")) == ""
