"""Which versions had a hand in it, read from the installed packages' metadata: nothing is imported."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version


def versions(*packages: str) -> dict[str, str]:
    """The versions of Python, of edge-deeplab, and of those of ``packages`` that are installed, by their PyPI names."""
    found = {"python": platform.python_version()}
    for package in ("edge-deeplab", *packages):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
