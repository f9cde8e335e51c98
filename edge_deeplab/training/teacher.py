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

from edge_deeplab.data.sample import IGNORE
from edge_deeplab.errors import SpecError
from edge_deeplab.files import sha256
from edge_deeplab.models.loading import load_network
from edge_deeplab.runtime.foreign.session import ForeignSession
from edge_deeplab.runtime.opening import open_any_session
from edge_deeplab.training.config import TeacherViews
from edge_deeplab.training.fine_tuning import CHECKPOINT_SUFFIX
from edge_deeplab.training.losses import distillation_loss
from edge_deeplab.training.overlap import image_iou
from edge_deeplab.training.session_network import SessionNetwork

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
        views: how it looks (a size there replaces both), and when it is heeded.
        sha256: of its file, to keep with the run.
        reasons: how it is fed and read, and why, where that was found out or guessed.

    Attributes:
        height, width: of what it sees at scale 1.
        agreement: least IoU of what it says and the mask where it is heeded.
    """

    def __init__(
        self,
        network: nn.Module,
        height: int,
        width: int,
        views: TeacherViews,
        *,
        sha256: str | None = None,
        reasons: Sequence[str] = (),
    ) -> None:
        self._network = network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        self.height, self.width = (views.size, views.size) if views.size else (height, width)
        self._sizes = [(_side(self.height, scale), _side(self.width, scale)) for scale in views.scales]
        self._flip, self.agreement = views.flip, views.agreement
        self.sha256, self.reasons = sha256, tuple(reasons)

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
    """A teacher from its file.

    Args:
        path: a checkpoint of any network of the family; or a TFLite or ONNX file, ours or anybody's, which its own
            runtime executes on the CPU, at its own size.
        classes: of the data that it is to teach.
        views: how it looks, and when it is heeded.

    Raises:
        CheckpointError, ModelFileError: it cannot be read.
        MissingExtraError: the file's runtime is not installed.
        SpecError: its classes are others, or it is a file that is to look at another size than its own.
    """
    if path.suffix.lower() == CHECKPOINT_SUFFIX:
        network, checkpoint = load_network(path)
        spec = checkpoint.spec
        _require_same_classes(path, spec.classes, classes)
        return Teacher(network, spec.height, spec.width, views, sha256=checkpoint.sha256)
    session = open_any_session(path)
    _require_same_classes(path, session.classes, classes)
    if views.scales != (1.0,) or views.size not in (0, session.height) or session.height != session.width:
        raise SpecError(
            f"the teacher {path} takes {session.width}x{session.height} pixels and no other size: leave size and "
            "scales as they are, or take a checkpoint"
        )
    reasons = session.reasons if isinstance(session, ForeignSession) else ()
    file = SessionNetwork(session)
    return Teacher(file, session.height, session.width, views, sha256=sha256(path), reasons=reasons)


def _require_same_classes(path: Path, known: Sequence[str], classes: Sequence[str]) -> None:
    if tuple(known) != tuple(classes):
        raise SpecError(
            f"the teacher {path} knows {', '.join(known)}, and the data has {', '.join(classes)}: "
            "take a teacher of the same classes"
        )


@dataclass(frozen=True)
class Distillation:
    """A teacher and its part in the loss.

    Attributes:
        teacher: the teacher.
        share: of the loss that is against its probabilities, in [0, 1].
    """

    teacher: Teacher
    share: float

    def shared(self, loss: Tensor, logits: Tensor, images: Tensor, target: Tensor) -> Tensor:
        """The loss against masks and teacher together.

        Args:
            loss: against the masks, scalar.
            logits: float, (N, classes, H, W), the student's.
            images: float, (N, 3, H, W), RGB in [0, 1]: what the student saw.
            target: the masks, as :func:`~edge_deeplab.training.overlap.image_iou` takes them.
        """
        taught = heeded(self.teacher(images), target, self.teacher.agreement)
        return (1 - self.share) * loss + self.share * distillation_loss(logits, taught)


def heeded(taught: Tensor, target: Tensor, agreement: float) -> Tensor:
    """What a teacher says of the pictures in which it finds what the mask shows, and the mask of all others.

    A teacher that was made for other photos is wrong in some of ours as a whole: it finds a person where nobody is, or
    another person than the labelled one. What the mask leaves out is the teacher's everywhere.

    Args:
        taught: its probabilities, float, (N, classes, H, W), in [0, 1].
        target: the masks, as :func:`~edge_deeplab.training.overlap.image_iou` takes them.
        agreement: least IoU of the two; 0: the teacher is heeded everywhere.
    """
    if agreement == 0:
        return taught
    agrees = (image_iou(taught - 0.5, target) >= agreement).view(-1, 1, 1, 1)  # 0.5: as logits, above 0 is a person
    if target.ndim == 4:
        known, label = target >= 0, target
    else:
        known = (target != IGNORE).unsqueeze(1)
        label = functional.one_hot(target.where(known[:, 0], torch.zeros_like(target)), taught.shape[1])
        label = label.permute(0, 3, 1, 2)
    return torch.where(agrees | ~known, taught, label.to(taught.dtype))


def _side(length: int, scale: float) -> int:
    return length if scale == 1 else max(_GRID, round(length * scale / _GRID) * _GRID)


def _resize(planes: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear with half-pixel centres, averaged where it shrinks: (N, C, H, W) float to that height and width."""
    if tuple(planes.shape[2:]) == tuple(size):
        return planes
    return functional.interpolate(planes, list(size), mode="bilinear", align_corners=False, antialias=True)
