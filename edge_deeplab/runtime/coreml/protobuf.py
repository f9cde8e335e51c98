"""Core ML's protobuf classes, out of the coremltools package but without importing coremltools.

``import coremltools`` starts PyTorch and TensorFlow where they are installed (half a minute on a slow machine) and
prints what it thinks of their versions. The generated classes in its folder ``proto`` need none of it: that folder is
imported here as a package of its own, in a fraction of a second. Protobuf keeps one class for each message, so that a
later ``import coremltools`` gets the same classes.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from edge_deeplab.errors import MissingExtraError

_NAME = "edge_deeplab_coreml_proto"  # under which the folder is known to Python: its modules import each other


@cache
def messages() -> ModuleType:
    """The package with ``Model_pb2`` and ``MIL_pb2``.

    Raises:
        MissingExtraError: coremltools is not installed.
    """
    found = find_spec("coremltools")
    if found is None or not found.submodule_search_locations:
        raise MissingExtraError("coremltools", "convert", "reading a Core ML package")
    folder = Path(next(iter(found.submodule_search_locations))) / "proto"
    spec = spec_from_file_location(_NAME, folder / "__init__.py", submodule_search_locations=[str(folder)])
    assert spec is not None
    assert spec.loader is not None
    package = module_from_spec(spec)
    sys.modules[_NAME] = package
    try:
        spec.loader.exec_module(package)
    except ImportError as error:  # protobuf is not there
        del sys.modules[_NAME]
        raise MissingExtraError("protobuf", "convert", "reading a Core ML package") from error
    return package
