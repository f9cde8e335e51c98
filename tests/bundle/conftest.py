"""Bundles as the command writes them: of the shipped int8 file, and of the small network's checkpoint."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from calibration.collect import collect_ranges
from calibration.images import open_calibration
from edge_deeplab.bundle.contract import Contract, load_contract
from edge_deeplab.cli.main import run
from edge_deeplab.files import sha256
from edge_deeplab.models.deeplab import DeepLab
from edge_deeplab.quantization.ranges import QuantRanges, ranges_path, save_ranges
from edge_deeplab.spec import ModelSpec
from edge_deeplab.weights import shipped_model

_TARGETS = ("tflite-int8", "tflite-float16", "coreml-float16")


@pytest.fixture(scope="session")
def shipped_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of the shipped int8 file. Do not change it: copy it."""
    out = tmp_path_factory.mktemp("bundles") / "shipped"
    assert run(["bundle", str(shipped_model()), "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="session")
def bundle_ranges(
    small_checkpoint: Path, small_network: DeepLab, small_spec: ModelSpec, made_persons: Path
) -> QuantRanges:
    """The small network's, observed on the pictures that it knows."""
    images = open_calibration(made_persons, split="train", count=32)
    return collect_ranges(small_network, small_spec, images, checkpoint_sha256=sha256(small_checkpoint))


@pytest.fixture(scope="session")
def small_bundle(
    small_checkpoint: Path, bundle_ranges: QuantRanges, made_persons: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The bundle of the small checkpoint, in three targets. Starts TensorFlow and coremltools: mark it ``convert``."""
    folder = tmp_path_factory.mktemp("small_bundle")
    checkpoint = Path(shutil.copy(small_checkpoint, folder))
    save_ranges(ranges_path(checkpoint), bundle_ranges)
    targets = [word for target in _TARGETS for word in ("--target", target)]
    words = ["bundle", str(checkpoint), "--out", str(folder / "out"), "--data", str(made_persons), "--split", "train"]
    assert run([*words, *targets]) == 0
    return folder / "out"


@pytest.fixture(scope="session")
def shipped_contract(shipped_bundle: Path) -> Contract:
    """Its contract, read."""
    return load_contract(shipped_bundle)
