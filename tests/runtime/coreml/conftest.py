"""Core ML packages, written by coremltools: of single operators, and of the small network in every compression."""

from __future__ import annotations

import logging
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from edge_deeplab.models.deeplab import DeepLab, Deployed
from edge_deeplab.runtime.coreml.executor import Executor
from edge_deeplab.runtime.coreml.package import load_model, model_file
from edge_deeplab.runtime.coreml.program import read_program
from edge_deeplab.spec import ModelSpec

MODEL = Path("Data/com.apple.CoreML/model.mlmodel")
WEIGHTS = Path("Data/com.apple.CoreML/weights/weight.bin")

WriteOperators = Callable[..., Path]
EditModel = Callable[[Path, Callable[[Any], None]], Path]


@contextmanager
def quietly() -> Iterator[None]:
    """coremltools warns of everything that is newer than itself."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@pytest.fixture(scope="session")
def coremltools() -> ModuleType:
    """The package, imported without TensorFlow, which it would start although nothing here needs it."""
    hidden = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "tensorflow"}
    with pytest.MonkeyPatch.context() as patch, quietly():
        for name in hidden:
            patch.delitem(sys.modules, name)
        patch.setitem(sys.modules, "tensorflow", None)
        patch.setenv("TQDM_DISABLE", "1")
        import coremltools
    return coremltools


@pytest.fixture
def write_operators(coremltools: ModuleType, tmp_path: Path) -> WriteOperators:
    """Write a package of a few operators: ``body`` gets one variable for each shape and gives the result."""
    from coremltools.converters.mil import Builder
    from coremltools.converters.mil.mil import types

    def write(body: Callable[..., Any], *shapes: Sequence[int], target: str = "iOS17", float16: bool = False) -> Path:
        opset = coremltools.target[target]
        element = types.fp16 if float16 else types.fp32
        path = tmp_path / f"operators-{len(list(tmp_path.iterdir()))}.mlpackage"
        with quietly():
            inputs = [Builder.TensorSpec(shape=tuple(shape), dtype=element) for shape in shapes]
            coremltools.convert(
                Builder.program(input_specs=inputs, opset_version=opset)(body),
                convert_to="mlprogram",
                minimum_deployment_target=opset,
                compute_precision=coremltools.precision.FLOAT16 if float16 else coremltools.precision.FLOAT32,
                pass_pipeline=coremltools.PassPipeline.EMPTY,  # what is written is what was meant
                skip_model_load=True,
            ).save(str(path))
        return path

    return write


@pytest.fixture(scope="session")
def execute() -> Callable[..., np.ndarray]:
    """Run a package of operators with arrays instead of a picture: its only result."""

    def run(package: Path, *arrays: np.ndarray, imitate_float16: bool = False) -> np.ndarray:
        file = model_file(package)
        program = read_program(load_model(file).mlProgram, file)
        executor = Executor(program, package, imitate_float16=imitate_float16)
        (result,) = executor.run(dict(zip(program.inputs, arrays, strict=True))).values()
        return result

    return run


@pytest.fixture
def edit_model(tmp_path: Path) -> EditModel:
    """Copy a package, and change its protobuf by a function."""

    def edit(package: Path, change: Callable[[Any], None]) -> Path:
        copy = tmp_path / f"edited-{len(list(tmp_path.iterdir()))}.mlpackage"
        shutil.copytree(package, copy)
        model = load_model(copy / MODEL)
        change(model)
        (copy / MODEL).write_bytes(model.SerializeToString())
        return copy

    return edit


@pytest.fixture(scope="session")
def small_packages(
    coremltools: ModuleType,
    small_network: DeepLab,
    small_spec: ModelSpec,
    tmp_path_factory: pytest.TempPathFactory,
) -> Mapping[str, Path]:
    """The small network as packages: float32, float16, image (grayscale output), int8, palette6, palette4.

    Beside each compressed one, ``NAME-decompressed``: the same weights, made float32 by coremltools itself.
    """
    from coremltools.optimize import coreml as optimize

    folder = tmp_path_factory.mktemp("coreml")
    shape = (1, 3, small_spec.height, small_spec.width)
    deployed = Deployed(small_network, small_spec.network.num_classes).eval()
    packages: dict[str, Path] = {}

    def keep(name: str, model: Any) -> Any:
        packages[name] = folder / f"{name}.mlpackage"
        model.save(str(packages[name]))
        return model

    def convert(network: torch.nn.Module, precision: str, output: Any) -> Any:
        with torch.no_grad():
            traced = torch.jit.trace(network, torch.rand(shape))
        image = coremltools.ImageType(name="image", shape=shape, scale=1 / 255, color_layout="RGB")
        return coremltools.convert(
            traced,
            convert_to="mlprogram",
            inputs=[image],
            outputs=[output],
            compute_precision=coremltools.precision[precision],
            minimum_deployment_target=coremltools.target.iOS16,
            skip_model_load=True,
        )

    probability = coremltools.TensorType(name="probability", dtype=np.float32)
    mask = coremltools.ImageType(name="mask", color_layout="G")
    symmetric = optimize.OpLinearQuantizerConfig(mode="linear_symmetric", weight_threshold=256)
    with quietly():
        float32 = keep("float32", convert(deployed, "FLOAT32", probability))
        keep("float16", convert(deployed, "FLOAT16", probability))
        keep("image", convert(_Gray(deployed).eval(), "FLOAT32", mask))
        compressed = {
            "int8": optimize.linear_quantize_weights(float32, optimize.OptimizationConfig(global_config=symmetric))
        }
        for bits in (6, 4):
            palette = optimize.OpPalettizerConfig(mode="uniform", nbits=bits, weight_threshold=256)
            configuration = optimize.OptimizationConfig(global_config=palette)
            compressed[f"palette{bits}"] = optimize.palettize_weights(float32, configuration)
        for name, model in compressed.items():
            keep(name, model)
            keep(f"{name}-decompressed", optimize.decompress_weights(model))
    return packages


class _Gray(torch.nn.Module):
    """Probabilities as the 0..255 of a picture."""

    def __init__(self, deployed: torch.nn.Module) -> None:
        super().__init__()
        self.deployed = deployed

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.deployed(image) * 255
