"""The written package in Apple's own runtime, beside the reference executor: the only place where a test sees both."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from edge_deeplab.runtime.coreml.compute_units import ComputeUnits
from edge_deeplab.runtime.coreml.reference_session import CoremlReferenceSession
from edge_deeplab.runtime.coreml.system_session import CoremlSession
from edge_deeplab.runtime.opening import open_session

pytestmark = [
    pytest.mark.macos,
    pytest.mark.skipif(sys.platform != "darwin", reason="Core ML predicts on macOS only: run this file there"),
]

PICTURES = np.random.default_rng(0).integers(0, 256, (3, 96, 96, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("name", "units", "imitate_float16", "worst", "mean"),
    [
        ("float32", ComputeUnits.CPU_ONLY, False, 1e-4, 1e-5),
        ("float16", ComputeUnits.CPU_ONLY, True, 3e-2, 1e-3),
        ("float16", ComputeUnits.ALL, True, 3e-2, 1e-3),
        ("image", ComputeUnits.CPU_ONLY, False, 1 / 255 + 1e-4, 0.5 / 255),
        ("int8", ComputeUnits.CPU_ONLY, False, 1e-4, 1e-5),
        ("palette6", ComputeUnits.CPU_ONLY, False, 1e-4, 1e-5),
        ("palette4", ComputeUnits.CPU_ONLY, False, 1e-4, 1e-5),
    ],
)
def test_core_ml_agrees_with_the_executor(
    small_packages: Mapping[str, Path],
    name: str,
    units: ComputeUnits,
    imitate_float16: bool,
    worst: float,
    mean: float,
) -> None:
    with (
        CoremlSession(small_packages[name], compute_units=units) as system,
        CoremlReferenceSession(small_packages[name], imitate_float16=imitate_float16) as executor,
    ):
        assert (system.height, system.width, system.classes) == (96, 96, ("person",))
        errors = np.stack([np.abs(system.run(picture) - executor.run(picture)) for picture in PICTURES])
    assert errors.max() <= worst
    assert errors.mean() <= mean


def test_open_session_takes_core_ml(small_packages: Mapping[str, Path]) -> None:
    with open_session(small_packages["float32"], compute_units=ComputeUnits.CPU_ONLY) as session:
        assert session.runtime.startswith("Core ML of macOS")
        assert session.runtime.endswith("compute units cpu-only")
