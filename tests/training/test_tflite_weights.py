"""A warm start from TFLite files: the peers', our own, and bad ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from torch import Tensor, nn

from converters.tflite_probe import tensor_values
from converters.tflite_schema import op_index, op_name, read_model, write_model
from edge_deeplab.cli.main import run
from edge_deeplab.data.bundled import bundled_portrait
from edge_deeplab.data.opening import open_dataset
from edge_deeplab.errors import CheckpointError, ModelFileError, SpecError
from edge_deeplab.image import resize_area
from edge_deeplab.models.backbones.mobilenet_v2 import MobileNetV2
from edge_deeplab.models.deeplab import DeepLab, build_network
from edge_deeplab.models.layers import ConvBNAct
from edge_deeplab.models.loading import load_network
from edge_deeplab.models.pretrained import load_folded
from edge_deeplab.quantization.fold import fold_batchnorm
from edge_deeplab.runtime.foreign.adaptation import InputRange
from edge_deeplab.runtime.tflite_file import inspect_tflite
from edge_deeplab.spec import ModelSpec, Precision
from edge_deeplab.training.initialization import initialize_backbone
from edge_deeplab.training.tflite_weights import read_tflite
from edge_deeplab.weights import shipped_model

_SHARED = Path(__file__).resolve().parents[2] / "../shared"
_PEERS = _SHARED / "peers"


def _convolutions(module: nn.Module) -> list[ConvBNAct]:
    return [layer for layer in module.modules() if isinstance(layer, ConvBNAct)]


@pytest.mark.shared_data
@pytest.mark.skipif(not _PEERS.is_dir(), reason="../shared/peers is not beside this checkout")
@pytest.mark.parametrize(
    ("name", "width", "output_stride", "told"),
    [
        ("deeplabv3_mnv2_pascal_quant", 1.0, 16, None),
        ("deeplabv3_mnv2_dm05_pascal_quant", 0.5, 16, None),
        ("deeplab_aiseg513_dm05_float", 0.5, 8, InputRange.uniform(-1, 1)),  # kernels written out with zeros
    ],
)
def test_each_layer_computes_what_the_file_does(
    name: str, width: float, output_stride: int, told: InputRange | None
) -> None:
    """At 513x513, where TensorFlow's padding is ours: every layer is given what LiteRT gave to the file's own.

    The file rounds what it gives to its grid: half a step, and a little for the integer kernel's own rounding.
    """
    path = _PEERS / f"{name}.tflite"
    backbone = MobileNetV2(width_multiplier=width, channel_divisor=8 if width == 1 else 4, output_stride=output_stride)
    photo = resize_area(bundled_portrait(), 513, 513)
    image = torch.from_numpy(photo).permute(2, 0, 1)[None] / 255
    load_folded(backbone, read_tflite(path, told), torch.nn.functional.avg_pool2d(image, 4))
    graph = inspect_tflite(path)
    values = tensor_values(path.read_bytes(), photo if told is None else photo / np.float32(127.5) - 1)
    nodes = [node for node in graph.operators if node.name in ("CONV_2D", "DEPTHWISE_CONV_2D")]
    layers = _convolutions(backbone.eval())
    for place, (layer, node) in enumerate(zip(layers, nodes, strict=False)):
        source, target = node.inputs[0], node.outputs[0]
        received, expected = (_real(values[tensor.index], tensor) for tensor in (source, target))
        if place == 0:
            received = (received + 1) / 2
        with torch.no_grad():
            found = layer(received)
        assert found.shape == expected.shape, (place, node.outputs[0].name)
        if place == 0:  # its padding is black here, and grey there
            found, expected = found[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1]
        step = target.scales[0] if target.scales else 1e-4 * float(expected.abs().max())
        if target.scales:  # the grid of a linear layer ends where calibration did
            found = found.clamp(float(_limit(0, target)), float(_limit(255, target)))
        assert float(expected.std()) > 2 * step  # nobody compares two blank tensors
        assert float((found - expected).abs().max()) <= 0.51 * step, (place, node.outputs[0].name)


def _limit(integer: int, tensor: Any) -> float:
    return float((integer - tensor.zero_points[0]) * tensor.scales[0])


def _real(values: np.ndarray, tensor: Any) -> Tensor:
    """NHWC integers or floats -> NCHW real numbers."""
    real = torch.from_numpy(values.astype(np.float32)).permute(0, 3, 1, 2)
    return (real - tensor.zero_points[0]) * tensor.scales[0] if tensor.scales else real


@pytest.mark.shared_data
@pytest.mark.skipif(not _PEERS.is_dir(), reason="../shared/peers is not beside this checkout")
def test_the_whole_backbone_sees_what_the_file_sees() -> None:
    """Error by error on top of each other, and grey against black at the border: the features remain the same."""
    path = _PEERS / "deeplabv3_mnv2_dm05_pascal_quant.tflite"
    backbone = MobileNetV2(width_multiplier=0.5, channel_divisor=4).eval()
    photo = resize_area(bundled_portrait(), 513, 513)
    image = torch.from_numpy(photo).permute(2, 0, 1)[None] / 255
    load_folded(backbone, read_tflite(path), torch.nn.functional.avg_pool2d(image, 4))
    graph = inspect_tflite(path)
    pool = next(node for node in graph.operators if node.name == "AVERAGE_POOL_2D").inputs[0]
    expected = _real(tensor_values(path.read_bytes(), photo)[pool.index], pool)
    with torch.no_grad():
        _, found = backbone(image)
    both = torch.stack([found[..., 2:-2, 2:-2].flatten(), expected[..., 2:-2, 2:-2].flatten()])
    assert float(torch.corrcoef(both)[0, 1]) > 0.97


def test_the_shipped_files_integers_are_its_checkpoint() -> None:
    """int8 per channel: the weights of the .tflite file are those of the checkpoint that it was converted from."""
    network, _ = load_network(shipped_model().with_suffix(".safetensors"))
    weights = read_tflite(shipped_model())
    assert (weights.mean, weights.deviation) == ((0.0,) * 3, (1.0,) * 3)
    folded = _convolutions(fold_batchnorm(network).backbone)
    operators = inspect_tflite(shipped_model()).operators
    steps = {node.inputs[1].name: node.inputs[2].scales for node in operators if "CONV_2D" in node.name}
    for layer, expected in zip(weights.layers, folded, strict=False):
        # One integer more or less would be 1/127 at least.
        torch.testing.assert_close(layer.weight, expected.conv.weight.data, rtol=1e-6, atol=0)
        assert expected.conv.bias is not None
        step = torch.tensor(steps[layer.name], dtype=torch.float64)  # of the file's int32
        integers = (expected.conv.bias.data.double() / step).round()
        torch.testing.assert_close(layer.bias.double(), integers * step, rtol=1e-6, atol=0)


@pytest.mark.convert
@pytest.mark.parametrize(("precision", "error"), [("float32", 1e-6), ("float16", 1e-3), ("dynamic", 6e-3)])
def test_our_own_files_give_our_weights_back(
    small_flatbuffers: Mapping[Precision, bytes],
    small_network: DeepLab,
    small_spec: ModelSpec,
    tmp_path: Path,
    precision: str,
    error: float,
) -> None:
    """dynamic: int8 weights, where half a step is 1/254 of a channel's greatest; float16: rounded behind 11 bits."""
    path = tmp_path / "small.tflite"
    path.write_bytes(small_flatbuffers[Precision(precision)])
    with pytest.raises(SpecError, match="does not say what it takes for black and white"):
        read_tflite(path)
    weights = read_tflite(path, InputRange.uniform(0, 1))
    folded = _convolutions(fold_batchnorm(small_network).backbone)
    for layer, expected in zip(weights.layers, folded, strict=False):
        greatest = float(expected.conv.weight.detach().abs().max())
        torch.testing.assert_close(layer.weight, expected.conv.weight.data, rtol=0, atol=error * greatest)
    # And with BatchNorms given back, the features are those of the network that the file was made of.
    backbone = build_network(small_spec.network).backbone
    images = torch.rand(4, 3, 96, 96)
    load_folded(backbone, weights, images)
    with torch.no_grad():
        found, expected_features = backbone.eval()(images)[1], small_network.backbone(images)[1]
    assert float((found - expected_features).norm() / expected_features.norm()) < 100 * error


