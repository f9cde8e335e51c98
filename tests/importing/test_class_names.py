"""Names of classes: told, or those of the data set that has as many."""

from __future__ import annotations

import pytest

from edge_deeplab.errors import SpecError
from edge_deeplab.importing.class_names import class_names


def test_known_numbers_of_classes() -> None:
    assert class_names(2, None) == ("background", "person")
    assert class_names(21, None)[15] == "person"


def test_they_are_told() -> None:
    assert class_names(3, "background, cat ,dog") == ("background", "cat", "dog")


@pytest.mark.parametrize(
    ("count", "told", "said"),
    [
        (5, None, "5 classes and does not name them"),
        (3, "a,b", "2 different names, and the file 3"),
        (2, "a,a", "1 different names"),
        (2, "a,", "1 different names"),
        (1, "", "0 different names"),
    ],
)
def test_others_are_refused(count: int, told: str | None, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        class_names(count, told)
