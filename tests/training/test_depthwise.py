"""The fast gradients of depthwise convolutions are PyTorch's gradients, and training uses them."""

from __future__ import annotations

import copy
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from calibration.collect import collect_ranges
from calibration.images import bundled_calibration
from edge_deeplab.checkpoint import load_checkpoint
from edge_deeplab.models.deeplab import DeepLab, build_network
from edge_deeplab.quantization.graph import quantization_graph
from edge_deeplab.quantization.trainable import TrainableNetwork
from edge_deeplab.spec import NetworkSpec
from edge_deeplab.training.config import OptimizerKind, TeacherViews
from edge_deeplab.training.depthwise import depthwise_conv2d, fast_depthwise_gradients
from edge_deeplab.training.module import SegmentationModule
from edge_deeplab.training.quantization_aware import QuantizationAwareModule
from edge_deeplab.training.teacher import Distillation, Teacher

_CPU = torch.device("cpu")
_OURS, _PYTORCHS = "_DepthwiseConvolutionBackward", "ConvolutionBackward0"


def _gradients(y: Tensor, leaves: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    direction = torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return torch.autograd.grad(y, leaves, direction.to(y.dtype))


@settings(deadline=None, max_examples=80, derandomize=True)
@given(
    rows=st.integers(1, 21),
    columns=st.integers(1, 21),
    channels=st.integers(1, 9),
    batch=st.integers(1, 3),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 9),
    channels_last=st.booleans(),
)
def test_output_and_gradients_are_pytorchs(
    rows: int, columns: int, channels: int, batch: int, stride: int, dilation: int, channels_last: bool
) -> None:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(batch, channels, rows, columns, dtype=torch.float64, generator=random)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    weight = torch.randn(channels, 1, 3, 3, dtype=torch.float64, generator=random)
    leaves = (x.requires_grad_(), weight.requires_grad_())
    expected = functional.conv2d(x, weight, None, stride, dilation, dilation, channels)
    found = depthwise_conv2d(x, weight, stride, dilation)
    assert torch.equal(found, expected)
    for ours, theirs in zip(_gradients(found, leaves), _gradients(expected, leaves), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("which", [0, 1])
def test_one_gradient_alone_is_right(which: int) -> None:
    """A frozen backbone asks for none of its weights', and the first layer for none of the picture's."""
    leaves = [torch.randn(1, 4, 9, 9), torch.randn(4, 1, 3, 3)]
    leaves[which].requires_grad_()
    (found,) = _gradients(depthwise_conv2d(leaves[0], leaves[1], 1, 2), (leaves[which],))
    (expected,) = _gradients(functional.conv2d(leaves[0], leaves[1], None, 1, 2, 2, 4), (leaves[which],))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def _network() -> DeepLab:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        spec = NetworkSpec(
            width_multiplier=0.35, aspp_channels=16, decoder_channels=16, skip_channels=8, atrous_rates=(3, 6, 18)
        )
        return build_network(spec).to(memory_format=torch.channels_last).train()


def _images() -> Tensor:
    return torch.rand(2, 3, 97, 65, generator=torch.Generator().manual_seed(2))


def _backward_nodes(y: Tensor) -> Counter[str]:
    """How many operations of each kind are behind a tensor."""
    seen, waiting = set(), [y.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting.extend(following for following, _ in node.next_functions)
    return Counter(node.name() for node in seen)


def _slow(network: nn.Module) -> int:
    """Depthwise convolutions with a stride or a rate."""
    return sum(
        isinstance(layer, nn.Conv2d) and layer.groups > 1 and (layer.stride[0] > 1 or layer.dilation[0] > 1)
        for layer in network.modules()
    )


@pytest.mark.parametrize("autocast", [False, True])
def test_a_network_keeps_its_output_and_its_gradients(autocast: bool) -> None:
    network, images = _network(), _images()
    keys = list(network.state_dict())
    outputs, gradients = [], []
    for ours in (False, True):
        trained = copy.deepcopy(network)
        with (
            torch.autocast("cpu", torch.bfloat16, enabled=autocast),
            fast_depthwise_gradients(_CPU if ours else torch.device("cuda")),
        ):
            outputs.append(trained(images))
        nodes = _backward_nodes(outputs[-1])
        assert nodes[_OURS] == (_slow(network) if ours else 0)
        gradients.append(torch.cat([g.flatten() for g in _gradients(outputs[-1], tuple(trained.parameters()))]))
        assert list(trained.state_dict()) == keys
    assert _slow(network) == 9  # three strides and three rates in the backbone, three in the ASPP
    assert torch.equal(*outputs)
    # bfloat16 has 8 bits: one rounding of every number on the way back is what may differ.
    size = float(gradients[0].norm())
    assert float((gradients[0] - gradients[1]).norm()) < (3e-2 if autocast else 1e-5) * size


def test_bfloat16_gradients_are_as_exact_as_pytorchs() -> None:
    for stride, dilation in ((2, 1), (1, 2), (1, 4), (1, 9)):
        random = torch.Generator().manual_seed(3)
        x = torch.randn(4, 8, 17, 17, generator=random).bfloat16()
        weight = torch.randn(8, 1, 3, 3, generator=random).bfloat16()
        truth = _gradients(*_convolved(x.double(), weight.double(), stride, dilation, ours=False))
        errors = []
        for ours in (True, False):
            found = _gradients(*_convolved(x, weight, stride, dilation, ours=ours))
            errors.append([float((a.double() - b).norm() / b.norm()) for a, b in zip(found, truth, strict=True)])
        for mine, theirs in zip(*errors, strict=True):
            assert mine < 1.2 * theirs + 1e-3, (stride, dilation, errors)


def _convolved(
    x: Tensor, weight: Tensor, stride: int, dilation: int, *, ours: bool
) -> tuple[Tensor, tuple[Tensor, ...]]:
    leaves = (x.clone().requires_grad_(), weight.clone().requires_grad_())
    if ours:
        return depthwise_conv2d(*leaves, stride, dilation), leaves
    return functional.conv2d(*leaves, None, stride, dilation, dilation, len(weight)), leaves


def test_other_convolutions_are_left_alone() -> None:
    x = torch.rand(1, 8, 9, 9, requires_grad=True)
    convolutions = [
        nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False),
        nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8),
        nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=4, bias=False),
        nn.Conv2d(8, 16, 3, stride=2, padding=1, groups=8, bias=False),
        nn.Conv2d(8, 8, 3, stride=2, padding=0, groups=8, bias=False),
        nn.Conv2d(8, 8, 5, stride=2, padding=2, groups=8, bias=False),
        nn.Conv2d(8, 8, 3, stride=(1, 2), padding=1, groups=8, bias=False),
    ]
    slow = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8, bias=False)
    with fast_depthwise_gradients(_CPU):
        for conv in convolutions:
            assert conv(x).grad_fn.name() == _PYTORCHS, conv
        assert slow(x).grad_fn.name() == _OURS
        with torch.no_grad():
            assert slow(x).grad_fn is None
        assert functional.conv2d(x, slow.weight, padding=2, dilation=2, groups=8).grad_fn.name() == _PYTORCHS


