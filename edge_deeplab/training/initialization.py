"""Where a backbone's first weights come from."""

from __future__ import annotations

from pathlib import Path

import torch

from edge_deeplab.data.sample import SegmentationDataset
from edge_deeplab.data.transforms import EvaluationTransform
from edge_deeplab.errors import CheckpointError, SpecError
from edge_deeplab.models.deeplab import DeepLab
from edge_deeplab.models.pretrained import load_keras_npz, load_torchvision
from edge_deeplab.spec import ModelSpec

_STATISTICS_IMAGES = 32


def initialize_backbone(network: DeepLab, init: str, data: SegmentationDataset, spec: ModelSpec) -> None:
    """Give the backbone its first weights.

    Args:
        network: changed in place.
        init: "none" (random), "imagenet" (torchvision's, downloaded once), or the path of a .npz file with
            BatchNorm-folded Keras weights, whose statistics are taken from 32 photos of ``data``.
        data: the training data.
        spec: the model, for its input size.

    Raises:
        SpecError: neither of these.
        CheckpointError: the weights cannot be had, or are not this backbone's.
    """
    if init == "none":
        return
    if init == "imagenet":
        from torchvision.models import MobileNet_V2_Weights

        try:
            state = MobileNet_V2_Weights.IMAGENET1K_V2.get_state_dict(progress=True, check_hash=True)
        except OSError as error:
            raise CheckpointError(
                f"torchvision's ImageNet weights cannot be downloaded ({error}): give a .npz file, or --init none"
            ) from error
        load_torchvision(network.backbone, dict(state))
        return
    if not init.endswith(".npz"):
        raise SpecError(f"--init {init} is not known: give none, imagenet, or a .npz file")
    transform = EvaluationTransform(spec.height, spec.width, data.mask_kind)
    count = min(_STATISTICS_IMAGES, len(data))
    chosen = (data[index * len(data) // count] for index in range(count))
    images = torch.stack([transform(sample)[0] for sample in chosen])
    load_keras_npz(network.backbone, Path(init), images)
