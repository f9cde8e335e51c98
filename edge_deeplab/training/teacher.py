"""A frozen network that tells another one how probable a person is in each pixel of a batch.

Knowledge distillation (Hinton et al. 2015, arXiv 1503.02531) with test-time averaging as the teacher's label: the mean
over mirrored and resized views is better than any one of them (Radosavovic et al. 2018, "Data Distillation",
arXiv 1712.04440, section 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_deeplab.errors import SpecError
from edge_deeplab.models.loading import load_network
from edge_deeplab.training.config import TeacherViews
from edge_deeplab.training.losses import distillation_loss

# Every stride of the network divides it, so that a resized picture's features lie on it as they did in training.
_GRID = 32


class Teacher:
    """A network in eval mode, averaged over views of what it is shown.

    It looks at the very batch that the student sees, augmented and recoloured, enlarged to its own size: the outline
    that it draws is finer than the student's. Not a module: it is no part of what is averaged, saved and resumed.

    Args:
        network: frozen and put into eval mode here; nobody else may train it.
        height: rows of the pictures that it was trained on.
        width: their columns.
        views: how it looks; a size there replaces both.
        sha256: of its checkpoint, to keep with the run.

    Attributes:
        height, width: of what it sees at scale 1.
    """

    def __init__(
        self, network: nn.Module, height: int, width: int, views: TeacherViews, *, sha256: str | None = None
    ) -> None:
        self._network = network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        self.height, self.width = (views.size, views.size) if views.size else (height, width)
        self._sizes = [(_side(self.height, scale), _side(self.width, scale)) for scale in views.scales]
        self._flip = views.flip
        self.sha256 = sha256

    def to(self, device: torch.device) -> None:
        """Move it to where the batches are."""
        self._network.to(device)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Look at a batch.

        Args:
            images: float, (N, 3, H, W), RGB in [0, 1], of any size.

        Returns:
            float32, (N, classes, H, W): the probability of a person, or of each class.
        """
        seen = []
        for size in self._sizes:
            resized = _resize(images, size).contiguous(memory_format=torch.channels_last)
            seen.append(self._probability(resized, images.shape[2:]))
            if self._flip:
                seen.append(self._probability(resized.flip(3), images.shape[2:]).flip(3))
        return torch.stack(seen).mean(0)

    def _probability(self, images: Tensor, size: Sequence[int]) -> Tensor:
        logits = self._network(images).float()
        return _resize(torch.sigmoid(logits) if logits.shape[1] == 1 else torch.softmax(logits, dim=1), size)


def load_teacher(path: Path, classes: Sequence[str], views: TeacherViews) -> Teacher:
    """A teacher from its checkpoint.

    Args:
        path: a checkpoint of any network of the family.
        classes: of the data that it is to teach.
        views: how it looks.

    Raises:
        CheckpointError: it cannot be read.
        SpecError: its classes are others.
    """
    network, checkpoint = load_network(path)
    spec = checkpoint.spec
    if tuple(spec.classes) != tuple(classes):
        raise SpecError(
            f"the teacher {path} knows {', '.join(spec.classes)}, and the data has {', '.join(classes)}: "
            "take a teacher of the same classes"
        )
    return Teacher(network, spec.height, spec.width, views, sha256=checkpoint.sha256)


@dataclass(frozen=True)
class Distillation:
    """A teacher and its part in the loss.

    Attributes:
        teacher: the teacher.
        share: of the loss that is against its probabilities, in [0, 1].
    """

    teacher: Teacher
    share: float

    def shared(self, loss: Tensor, logits: Tensor, images: Tensor) -> Tensor:
        """The loss against masks and teacher together.

        Args:
            loss: against the masks, scalar.
            logits: float, (N, classes, H, W), the student's.
            images: float, (N, 3, H, W), RGB in [0, 1]: what the student saw.
        """
        return (1 - self.share) * loss + self.share * distillation_loss(logits, self.teacher(images))


def _side(length: int, scale: float) -> int:
    return length if scale == 1 else max(_GRID, round(length * scale / _GRID) * _GRID)


def _resize(planes: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear with half-pixel centres, averaged where it shrinks: (N, C, H, W) float to that height and width."""
    if tuple(planes.shape[2:]) == tuple(size):
        return planes
    return functional.interpolate(planes, list(size), mode="bilinear", align_corners=False, antialias=True)
