"""What several folders of tests share: a small trained network, and its converted files.

Heavy packages are imported where they are used, so that a test of the light parts starts at once.
"""

from __future__ import annotations

import csv
import importlib.util
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from edge_deeplab import weights
from edge_deeplab.checkpoint import load_checkpoint
from edge_deeplab.image import write_image
from edge_deeplab.spec import ModelSpec, Precision

if TYPE_CHECKING:
    from edge_deeplab.models.deeplab import DeepLab

_SMALL = Path(__file__).parent / "small_network" / "small.safetensors"  # made by train.py beside it


@pytest.fixture(scope="session")
def small_spec() -> ModelSpec:
    """A DeepLabV3+ with every kind of layer that the shipped one has, at 96x96: milliseconds for an image."""
    return load_checkpoint(_SMALL).spec


@pytest.fixture(scope="session")
def small_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small network, trained on made persons, as a .safetensors file in a folder of its own."""
    return Path(shutil.copy(_SMALL, tmp_path_factory.mktemp("checkpoint")))


@pytest.fixture(scope="session")
def small_network(small_checkpoint: Path) -> DeepLab:
    """The network in the small checkpoint, in eval mode. Do not change it: copy it."""
    from edge_deeplab.models.loading import load_network

    return load_network(small_checkpoint)[0]


@pytest.fixture(scope="session")
def small_onnx(small_network: DeepLab, small_spec: ModelSpec) -> bytes:
    """The small network, exported."""
    from converters.onnx import export

    return export(small_network, small_spec)


@pytest.fixture(scope="session")
def small_flatbuffers(small_onnx: bytes) -> Mapping[Precision, bytes]:
    """The small network as TFLite, in every floating-point precision. Starts TensorFlow: mark the test ``convert``."""
    from converters.tflite import FLOAT_PRECISIONS, flatbuffers

    return flatbuffers(small_onnx, FLOAT_PRECISIONS)


@pytest.fixture(scope="session")
def small_float32_tflite(
    small_flatbuffers: Mapping[Precision, bytes], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The small network as a float32 .tflite file. Starts TensorFlow: mark the test ``convert``."""
    path = tmp_path_factory.mktemp("tflite") / "small.tflite"
    path.write_bytes(small_flatbuffers[Precision.FLOAT32])
    return path


@pytest.fixture(scope="session")
def made_persons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 made persons of the kind that the small network knows, with masks: 32 in the split train, 8 in val."""
    place = Path(__file__).parent / "small_network" / "train.py"
    spec = importlib.util.spec_from_file_location("small_network_train", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder, random = tmp_path_factory.mktemp("made_persons"), np.random.default_rng(7)
    (folder / "masks").mkdir()
    with (folder / "manifest.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "source", "split"])
        for index in range(40):
            picture, mask = module.made_person(random, 120)
            write_image(folder / "images" / f"{index}.jpg", picture)
            Image.fromarray(mask * 255).save(folder / "masks" / f"{index}.png")
            table.writerow([index, "made", "val" if index % 5 == 4 else "train"])
    return folder


@pytest.fixture(scope="session")
def tested_persons(made_persons: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made persons with a split test: 32 in train, 4 in val, 4 in test."""
    folder = shutil.copytree(made_persons, tmp_path_factory.mktemp("tested_persons") / "made")
    manifest = folder / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",val", ",test", 4))
    return folder


@pytest.fixture(scope="session")
def one_thread() -> Iterator[None]:
    """PyTorch on one thread from here on: the order of sums is part of what a training run gives."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def small_recipe() -> Path:
    """A recipe whose run takes seconds, on made persons."""
    return _SMALL.with_name("recipe.toml")


@pytest.fixture(scope="session")
def recipe_run(
    tested_persons: Path, small_recipe: Path, one_thread: None, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of ``train --recipe`` with the small recipe, from beginning to end. Do not change it: copy it."""
    from edge_deeplab.cli.main import run

    out = tmp_path_factory.mktemp("recipe_run")
    words = ["train", tested_persons, "--recipe", small_recipe, "--out", out, "--accelerator", "cpu"]
    assert run([str(word) for word in words]) == 0
    return out


@pytest.fixture
def two_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package's folder of weights for this test: portrait, and a copy of it under the name of portrait-fast."""
    folder = tmp_path / "weights"
    folder.mkdir()
    for path in weights.FOLDER.glob("portrait.*"):
        shutil.copy(path, folder)
        other = folder / path.name.replace("portrait", "portrait-fast", 1)
        shutil.copy(path, other)
    card = folder / "portrait-fast.json"
    values = json.loads(card.read_text())
    files = {name.replace("portrait", "portrait-fast", 1): value for name, value in values["files"].items()}
    card.write_text(json.dumps(values | {"name": "portrait-fast", "files": files}))
    monkeypatch.setattr(weights, "FOLDER", folder)
    return folder
