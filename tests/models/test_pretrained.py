"""ImageNet weights arrive with their normalization folded in, every layer of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn

from edge_deeplab.errors import CheckpointError
from edge_deeplab.models.backbones.mobilenet_v2 import MobileNetV2
from edge_deeplab.models.layers import ConvBNAct
from edge_deeplab.models.pretrained import load_folded, load_torchvision
from edge_deeplab.training.keras_weights import read_keras_npz

_SHARED = Path(__file__).resolve().parents[2] / "../shared/weights/tf2_mobilenet_v2_1.0_224_ptq_dequantized.npz"


def _torchvision_network() -> nn.Module:
    torch.manual_seed(0)
    network = torchvision.models.mobilenet_v2()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.uniform_(-0.5, 0.5)
    return network.eval()


def test_torchvisions_weights_compute_torchvisions_features() -> None:
    theirs = _torchvision_network()
    ours = MobileNetV2(output_stride=32).eval()
    load_torchvision(ours, theirs.state_dict())
    image = torch.rand(1, 3, 64, 64)
    normalized = torchvision.transforms.functional.normalize(image, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    with torch.no_grad():
        # The zero padding means another colour before and after normalization, so the stem is compared inside...
        stem = ours.stem(image)
        torch.testing.assert_close(
            stem[:, :, 1:, 1:], theirs.features[0](normalized)[:, :, 1:, 1:], rtol=1e-4, atol=1e-5
        )
        # ... and everything behind it as a whole.
        expected = theirs.features[1:18](stem)
        features = stem
        for block in ours.blocks:
            features = block(features)
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-4)


def _write_npz(path: Path, backbone: MobileNetV2, *, drop: int = 0) -> list[tuple[Tensor, Tensor]]:
    """Random folded weights in the file's layout, with a classification layer at the end."""
    torch.manual_seed(1)
    layers = [module.conv for module in backbone.modules() if isinstance(module, ConvBNAct)]
    arrays: dict[str, np.ndarray] = {}
    folded = []
    for index, conv in enumerate([*layers[drop:], nn.Conv2d(320, 1280, 1)]):
        weight, bias = torch.randn_like(conv.weight) * 0.2, torch.randn(conv.out_channels) * 0.1
        depthwise = conv.groups > 1
        name = f"{index:02d}_{'dw' if depthwise else 'conv'}"
        arrays[f"{name}_w"] = weight.permute(*((1, 2, 3, 0) if depthwise else (0, 2, 3, 1))).numpy().astype(np.float64)
        arrays[f"{name}_b"] = bias.numpy()
        folded.append((weight, bias))
    np.savez(path, **arrays)
    return folded


def test_folded_weights_compute_what_the_file_says(tmp_path: Path) -> None:
    backbone = MobileNetV2(output_stride=32)
    folded = _write_npz(tmp_path / "w.npz", backbone)
    images = torch.rand(4, 3, 64, 64)
    load_folded(backbone, read_keras_npz(tmp_path / "w.npz"), images)
    layers = [module for module in backbone.modules() if isinstance(module, ConvBNAct)]
    received: dict[int, Tensor] = {}
    for index, layer in enumerate(layers):
        layer.register_forward_pre_hook(lambda _, inputs, index=index: received.__setitem__(index, inputs[0]))
        layer.register_forward_hook(lambda _, inputs, output, index=index: received.__setitem__(-1 - index, output))
    with torch.no_grad():
        backbone.eval()(images)
    for index, (layer, (weight, bias)) in enumerate(zip(layers, folded[:-1], strict=True)):
        x = received[index] * 2 - 1 if index == 0 else received[index]  # Keras: x / 127.5 - 1
        conv = layer.conv
        expected = layer.act(
            nn.functional.conv2d(x, weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups)
        )
        inside = (..., slice(1, None), slice(1, None)) if index == 0 else ...
        torch.testing.assert_close(received[-1 - index][inside], expected[inside], rtol=1e-3, atol=1e-4)
    # In training mode the statistics of these very images are the ones that were stored: the output hardly moves.
    stored = layers[0].bn.running_mean.clone()
    backbone.train()(images)
    torch.testing.assert_close(layers[0].bn.running_mean, stored, rtol=1e-3, atol=1e-4)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    backbone = MobileNetV2()
    _write_npz(tmp_path / "short.npz", backbone, drop=2)
    with pytest.raises(CheckpointError, match="50 convolutions, and the backbone 51"):
        load_folded(backbone, read_keras_npz(tmp_path / "short.npz"), torch.rand(2, 3, 64, 64))
    _write_npz(tmp_path / "whole.npz", backbone)
    with pytest.raises(CheckpointError, match=r"another width multiplier"):
        load_folded(MobileNetV2(width_multiplier=0.5), read_keras_npz(tmp_path / "whole.npz"), torch.rand(2, 3, 64, 64))
    with pytest.raises(CheckpointError, match=r"another width multiplier"):
        load_torchvision(MobileNetV2(width_multiplier=0.5), _torchvision_network().state_dict())


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(CheckpointError, match="holds no folded MobileNetV2 weights"):
        load_folded(MobileNetV2(), read_keras_npz(tmp_path / "text.npz"), torch.rand(2, 3, 64, 64))
    with pytest.raises(CheckpointError, match="there is no weight file"):
        load_folded(MobileNetV2(), read_keras_npz(tmp_path / "none.npz"), torch.rand(2, 3, 64, 64))


@pytest.mark.shared_data
@pytest.mark.skipif(not _SHARED.is_file(), reason="../shared/weights is not beside this checkout")
def test_the_shared_weights_fill_every_layer() -> None:
    torch.manual_seed(0)
    backbone = MobileNetV2()
    before = [module.conv.weight.clone() for module in backbone.modules() if isinstance(module, ConvBNAct)]
    load_folded(backbone, read_keras_npz(_SHARED), torch.rand(2, 3, 64, 64))
    after = [module.conv.weight for module in backbone.modules() if isinstance(module, ConvBNAct)]
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
