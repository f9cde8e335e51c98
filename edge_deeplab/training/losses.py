"""What training minimises. Every loss takes logits and gives a scalar; each image weighs the same.

Averages are taken image by image, so that the mean over processes (DDP) is the mean over the whole batch.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from edge_deeplab.data.sample import IGNORE


def person_loss(logits: Tensor, coverage: Tensor, *, dice_weight: float, boundary_weight: float) -> Tensor:
    """Binary cross-entropy with more weight on the outline, plus soft Dice.

    Args:
        logits: float, (N, 1, H, W).
        coverage: float, (N, 1, H, W), share of each pixel that is person, in [0, 1]; a pixel below 0 is left out of
            everything.
        dice_weight: weight of the Dice term.
        boundary_weight: how much more a pixel on the outline counts than one far from it.

    Returns:
        The loss, float, scalar; 0 where every pixel is left out.
    """
    valid = coverage >= 0
    known = coverage.clamp(min=0.0)
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, known, reduction="none")
    # Left out on either side of the comparison, a pixel makes no outline where it meets one that is known.
    outline = _outline(known, lowest=torch.where(valid, known, 1.0)).clamp(min=0.0)
    weight = (1.0 + boundary_weight * outline) * valid
    per_image = (cross_entropy * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3)).clamp(min=1.0)
    return per_image.mean() + dice_weight * _dice(torch.sigmoid(logits) * valid, known)


def class_loss(logits: Tensor, classes: Tensor, *, dice_weight: float, boundary_weight: float) -> Tensor:
    """Cross-entropy with more weight on the outlines, plus soft Dice over the classes.

    Args:
        logits: float, (N, C, H, W).
        classes: int64, (N, H, W), class indices; 255 is left out of everything.
        dice_weight: weight of the Dice term.
        boundary_weight: how much more a pixel on an outline counts than one far from it.

    Returns:
        The loss, float, scalar; 0 where every pixel is left out.
    """
    valid = (classes != IGNORE).unsqueeze(1)
    safe = classes.where(valid[:, 0], torch.zeros_like(classes))
    one_hot = functional.one_hot(safe, logits.shape[1]).permute(0, 3, 1, 2).to(logits.dtype) * valid
    cross_entropy = functional.cross_entropy(logits, safe, reduction="none").unsqueeze(1)
    weight = (1.0 + boundary_weight * _outline(one_hot, lowest=one_hot)) * valid
    per_image = (cross_entropy * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3)).clamp(min=1.0)
    return per_image.mean() + dice_weight * _dice(torch.softmax(logits, dim=1) * valid, one_hot)


def _dice(probability: Tensor, truth: Tensor) -> Tensor:
    """1 - Dice coefficient with squared denominators, 1 pixel of smoothing (Milletari et al. 2016, section 3)."""
    overlap = 2.0 * (probability * truth).sum((2, 3)) + 1.0
    total = (probability.square() + truth.square()).sum((2, 3)) + 1.0
    return (1.0 - overlap / total).mean()


def distillation_loss(logits: Tensor, taught: Tensor) -> Tensor:
    """Cross-entropy of the student's probabilities against the teacher's, mean over pixels (Hinton et al. 2015, T = 1).

    Pixels that the masks leave out count as all others: the teacher has an opinion there.

    Args:
        logits: float, (N, classes, H, W), the student's. One class: sigmoid; several: softmax.
        taught: the teacher's probabilities, the same shape, in [0, 1].

    Returns:
        The loss, float, scalar.
    """
    if logits.shape[1] == 1:
        return functional.binary_cross_entropy_with_logits(logits, taught)
    return functional.cross_entropy(logits, taught)


def _outline(highest: Tensor, *, lowest: Tensor, radius: int = 2) -> Tensor:
    """1 within ``radius`` pixels of an outline, 0 far from it: (N, C, H, W) -> (N, 1, H, W).

    The spread of the values around each pixel: the greatest of ``highest`` less the least of ``lowest``, which are the
    same truth but for what is left out.
    """
    size = 2 * radius + 1
    spread = functional.max_pool2d(highest, size, 1, radius) + functional.max_pool2d(-lowest, size, 1, radius)
    return spread.amax(1, keepdim=True).detach()
