"""How well a prediction and the truth cover each other, picture by picture: what a run is chosen by."""

from __future__ import annotations

import torch
from torch import Tensor

from edge_deeplab.data.sample import IGNORE


def image_iou(logits: Tensor, target: Tensor) -> Tensor:
    """Intersection over union of each image, at the network's size: float, (N,).

    Coverage: of the person, threshold 0.5. Classes: the mean over the classes that prediction or truth hold.
    An empty union counts as 1. What the target leaves out (coverage below 0, class 255) counts for nothing.
    """
    if target.ndim == 4:
        prediction, truth = (logits > 0) & (target >= 0), target >= 0.5
        return _ratio((prediction & truth).sum((1, 2, 3)), (prediction | truth).sum((1, 2, 3)))
    valid = (target != IGNORE).unsqueeze(1)
    channels = torch.arange(logits.shape[1], device=target.device).view(1, -1, 1, 1)
    prediction = (logits.argmax(1, keepdim=True) == channels) & valid
    truth = (target.unsqueeze(1) == channels) & valid
    overlap, union = (prediction & truth).sum((2, 3)), (prediction | truth).sum((2, 3))
    present = union > 0
    return (_ratio(overlap, union) * present).sum(1) / present.sum(1).clamp(min=1)


def _ratio(overlap: Tensor, union: Tensor) -> Tensor:
    return torch.where(union > 0, overlap / union.clamp(min=1), torch.ones_like(union, dtype=torch.float32))