_SETTINGS = {
    "optimizer": OptimizerKind.SGD,
    "learning_rate": 0.1,
    "backbone_rate": 1.0,
    "weight_decay": 0.0,
    "rate_factor": lambda step: 1.0,
    "batchnorm_until": 1,
}


@pytest.mark.filterwarnings("ignore:You are trying to")  # a module logs, and has no trainer here
def test_training_takes_them() -> None:
    module = SegmentationModule(_network(), lambda logits, _: logits.sum(), freeze_epochs=0, **_SETTINGS)
    loss = module.training_step((_images(), torch.zeros(2, 1, 97, 65)), 0)
    assert _backward_nodes(loss)[_OURS] == _slow(module.network)


@pytest.mark.filterwarnings("ignore:You are trying to")
def test_quantization_aware_training_takes_them(small_checkpoint: Path, small_network: DeepLab) -> None:
    loaded = load_checkpoint(small_checkpoint)
    ranges = collect_ranges(small_network, loaded.spec, bundled_calibration(), checkpoint_sha256=loaded.sha256)
    network = TrainableNetwork(small_network, quantization_graph(small_network, 1), ranges).train()
    teacher = Teacher(copy.deepcopy(small_network), 96, 96, TeacherViews())
    module = QuantizationAwareModule(
        network, lambda logits, _: logits.sum(), distillation=Distillation(teacher, 0.5), **_SETTINGS
    )
    loss = module.training_step((torch.rand(2, 3, 96, 96), torch.zeros(2, 1, 96, 96)), 0)
    assert _backward_nodes(loss)[_OURS] == _slow(small_network)
