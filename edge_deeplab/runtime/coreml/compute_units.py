"""Which processors Core ML may use, in the words of Apple's MLComputeUnits."""

from __future__ import annotations

from enum import StrEnum


class ComputeUnits(StrEnum):
    """A choice of processors on macOS; the system decides among them for each part of a model."""

    ALL = "all"
    CPU_ONLY = "cpu-only"
    CPU_AND_GPU = "cpu-and-gpu"
    CPU_AND_NE = "cpu-and-ne"