@pytest.mark.convert
def test_train_starts_from_a_file(
    small_float32_tflite: Path, small_network: DeepLab, made_persons: Path, tmp_path: Path
) -> None:
    words = ["train", str(made_persons), "--input-size", "96", "--width", "0.35", "--head-channels", "8"]
    # One step at no rate worth mentioning: what is saved is where it started.
    words += ["--epochs", "1", "--batch-size", "32", "--lr", "1e-9", "--workers", "0", "--accelerator", "cpu"]
    words += ["--precision", "float32", "--init", str(small_float32_tflite), "--out", str(tmp_path / "run")]
    assert run(words) == 1
    assert not (tmp_path / "run").exists()
    assert run([*words, "--init-range", "0", "1", "--turn", "0.5", "--rotation", "0"]) == 0
    trained, checkpoint = load_network(tmp_path / "run/model.safetensors")
    assert checkpoint.notes["recipe"]["augmentation"]["turn"] == 0.5
    assert checkpoint.notes["recipe"]["augmentation"]["rotation"] == 0.0
    for layer, expected in zip(
        _convolutions(trained.backbone), _convolutions(fold_batchnorm(small_network).backbone), strict=True
    ):
        torch.testing.assert_close(layer.conv.weight.data, expected.conv.weight.data, rtol=1e-4, atol=1e-5)


