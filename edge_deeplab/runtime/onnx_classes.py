"""The names of the classes in an ONNX file itself: an entry of its ``metadata_props`` (onnx.proto, ModelProto).

ONNX knows no field for them. The sidecar has them, too; this is for a file that travels alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

KEY = "classes"
"""Of the entry. Its value is a JSON list with a name for each output channel, in their order."""


def classes_text(classes: Sequence[str]) -> str:
    """The value of the entry."""
    return json.dumps(list(classes))


def classes_in(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """The names that a file's metadata hold; empty where there are none, or what stands there is no list of names."""
    try:
        names = json.loads(metadata.get(KEY, "[]"))
    except ValueError:
        return ()  # another program's entry of that name
    return tuple(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else ()
