"""What a training run is told. It stops at :func:`edge_deeplab.training.run.train`; no module below sees it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from edge_deeplab.data.transforms import Augmentation
from edge_deeplab.errors import SpecError
from edge_deeplab.training.schedules import Schedule


class OptimizerKind(StrEnum):
    """The optimizer: AdamW (Loshchilov and Hutter 2019), or SGD with momentum 0.9 as in the DeepLab papers."""

    ADAMW = "adamw"
    SGD = "sgd"


@dataclass(frozen=True)
class TeacherViews:
    """How a teacher looks at a picture (its probabilities are averaged over these views), and when it is heeded.

    Attributes:
        size: side of the square that the picture is stretched to, in pixels; 0: as the teacher was trained.
        scales: factors on that size, one view each.
        flip: mirror each view and look again.
        agreement: least IoU of what it says and the mask; below it, the mask is learned in its place. 0: always heeded.
    """

    size: int = 0
    scales: tuple[float, ...] = (1.0,)
    flip: bool = True
    agreement: float = 0.0

    def __post_init__(self) -> None:
        if self.size and self.size < 32:
            raise SpecError(f"the teacher's size is {self.size}: give 32 pixels or more, or 0 for its own")
        if not self.scales or min(self.scales) <= 0 or len(set(self.scales)) != len(self.scales):
            raise SpecError(f"the teacher's scales are {list(self.scales)}: give factors above 0, each once")
        if not 0 <= self.agreement <= 1:
            raise SpecError(f"the teacher's agreement is {self.agreement}: it is an IoU, in [0, 1]")


@dataclass(frozen=True)
class TrainingConfig:
    """A recipe.

    Attributes:
        epochs: passes over the data.
        epoch_steps: optimizer steps of an epoch, on a part of the data that is drawn anew for each; 0: all of it.
        batch_size: samples in a batch of one process.
        optimizer: the optimizer.
        learning_rate: of the head, at its highest.
        backbone_rate: the backbone's learning rate, as a factor on the head's; a pretrained backbone wants less.
        weight_decay: of the convolution weights (not of biases and BatchNorm).
        schedule: how the rate falls.
        warmup_steps: optimizer steps of linear warm-up.
        freeze_epochs: epochs at the start in which the backbone keeps its weights and BatchNorm statistics.
        thaw_epochs: epochs after these in which more and more of it learns, from its end to its stem.
        freeze_batchnorm_epochs: epochs at the end in which BatchNorm keeps its statistics.
        clip: largest norm of the gradient; longer ones are shortened to it.
        ema_decay: of the moving average of the weights, which is what is evaluated and saved.
        start_share: share of the weights that the run began with in those that are evaluated and saved; the rest is
            the moving average. For a run from a trained network: what it learns, without all that it forgets
            (Wortsman et al. 2022, arXiv 2109.01903, section 3).
        dice_weight: weight of the Dice term.
        boundary_weight: extra weight of pixels on the outline.
        distillation: share of the loss that is against a teacher's probabilities; the rest is against the masks. 0:
            there is no teacher.
        teacher: how the teacher looks at the batches.
        precision: Lightning's name, "bf16-mixed" or "32-true".
        seed: of everything random.
        workers: processes that load data.
        augmentation: how samples are varied.
    """

    epochs: int = 9
    epoch_steps: int = 0
    batch_size: int = 16
    optimizer: OptimizerKind = OptimizerKind.ADAMW
    learning_rate: float = 1e-3
    backbone_rate: float = 0.3
    weight_decay: float = 0.01
    schedule: Schedule = Schedule.COSINE
    warmup_steps: int = 100
    freeze_epochs: int = 0
    thaw_epochs: int = 0
    freeze_batchnorm_epochs: int = 1
    clip: float = 5.0
    ema_decay: float = 0.998
    start_share: float = 0.0
    dice_weight: float = 0.5
    boundary_weight: float = 2.0
    distillation: float = 0.0
    teacher: TeacherViews = field(default_factory=TeacherViews)
    precision: str = "bf16-mixed"
    seed: int = 1
    workers: int = 1
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "learning_rate", "clip"):
            if getattr(self, name) <= 0:
                raise SpecError(f"{name} is {getattr(self, name)}: it must be above 0")
        if self.epoch_steps < 0:
            raise SpecError(f"epoch_steps is {self.epoch_steps}: give 0 for all of the data, or more")
        if not 0 <= self.ema_decay < 1:
            raise SpecError(f"ema_decay is {self.ema_decay}: it lies in [0, 1)")
        if not 0 <= self.start_share < 1:
            raise SpecError(f"start_share is {self.start_share}: it is a share of the weights, in [0, 1)")
        if not 0 <= self.distillation <= 1:
            raise SpecError(f"distillation is {self.distillation}: it is a share, in [0, 1]")
        if min(self.freeze_epochs, self.thaw_epochs) < 0:
            raise SpecError(f"freeze_epochs is {self.freeze_epochs}, thaw_epochs {self.thaw_epochs}: give 0 or more")
        if self.freeze_epochs + self.thaw_epochs > self.epochs:
            thaw = f" and thaw_epochs {self.thaw_epochs}" if self.thaw_epochs else ""
            raise SpecError(f"freeze_epochs is {self.freeze_epochs}{thaw}, and the run has only {self.epochs} epochs")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, to keep with the run."""
        return dataclasses.asdict(self)