def test_only_a_tflite_file_has_a_range(made_persons: Path, small_spec: ModelSpec, tmp_path: Path) -> None:
    data, network = open_dataset(made_persons, split="train"), build_network(small_spec.network)
    before = network.backbone.stem.conv.weight.clone()
    for init, said in (("none", "--init-range goes with a .tflite"), ("w.pth", "--init-range goes with")):
        with pytest.raises(SpecError, match=said):
            initialize_backbone(network, init, data, small_spec, input_range=InputRange.uniform(0, 1))
    with pytest.raises(SpecError, match=r"w\.pth is not known"):
        initialize_backbone(network, "w.pth", data, small_spec)
    assert torch.equal(network.backbone.stem.conv.weight, before)


def _spoiled(change: Callable[[Any], None], place: Path) -> Path:
    model = read_model(shipped_model().read_bytes())
    change(model)
    place.write_bytes(write_model(model))
    return place


def _weight(model: Any) -> Any:
    """The weights of the first convolution."""
    graph = model.subgraphs[0]
    return graph.tensors[next(node for node in graph.operators if op_name(model, node) == "CONV_2D").inputs[1]]


def _drop_scales(model: Any) -> None:
    _weight(model).quantization = None


def _cut_weights(model: Any) -> None:
    buffer = model.buffers[_weight(model).buffer]
    buffer.data = np.asarray(buffer.data)[:-1]


def _negative_scale(model: Any) -> None:
    _weight(model).quantization.scale = -np.asarray(_weight(model).quantization.scale)


def _infinite_scale(model: Any) -> None:
    _weight(model).quantization.scale = np.full(32, np.inf, np.float32)


def _infinite_weights(model: Any) -> None:
    _weight(model).quantization.scale = np.full(32, 3e38, np.float32)


def _other_type(model: Any) -> None:
    _weight(model).type = schema.TensorType.INT16


def _computed_weights(model: Any) -> None:
    graph = model.subgraphs[0]
    nodes = [node for node in graph.operators if op_name(model, node) == "CONV_2D"]
    nodes[1].inputs[1] = nodes[0].outputs[0]


def _grey_input(model: Any) -> None:
    image = model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]]
    image.shape = np.array([*image.shape[:3], 1], np.int32)


def _counted_input(model: Any) -> None:
    model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]].type = schema.TensorType.INT32


def _flat_weights(model: Any) -> None:
    _weight(model).shape = np.array([32, 27], np.int32)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_drop_scales, "integers without a scale"),
        (_cut_weights, "truncated or damaged"),
        (_negative_scale, "truncated or damaged"),
        (_infinite_scale, "truncated or damaged"),
        (_infinite_weights, "not finite"),
        (_other_type, "elements of type INT16"),
        (_computed_weights, "no values in the file"),
        (_grey_input, "takes no RGB picture"),
        (_counted_input, "takes int32"),
        (_flat_weights, "no weights of four dimensions"),
    ],
)
def test_a_damaged_file_is_refused(change: Callable[[Any], None], said: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=said):
        read_tflite(_spoiled(change, tmp_path / "bad.tflite"))


def test_what_is_no_tflite_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="cannot be read"):
        read_tflite(tmp_path / "none.tflite")
    (tmp_path / "text.tflite").write_text("hello, world")
    with pytest.raises(ModelFileError, match="not a TFLite file"):
        read_tflite(tmp_path / "text.tflite")
    content = shipped_model().read_bytes()
    for share in (0.1, 0.5, 0.99):
        (tmp_path / "cut.tflite").write_bytes(content[: int(share * len(content))])
        with pytest.raises(ModelFileError, match="truncated or damaged"):
            read_tflite(tmp_path / "cut.tflite")


def _multiplies(model: Any) -> None:
    """A BatchNorm that is not folded: what used to be the first sum of two branches multiplies."""
    node = next(node for node in model.subgraphs[0].operators if op_name(model, node) == "ADD")
    node.opcodeIndex, node.builtinOptionsType, node.builtinOptions = op_index(model, "MUL", 2), 0, None


def _adds_a_constant(model: Any) -> None:
    graph = model.subgraphs[0]
    node = next(node for node in graph.operators if op_name(model, node) == "ADD")
    node.inputs[1] = next(place for place, tensor in enumerate(graph.tensors) if tensor is _weight(model))


@pytest.mark.parametrize(("change", "end"), [(_multiplies, "MUL"), (_adds_a_constant, "ADD")])
def test_a_batchnorm_that_is_not_folded_is_not_overlooked(
    change: Callable[[Any], None], end: str, tmp_path: Path
) -> None:
    weights = read_tflite(_spoiled(change, tmp_path / "raw.tflite"))
    with pytest.raises(
        CheckpointError, match=f"raw.tflite has 9 convolutions before its first {end}, and the backbone"
    ):
        load_folded(MobileNetV2(), weights, torch.rand(2, 3, 64, 64))


def test_another_network_leaves_the_backbone_as_it_was() -> None:
    backbone = MobileNetV2(width_multiplier=0.5)
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"convolution 0 .* shape \(32, 3, 3, 3\).* wants \(16, 3, 3, 3\)"):
        load_folded(backbone, read_tflite(shipped_model()), torch.rand(2, 3, 64, 64))
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())
