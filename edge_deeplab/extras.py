"""Optional packages: asked for before the work, so that nobody waits to hear of a missing one."""

from __future__ import annotations

from importlib.util import find_spec

from edge_deeplab.errors import MissingExtraError


def require_extra(extra: str, purpose: str, *packages: str) -> None:
    """See that packages of an extra are installed, without importing them.

    Args:
        extra: the extra of pyproject.toml that brings them.
        purpose: who needs them, as the subject of the message.
        packages: import names.

    Raises:
        MissingExtraError: one is missing.
    """
    for package in packages:
        if find_spec(package) is None:
            raise MissingExtraError(package, extra, purpose)
