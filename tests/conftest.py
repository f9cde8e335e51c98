"""What several folders of tests share: a small trained network, and its converted files.

Heavy packages are imported where they are used, so that a test of the light parts starts at once.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray
from PIL import Image

from converters.tflite_schema import new_buffer, op_index, op_name, read_model, write_model
from edge_deeplab import weights
from edge_deeplab.checkpoint import load_checkpoint
from edge_deeplab.image import write_image
from edge_deeplab.spec import ModelSpec, Precision
from edge_deeplab.weights import shipped_model

if TYPE_CHECKING:
    from torch import nn

    from edge_deeplab.models.deeplab import DeepLab

Normalization = tuple[float, float] | tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and deviation, one of each or one for each channel."""

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
def made_classes(made_persons: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made persons with masks of three classes: background, body, and what is in the upper half, head."""
    folder = shutil.copytree(made_persons, tmp_path_factory.mktemp("made_classes") / "made")
    for path in (folder / "masks").iterdir():
        with Image.open(path) as image:
            mask = np.asarray(image) // 255
        upper = np.arange(len(mask))[:, None] < len(mask) // 2
        Image.fromarray(mask * np.where(upper, 2, 1).astype(np.uint8)).save(path)
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
    return _run_of(small_recipe, tested_persons, tmp_path_factory.mktemp("recipe_run"))


def _run_of(recipe: Path, data: Path, out: Path) -> Path:
    from edge_deeplab.cli.main import run

    words = ["train", data, "--recipe", recipe, "--out", out, "--accelerator", "cpu"]
    assert run([str(word) for word in words]) == 0
    return out


@pytest.fixture(scope="session")
def settling_recipe(small_recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small recipe with a settling in which the network hardly moves, deployed on other pixels."""
    path = tmp_path_factory.mktemp("settling") / "recipe.toml"
    settling = "[settling]\nepochs = 1\nlearning_rate = 1e-12\naugmentation.scale = [1.0, 1.1]\n"
    settling += "[deployed]\nheight = 96\nwidth = 80\n"
    path.write_text(f'base = "{small_recipe}"\nname = "settling"\n{settling}')
    return path


@pytest.fixture(scope="session")
def settled_run(
    tested_persons: Path, settling_recipe: Path, one_thread: None, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """As recipe_run, with the settling recipe: three stages. Do not change it: copy it."""
    return _run_of(settling_recipe, tested_persons, tmp_path_factory.mktemp("settled_run"))


@pytest.fixture(scope="session")
def torchvision_deeplab() -> Callable[[str], nn.Module]:
    """torchvision's function name to its DeepLabV3 for three classes, in eval mode, with random weights; its BatchNorms
    have seen random pictures. ResNets with their auxiliary classifier.
    """
    import torch
    from torchvision.models import segmentation

    def build(name: str) -> nn.Module:
        torch.manual_seed(0)
        network: nn.Module = getattr(segmentation, name)(
            weights=None, weights_backbone=None, num_classes=3, aux_loss="resnet" in name
        )
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.data.uniform_(0.5, 1.0)
                module.bias.data.uniform_(-0.2, 0.2)
                module.momentum = None  # the mean of what it sees
        # With statistics that nobody has seen the scores hardly depend on the picture.
        with torch.no_grad():
            network.train()(torch.randn(4, 3, 97, 80))
        return network.eval()

    return build


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


@pytest.fixture(scope="session")
def shipped_operators() -> list[str]:
    """The shipped file's operators, by the schema's own reader."""
    model = read_model(shipped_model().read_bytes())
    return [op_name(model, operator) for operator in model.subgraphs[0].operators]


@pytest.fixture(scope="session")
def published_model() -> Path:
    """The shipped file that stands for anybody's: 256x256 pixels, as most that are published."""
    return shipped_model("portrait-open")


@pytest.fixture
def published(published_model: Path, tmp_path: Path) -> Callable[..., Path]:
    """That file after some edits, without a sidecar."""

    def write(
        *edits: Callable[[Sketch], None], labels: tuple[str, ...] = (), normalization: Normalization | None = None
    ) -> Path:
        sketch = Sketch(read_model(published_model.read_bytes()))
        for edit in edits:
            edit(sketch)
        archive = b""
        if labels or normalization:
            archive = sketch.describe(labels, normalization)
        path = tmp_path / f"published-{len(list(tmp_path.iterdir()))}.tflite"
        path.write_bytes(write_model(sketch.model) + archive)
        return path

    return write


class Sketch:
    """A shipped model, with operators put before its input and behind its output."""

    def __init__(self, model: Any) -> None:
        self.model, self.graph = model, model.subgraphs[0]
        self._before = 0
        self.model.metadata = None

    def tensor(self, like: int, type_: str, channels: int | None = None) -> int:
        """A new tensor with the sizes of another."""
        tensor = schema.TensorT()
        tensor.name, tensor.type = f"new_{len(self.graph.tensors)}", getattr(schema.TensorType, type_)
        shape = list(self.graph.tensors[like].shape)
        tensor.shape = shape if channels is None else [*shape[:3], channels]
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def constant(self, values: NDArray[Any]) -> int:
        """A new constant, float32 or int32."""
        tensor = schema.TensorT()
        tensor.name, tensor.shape = f"constant_{len(self.graph.tensors)}", list(values.shape)
        tensor.type = getattr(schema.TensorType, values.dtype.name.upper())
        tensor.buffer = new_buffer(self.model, values)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(self, name: str, inputs: list[int], output: int, options: Any = None, version: int = 1) -> Any:
        """A new operator, not yet in the graph."""
        operator = schema.OperatorT()
        operator.opcodeIndex = op_index(self.model, name, version)
        operator.inputs, operator.outputs = inputs, [output]
        if options is not None:
            kind = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType, operator.builtinOptions = getattr(schema.BuiltinOptions, kind), options
        return operator

    def float_before(self, low: float, high: float, *, reverse: bool = False) -> None:
        """A float input that takes low to high, and blue first on request."""
        old = int(self.graph.inputs[0])
        image = source = self.tensor(old, "FLOAT32")
        steps = []
        if reverse:
            mirrored = self.tensor(old, "FLOAT32")
            axis = self.constant(np.array([3], np.int32))
            steps.append(self.operator("REVERSE_V2", [source, axis], mirrored))
            source = mirrored
        scaled, shifted = self.tensor(old, "FLOAT32"), self.tensor(old, "FLOAT32")
        factor, offset = (self.constant(np.array([v], np.float32)) for v in (1 / (high - low), -low / (high - low)))
        steps.append(self.operator("MUL", [source, factor], scaled))
        steps.append(self.operator("ADD", [scaled, offset], shifted))
        steps.append(self.operator("QUANTIZE", [shifted], old))
        self._prepend(steps, image)

    def integer_before(self, type_: str, scale: float, zero_point: int) -> None:
        """An integer input before the float one."""
        old = int(self.graph.inputs[0])
        image = self.tensor(old, type_)
        quantization = schema.QuantizationParametersT()
        quantization.scale, quantization.zeroPoint = [scale], [zero_point]
        self.graph.tensors[image].quantization = quantization
        self._prepend([self.operator("DEQUANTIZE", [image], old, version=2)], image)

    def cut_the_sigmoid(self) -> int:
        """Make the float logit the output, (1, 256, 256, 1)."""
        operators = list(self.graph.operators)
        place, sigmoid = next((i, op) for i, op in enumerate(operators) if op_name(self.model, op) == "LOGISTIC")
        self.graph.operators = operators[:place]
        return self.append("DEQUANTIZE", [int(sigmoid.inputs[0])], version=2)

    def append(
        self,
        name: str,
        inputs: list[int],
        *,
        channels: int | None = None,
        type_: str = "FLOAT32",
        shape: tuple[int, ...] | None = None,
        options: Any = None,
        version: int = 1,
    ) -> int:
        """One more operator at the end, whose result is the output."""
        result = self.tensor(inputs[0], type_, channels)
        if shape is not None:
            self.graph.tensors[result].shape = list(shape)
        self.graph.operators.append(self.operator(name, inputs, result, options, version))
        self.graph.outputs = [result]
        return result

    def describe(self, labels: tuple[str, ...], normalization: Normalization | None) -> bytes:
        """Metadata as TFLite Support writes them; gives the archive to append."""
        entry = schema.MetadataT()
        entry.name = "TFLITE_METADATA"
        entry.buffer = new_buffer(self.model, np.frombuffer(_metadata(bool(labels), normalization), np.uint8))
        self.model.metadata = [entry]
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("labels.txt", "\n".join(labels) + "\n")
        return archive.getvalue()

    def _prepend(self, steps: list[Any], image: int) -> None:
        self.graph.operators = [*steps, *self.graph.operators]
        self.graph.inputs = [image]


def _metadata(labels: bool, normalization: Normalization | None) -> bytes:
    """A ModelMetadata flatbuffer (metadata_schema.fbs), written field by field."""
    builder = flatbuffers.Builder(256)
    text = builder.CreateString("labels.txt")
    file = _table(builder, 5, {0: text}, {2: 2})  # AssociatedFile: name; TENSOR_AXIS_LABELS
    target = _table(builder, 7, {6: _vector(builder, [file])} if labels else {})
    units = {}
    if normalization is not None:
        mean, deviation = (_floats(builder, np.atleast_1d(value).tolist()) for value in normalization)
        options = _table(builder, 2, {0: mean, 1: deviation})
        units = {4: _vector(builder, [_table(builder, 2, {1: options}, {0: 1})])}
    source = _table(builder, 7, units)
    inputs, outputs = _vector(builder, [source]), _vector(builder, [target])
    graphs = _vector(builder, [_table(builder, 12, {2: inputs, 3: outputs})])
    builder.Finish(_table(builder, 8, {3: graphs}), b"M001")
    return bytes(builder.Output())


def _table(builder: Any, size: int, offsets: dict[int, int], bytes_: dict[int, int] | None = None) -> int:
    builder.StartObject(size)
    for slot, offset in offsets.items():
        builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
    for slot, value in (bytes_ or {}).items():
        builder.PrependUint8Slot(slot, value, 0)
    return int(builder.EndObject())


def _vector(builder: Any, offsets: list[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _floats(builder: Any, values: list[float]) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependFloat32(value)
    return int(builder.EndVector())
