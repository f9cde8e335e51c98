"""``edge-deeplab train``: which network its options build, and what it starts from."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edge_deeplab.checkpoint import load_checkpoint
from edge_deeplab.models.family import DEEPLAB_V1, DEEPLAB_V2, DEEPLAB_V3, DEEPLAB_V3_PLUS, with_backbone
from edge_deeplab.models.loading import load_network
from edge_deeplab.spec import Backbone, NetworkSpec, Padding, Rectifier

pytestmark = pytest.mark.usefixtures("one_thread")

Run = Callable[..., subprocess.CompletedProcess[str]]
Refuses = Callable[..., str]

_CLASSES = ("background", "body", "head")  # of made_classes
# One step at no rate worth mentioning: what is written is where it started.
_ONE_STEP = (
    "--epochs",
    1,
    "--workers",
    0,
    "--batch-size",
    32,
    "--lr",
    1e-9,
    "--precision",
    "float32",
    "--accelerator",
    "cpu",
)
_SMALL = ("--width", 0.35, "--head-channels", 16, "--input-size", 64)


def test_a_checkpoint_of_other_classes_is_the_start(
    edge_deeplab: Run, made_classes: Path, small_checkpoint: Path, tmp_path: Path
) -> None:
    words = ["train", made_classes, "--input-size", "64", *_ONE_STEP]
    several = [*words, "--classes", ",".join(_CLASSES), "--init", small_checkpoint, "--out", tmp_path / "several"]
    done = edge_deeplab(*several)
    assert done.returncode == 0, done.stderr
    first = tmp_path / "several/model.safetensors"
    assert f"Wrote {first}" in done.stdout
    small, found = load_checkpoint(small_checkpoint), load_checkpoint(first)
    assert found.spec.classes == _CLASSES
    assert (found.spec.height, found.spec.width) == (64, 64)
    assert found.spec.network == replace(small.spec.network, num_classes=3)
    assert {name: value.shape for name, value in found.weights.items()} == {
        name: (3, *value.shape[1:]) if name.startswith("classifier.") else value.shape
        for name, value in small.weights.items()
    }
    for name, value in small.weights.items():
        if not name.startswith("classifier.") and not name.endswith("num_batches_tracked"):
            np.testing.assert_allclose(found.weights[name], value, atol=1e-6, err_msg=name)

    # Two of the three classes go on, in the other order; the output stride is not in the weights.
    fewer = [*words, "--classes", "background,hat,body", "--init", first, "--output-stride", "8"]
    assert edge_deeplab(*fewer, "--out", tmp_path / "fewer").returncode == 0
    last = load_checkpoint(tmp_path / "fewer/model.safetensors")
    assert last.spec.classes == ("background", "hat", "body")
    assert last.spec.network == replace(found.spec.network, output_stride=8)
    before, after = (checkpoint.weights["classifier.weight"] for checkpoint in (found, last))
    np.testing.assert_allclose(after[[0, 2]], before[[0, 1]], atol=1e-6)
    assert np.abs(after[1] - before[2]).max() > 0.01


_PUBLISHED = {"v1": DEEPLAB_V1, "v2": DEEPLAB_V2, "v3": DEEPLAB_V3, "v3+": DEEPLAB_V3_PLUS}
_SETTINGS: Mapping[str, tuple[tuple[str, ...], dict[str, object]]] = {
    "v1": (("atrous_rates=[6]",), {"atrous_rates": (6,)}),  # a list
    "v2": (("input_scales=[0.5, 1]",), {"input_scales": (0.5, 1.0)}),  # a whole number for a real one
    "v3": (("image_pooling = false", "padding=same"), {"image_pooling": False, "padding": Padding.SAME}),  # words
    "v3+": (
        ("skip_channels=8", "aspp_channels=24", 'head_rectifier="relu"'),  # over --head-channels; with its quotes
        {"skip_channels": 8, "aspp_channels": 24, "head_rectifier": Rectifier.RELU},
    ),
}


@pytest.mark.parametrize("head", _PUBLISHED)
def test_the_head_and_its_parts(edge_deeplab: Run, made_persons: Path, tmp_path: Path, head: str) -> None:
    settings, expected = _SETTINGS[head]
    words = [word for setting in settings for word in ("--set", setting)]
    done = edge_deeplab("train", made_persons, "--out", tmp_path / "run", "--head", head, *words, *_SMALL, *_ONE_STEP)
    assert done.returncode == 0, done.stderr
    network, checkpoint = load_network(tmp_path / "run/model.safetensors")
    published = with_backbone(_PUBLISHED[head], Backbone.MOBILENET_V2)
    given: NetworkSpec = replace(published, width_multiplier=0.35, aspp_channels=16, decoder_channels=16, num_classes=1)
    assert checkpoint.spec.network == replace(given, **expected)  # type: ignore[arg-type]
    assert checkpoint.spec.classes == ("person",)
    with torch.no_grad():
        assert network(torch.rand(1, 3, 64, 96)).shape == (1, 1, 64, 96)


@pytest.mark.parametrize(
    ("words", "said", "status"),
    [
        # --set
        ("--set multi_grid", "'multi_grid' is no setting: write KEY=VALUE", 2),
        ("--set nothing=3", "--set has the unknown key 'nothing': it may have backbone, width_multiplier", 1),
        ("--set padding=odd", "--set.padding is 'odd': choose from symmetric, same", 1),
        ("--set decoder=no", "--set.decoder is 'no': it must be of the type bool", 1),
        ("--set atrous_rates=3", "--set.atrous_rates is 3: it must be a list", 1),
        ("--set multi_grid=[1,2,4]", "--set: mobilenet_v2 has no multi-grid", 1),
        ("--set num_classes=7", "1 class names for 7 output channels", 1),
        ("--set width_multiplier=nan", "width multiplier nan is not positive and finite", 1),
        ("--set input_scales=[inf]", "input scales (inf,) must be positive", 1),
        ("--set input_scales=[0.25,1]", "input scale 0.25 makes less than 32x32 of 64x64", 1),
        # the head and its neighbours
        ("--head v4", "'v4' is not one of 'v1', 'v2', 'v3', 'v3+'", 2),
        ("--head v1 --set decoder=true", "decoder cannot go with summed branches", 1),
        ("--head-channels 0", "aspp_channels is 0: it must be at least 1", 1),
        (
            "--set skip_channels=100000000000",
            "skip_channels is 100000000000: it must be at least 1 and at most 8192",
            1,
        ),
        ("--output-stride 0", "output stride 0 does not exist: choose 8, 16 or 32", 1),
        ("--width 0", "width multiplier 0.0 is not positive", 1),
        # --classes
        ("--classes background,,person", "cannot be the classes", 1),
        ("--classes person,person", "cannot be the classes", 1),
        # --init
        ("--init CHECKPOINT --output-stride 0", "output stride 0 does not exist", 1),
        ("--init CHECKPOINT --head v3", "--head does not go with a checkpoint as --init", 2),
        ("--init CHECKPOINT --set padding=same", "--set does not go with a checkpoint as --init", 2),
        ("--init gone.safetensors", "there is no checkpoint gone.safetensors", 1),
        ("--init CUT", "cut.safetensors is not a checkpoint, or is truncated", 1),
        ("--init last.ckpt", "--init last.ckpt is not known: give none, imagenet, a .npz or .tflite file, or a", 1),
    ],
)
def test_what_cannot_be_built_is_refused_in_a_line(
    refuses: Refuses, made_persons: Path, small_checkpoint: Path, tmp_path: Path, words: str, said: str, status: int
) -> None:
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(small_checkpoint.read_bytes()[:-100])
    places = {"CHECKPOINT": small_checkpoint, "CUT": cut}
    given = [places.get(word, word) for word in words.split()]
    line = refuses(
        "train", made_persons, "--out", tmp_path / "run", "--input-size", "64", *_ONE_STEP, *given, status=status
    )
    assert said in line
    assert not (tmp_path / "run").exists()
