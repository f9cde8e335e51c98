"""Where a backbone's first weights come from."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from edge_deeplab.data.sample import SegmentationDataset
from edge_deeplab.data.transforms import EvaluationTransform
from edge_deeplab.errors import CheckpointError, SpecError
from edge_deeplab.models.deeplab import DeepLab
from edge_deeplab.models.pretrained import load_folded, load_torchvision
from edge_deeplab.runtime.foreign.adaptation import InputRange
from edge_deeplab.spec import ModelSpec
from edge_deeplab.training.keras_weights import read_keras_npz
from edge_deeplab.training.tflite_weights import read_tflite

_STATISTICS_IMAGES = 32
_TFLITE = ".tflite"


def initialize_backbone(
    network: DeepLab,
    init: str,
    data: SegmentationDataset,
    spec: ModelSpec,
    *,
    input_range: InputRange | None = None,
) -> None:
    """Give the backbone its first weights.

    Args:
        network: changed in place.
        init: "none" (random), "imagenet" (torchvision's, downloaded once), or the path of a file with BatchNorm folded
            in: .npz with Keras weights, or .tflite with a DeepLab or MobileNetV2, quantized or not. The BatchNorms'
            statistics are then taken from 32 photos of ``data``.
        data: the training data.
        spec: the model, for its input size.
        input_range: what the network in a .tflite file takes for black and white; None: what the file says.

    Raises:
        SpecError: neither of these, or ``input_range`` is missing, or given for another kind of weights.
        CheckpointError: the weights cannot be had, or are not this backbone's.
        ModelFileError: the .tflite file is missing, damaged, or of something else.
    """
    suffix = Path(init).suffix
    if input_range is not None and suffix != _TFLITE:
        raise SpecError(f"--init-range goes with a {_TFLITE} file, and --init is {init}: leave it out")
    match init, suffix:
        case "none", _:
            return
        case "imagenet", _:
            load_torchvision(network.backbone, _imagenet())
        case _, ".npz":
            load_folded(network.backbone, read_keras_npz(Path(init)), _images(data, spec))
        case _, ".tflite":
            load_folded(network.backbone, read_tflite(Path(init), input_range), _images(data, spec))
        case _:
            raise SpecError(
                f"--init {init} is not known: give none, imagenet, a .npz or {_TFLITE} file, or a checkpoint"
            )


def _imagenet() -> dict[str, Tensor]:
    from torchvision.models import MobileNet_V2_Weights

    try:
        return dict(MobileNet_V2_Weights.IMAGENET1K_V2.get_state_dict(progress=True, check_hash=True))
    except OSError as error:
        raise CheckpointError(
            f"torchvision's ImageNet weights cannot be downloaded ({error}): give a .npz file, or --init none"
        ) from error


def _images(data: SegmentationDataset, spec: ModelSpec) -> Tensor:
    """Photos spread over the data, at the network's size: float32, (N, 3, H, W), RGB in [0, 1]."""
    transform = EvaluationTransform(spec.height, spec.width, data.mask_kind)
    count = min(_STATISTICS_IMAGES, len(data))
    chosen = (data[index * len(data) // count] for index in range(count))
    return torch.stack([transform(sample)[0] for sample in chosen])
