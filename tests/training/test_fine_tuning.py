"""A trained network with other classes, and a backbone that thaws."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from edge_deeplab.errors import CheckpointError, SpecError
from edge_deeplab.models.deeplab import build_network
from edge_deeplab.models.family import DEEPLAB_V1, DEEPLAB_V2, DEEPLAB_V3_PLUS, with_backbone
from edge_deeplab.models.loading import save_state
from edge_deeplab.spec import Backbone, ModelSpec, NetworkSpec
from edge_deeplab.training.config import TrainingConfig
from edge_deeplab.training.fine_tuning import network_for
from edge_deeplab.training.freezing import freeze, thawed_share

_CLASSES = ("background", "cat", "person", "sofa")
_SMALL = {"width_multiplier": 0.35, "aspp_channels": 8, "decoder_channels": 8, "num_classes": len(_CLASSES)}
_HEADS = [DEEPLAB_V1, DEEPLAB_V2, DEEPLAB_V3_PLUS]


def _saved(head: NetworkSpec, path: Path) -> ModelSpec:
    torch.manual_seed(3)
    network = replace(with_backbone(head, Backbone.MOBILENET_V2), **_SMALL)  # type: ignore[arg-type]
    spec = ModelSpec(network, 64, 64, _CLASSES)
    save_state(path, spec, build_network(network).state_dict(), notes={})
    return spec


@pytest.mark.parametrize("head", _HEADS, ids=["v1", "v2", "v3+"])
def test_other_classes_get_new_scores_and_the_rest_stays(head: NetworkSpec, tmp_path: Path) -> None:
    path = tmp_path / "voc.safetensors"
    before = _saved(head, path)
    trained = build_network(before.network)
    trained.load_state_dict(network_for(path, _CLASSES)[0].state_dict())
    torch.manual_seed(4)
    swapped, spec = network_for(path, ("background", "person", "dog"))
    assert spec == replace(before.network, num_classes=3)
    layers = swapped.class_layers
    assert len(layers) == (4 if head is DEEPLAB_V2 else 1)
    for old, new in zip(trained.class_layers, layers, strict=True):
        assert new.out_channels == 3
        assert torch.equal(new.weight[:2], old.weight[[0, 2]])  # background and person, who was the third
        assert torch.equal(new.bias[:2], old.bias[[0, 2]])  # type: ignore[index]
        assert not torch.isin(new.weight[2], old.weight).any()
    scores = {name for name, module in swapped.named_modules() if module in layers}
    others = {name: value for name, value in swapped.state_dict().items() if name.rpartition(".")[0] not in scores}
    assert len(others) > 100
    assert all(torch.equal(value, trained.state_dict()[name]) for name, value in others.items())


def test_the_same_classes_are_taken_whole_and_one_class_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "voc.safetensors"
    before = _saved(DEEPLAB_V3_PLUS, path)
    whole, spec = network_for(path, _CLASSES, output_stride=8)
    assert spec == replace(before.network, output_stride=8)
    again, _ = network_for(path, _CLASSES)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in whole.state_dict().items())
    person, _ = network_for(path, ("person",))
    assert person.classifier.weight.shape[0] == 1  # type: ignore[union-attr,index]
    assert not torch.isin(person.classifier.weight, whole.classifier.weight).any()  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="output stride 12 does not exist"):
        network_for(path, _CLASSES, output_stride=12)
    with pytest.raises(CheckpointError, match="nothing"):
        network_for(tmp_path / "nothing.safetensors", _CLASSES)


@pytest.mark.parametrize("head", _HEADS, ids=["v1", "v2", "v3+"])
def test_without_the_last_bottleneck_what_read_it_begins_anew(head: NetworkSpec, tmp_path: Path) -> None:
    path = tmp_path / "voc.safetensors"
    before = _saved(head, path)
    trained = network_for(path, _CLASSES)[0].state_dict()
    state = {name: value * 3 if name.endswith("running_var") else value for name, value in trained.items()}
    save_state(path, before, state, notes={})
    torch.manual_seed(5)
    shorter, spec = network_for(path, _CLASSES, last_bottleneck=False)
    assert spec == replace(before.network, last_bottleneck=False)
    own = shorter.state_dict()
    fresh = {name for name, value in own.items() if value.shape != state[name].shape}
    assert fresh
    assert all("aspp" in name for name in fresh)
    # With a convolution, its BatchNorm: the statistics of another one would be wrong for it.
    for name in [name for name in fresh if name.endswith("conv.weight")]:
        norm = name.replace("conv.weight", "bn.running_var")
        if norm in own:
            assert (own[norm] == 1).all()
            fresh.add(norm)
    kept = {name for name in own if name not in fresh and ("aspp" not in name or name.endswith("project.conv.weight"))}
    assert len(kept) > 100
    assert all(torch.equal(own[name], state[name]) for name in kept)
    other, _ = network_for(path, ("background", "person", "dog"), last_bottleneck=False)
    assert [layer.out_channels for layer in other.class_layers] == [3] * len(other.class_layers)
    # A network that is without it already stays as it is.
    save_state(path, replace(before, network=spec), own, notes={})
    again, spec_again = network_for(path, _CLASSES)
    assert spec_again == spec
    assert all(torch.equal(value, own[name]) for name, value in again.state_dict().items())


def test_the_backbone_thaws_from_its_end() -> None:
    assert [thawed_share(epoch, 2, 3) for epoch in range(7)] == [0, 0, 0.25, 0.5, 0.75, 1, 1]
    assert [thawed_share(epoch, 0, 0) for epoch in range(2)] == [1, 1]
    assert [thawed_share(epoch, 1, 0) for epoch in range(2)] == [0, 1]


def test_what_is_frozen_neither_learns_nor_counts() -> None:
    backbone = build_network(NetworkSpec(width_multiplier=0.35)).backbone.train()
    layers = [module for module in backbone.modules() if isinstance(module, (nn.Conv2d, nn.BatchNorm2d))]
    learning: list[int] = []
    for share in (0.0, 0.25, 0.5, 1.0):
        freeze(backbone, share)
        learns = [next(layer.parameters()).requires_grad for layer in layers]
        assert learns == [layer.training for layer in layers]
        assert learns == sorted(learns)  # the last ones first
        learning.append(sum(learns))
    assert learning == [math.ceil(share * len(layers)) for share in (0.0, 0.25, 0.5, 1.0)]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"freeze_epochs": 2, "thaw_epochs": 2}, "freeze_epochs is 2 and thaw_epochs 2, and the run has only 3"),
        ({"thaw_epochs": -1}, "thaw_epochs -1: give 0 or more"),
    ],
)
def test_epochs_that_there_are_not_are_refused(settings: dict[str, int], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        TrainingConfig(epochs=3, **settings)  # type: ignore[arg-type]
