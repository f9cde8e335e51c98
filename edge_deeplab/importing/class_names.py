"""Names for the classes of a model that does not bring any."""

from __future__ import annotations

from edge_deeplab.data.sample import BACKGROUND
from edge_deeplab.data.voc import VOC_CLASSES
from edge_deeplab.errors import SpecError
from edge_deeplab.spec import PERSON

# Data sets that are known by the number of their classes; research/deeplab counts the background first.
_KNOWN = {2: (BACKGROUND, PERSON), len(VOC_CLASSES): VOC_CLASSES}


def class_names(count: int, told: str | None) -> tuple[str, ...]:
    """The name of each class.

    Args:
        count: how many classes the model has.
        told: their names with commas between; None: those of the data set that has as many.

    Raises:
        SpecError: none are told and no such data set is known; or there are too few, too many, empty or equal ones.
    """
    if told is None:
        if count not in _KNOWN:
            raise SpecError(f"the file has {count} classes and does not name them: give --classes a,b,... in its order")
        return _KNOWN[count]
    names = tuple(name.strip() for name in told.split(","))
    if len(names) != count or not all(names) or len(set(names)) != count:
        raise SpecError(f"--classes has {len(set(filter(None, names)))} different names, and the file {count} classes")
    return names
