"""The one refusal of the operators: pure functions on arrays know of no file, so that who runs them adds its name."""

from __future__ import annotations


class UnsupportedError(Exception):
    """An operator was asked for something that it does not do, or that is ambiguous: the message says what."""
