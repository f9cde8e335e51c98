"""Tiny networks: a second thread costs more than it brings, and much more on a busy machine."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, scope="session")
def _one_thread(one_thread: None) -> None:
    """Every test of this folder."""
