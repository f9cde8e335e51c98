"""A TFLite DeepLab becomes a whole network: Google's, and files without that head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from converters.tflite_probe import tensor_values
from edge_deeplab.data.bundled import bundled_portrait
from edge_deeplab.errors import ModelFileError, ParityError
from edge_deeplab.image import resize_area
from edge_deeplab.importing.parity import same_classes
from edge_deeplab.importing.tflite_deeplab import build_folded, fed, read_tflite_deeplab
from edge_deeplab.runtime.foreign.adaptation import InputRange
from edge_deeplab.spec import NetworkSpec, Rectifier
from edge_deeplab.weights import shipped_model

_PEERS = Path(__file__).resolve().parents[2] / "../shared/peers"


@pytest.mark.shared_data
@pytest.mark.skipif(not _PEERS.is_dir(), reason="../shared/peers is not beside this checkout")
@pytest.mark.parametrize(
    ("name", "width", "divisor", "stride", "classes", "told"),
    [
        ("deeplabv3_mnv2_pascal_quant", 1.0, 8, 16, 21, None),
        ("deeplabv3_mnv2_dm05_pascal_quant", 0.5, 4, 16, 21, None),
        ("deeplab_aiseg513_dm05_float", 0.5, 4, 8, 2, InputRange.uniform(-1, 1)),
    ],
)
def test_the_specification_of_a_real_one(
    name: str, width: float, divisor: int, stride: int, classes: int, told: InputRange | None
) -> None:
    found = read_tflite_deeplab(_PEERS / f"{name}.tflite", told)
    assert found.spec == NetworkSpec(
        width_multiplier=width,
        channel_divisor=divisor,
        output_stride=stride,
        atrous_rates=(),
        decoder=False,
        num_classes=classes,
        head_rectifier=Rectifier.RELU,
    )
    assert (found.height, found.width) == (513, 513)


@pytest.mark.shared_data
@pytest.mark.skipif(not _PEERS.is_dir(), reason="../shared/peers is not beside this checkout")
def test_a_real_one_sees_what_the_file_sees() -> None:
    path = _PEERS / "deeplabv3_mnv2_pascal_quant.tflite"
    found = read_tflite_deeplab(path)
    photo = resize_area(bundled_portrait(), found.height, found.width)
    image = torch.from_numpy(photo).permute(2, 0, 1)[None] / 255
    network = build_folded(found, torch.nn.functional.avg_pool2d(image, 2).repeat(2, 1, 1, 1))
    logits = tensor_values(path.read_bytes(), fed(photo, found))[found.logits]
    assert len(np.unique(logits.argmax(-1))) > 1  # nobody compares two blank maps
    assert same_classes(network, photo, logits, path.name) > 0.95
    network.classifier.bias.data += 20 * torch.eye(21)[0]  # everything is background
    with pytest.raises(ParityError, match="pixels keep their class"):
        same_classes(network, photo, logits, path.name)


def test_a_file_with_another_head_is_refused() -> None:
    with pytest.raises(ModelFileError, match="only DeepLabs without atrous branches and decoder can be imported"):
        read_tflite_deeplab(shipped_model("portrait-open"))


def test_a_file_whose_backbone_ends_early_is_refused() -> None:
    with pytest.raises(ModelFileError, match="does not pool what a convolution gives, as the last of a MobileNetV2"):
        read_tflite_deeplab(shipped_model("portrait-fast"))  # it does without the last bottleneck
