"""Quantization-aware fine-tuning: a short run of the integer network, taught by the float network it came from."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from edge_deeplab.checkpoint import Checkpoint
from edge_deeplab.data.sample import SegmentationDataset
from edge_deeplab.errors import SpecError
from edge_deeplab.files import sha256
from edge_deeplab.models.deeplab import DeepLab, build_network
from edge_deeplab.models.loading import save_state
from edge_deeplab.quantization.graph import quantization_graph
from edge_deeplab.quantization.ranges import QuantRanges, ranges_path, save_ranges
from edge_deeplab.quantization.trainable import TrainableNetwork
from edge_deeplab.quantization.unfold import network_of, on_int8_grid
from edge_deeplab.spec import NetworkSpec
from edge_deeplab.training.config import OptimizerKind, TeacherViews, TrainingConfig
from edge_deeplab.training.depthwise import fast_depthwise_gradients
from edge_deeplab.training.module import Loss, scheduled_optimizer
from edge_deeplab.training.overlap import image_iou
from edge_deeplab.training.run import CHECKPOINT, fit, rate_factor, segmentation_loss
from edge_deeplab.training.teacher import Distillation, Teacher

FINE_TUNING = TrainingConfig(
    epochs=3, learning_rate=1e-4, backbone_rate=0.5, weight_decay=0.0, freeze_batchnorm_epochs=2
)
"""A short run at a tenth of the float training's rate."""


@dataclass(frozen=True)
class QuantizationAwareConfig:
    """A recipe for the fine-tune.

    Attributes:
        training: as for float training, with a low rate and few epochs (Krishnamoorthi 2018, section 3.2.1; Nagel et
            al. 2021, section 4). BatchNorm keeps its statistics in the last ``freeze_batchnorm_epochs``: from there on
            the network that is trained is the one that is deployed, bias rounding included.
        distillation: share of the loss that is against the teacher's probabilities, the float network's own unless
            another one is given; the rest is against the masks. It stands here and not in ``training``, because every
            fine-tune has a teacher.
    """

    training: TrainingConfig = FINE_TUNING
    distillation: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.distillation <= 1:
            raise SpecError(f"distillation is {self.distillation}: it is a share, in [0, 1]")
        if self.training.distillation:
            raise SpecError("a fine-tune's share of distillation is its own setting, not its training's: move it there")
        if self.training.start_share:
            raise SpecError("a fine-tune's ranges belong to the weights that it ends with: leave out start_share")


def train_quantized(
    network: DeepLab,
    parent: Checkpoint,
    start: QuantRanges,
    train_data: SegmentationDataset,
    val_data: SegmentationDataset,
    out: Path,
    config: QuantizationAwareConfig,
    *,
    teacher: Teacher | None = None,
    resume: bool = False,
    devices: int = 1,
    accelerator: str = "auto",
    stop_after: int | None = None,
) -> Path:
    """Fine-tune a float network as the integer network that it becomes.

    Writes ``out/model.safetensors`` and ``out/model.ranges.json``: the averaged weights and the learned ranges of the
    epoch whose *integer* network scores best on ``val_data``; everything else in ``out`` as
    :func:`edge_deeplab.training.run.train`, resuming included. Each weight is its integer times its scale: the float
    weights behind them were never trained to compute anything, and other formats would be made of them.

    Args:
        network: trained, float; left as it is.
        parent: the checkpoint that it came from.
        start: where the activation scales start, from calibration.
        train_data, val_data, out, resume, devices, accelerator, stop_after: as for ``train``.
        config: the recipe.
        teacher: whose probabilities it learns; None: those of ``network``.

    Returns:
        The checkpoint's path.

    Raises:
        RangesError: ``start`` does not fit the network, or training diverged.
        DatasetError, CheckpointError, OutputError: as ``train``.
    """
    training, spec = config.training, parent.spec
    recipe = {**training.to_dict(), "distillation": config.distillation}
    graph = quantization_graph(network, spec.network.num_classes)
    if teacher is None:
        teacher = Teacher(copy.deepcopy(network), spec.height, spec.width, TeacherViews(flip=False))
    module = QuantizationAwareModule(
        TrainableNetwork(network, graph, start).to(memory_format=torch.channels_last),
        segmentation_loss(train_data.mask_kind, training),
        distillation=Distillation(teacher, config.distillation),
        optimizer=training.optimizer,
        learning_rate=training.learning_rate,
        backbone_rate=training.backbone_rate,
        weight_decay=training.weight_decay,
        rate_factor=rate_factor(train_data, training, devices=devices),
        batchnorm_until=training.epochs - training.freeze_batchnorm_epochs,
    )

    def save(trained: torch.nn.Module, notes: dict[str, Any]) -> None:
        assert isinstance(trained, TrainableNetwork)
        path = out / CHECKPOINT
        origin = {"parent_sha256": parent.sha256, "parent": dict(parent.notes), "quantization_aware": recipe}
        if teacher.sha256 is not None:
            origin["teacher_sha256"] = teacher.sha256
        deployed, ranges = _deployed(trained, spec.network)
        save_state(path, spec, deployed.state_dict(), notes={**origin, **notes})
        save_ranges(ranges_path(path), replace(ranges, checkpoint_sha256=sha256(path)))

    fit(
        module,
        save,
        spec,
        train_data,
        val_data,
        out,
        training,
        resume=resume,
        devices=devices,
        accelerator=accelerator,
        stop_after=stop_after,
    )
    return out / CHECKPOINT


def _deployed(trained: TrainableNetwork, spec: NetworkSpec) -> tuple[DeepLab, QuantRanges]:
    """The network with its weights on their grid, and its ranges, which name no checkpoint yet."""
    network = build_network(spec)
    network.load_state_dict(trained.state_of_network())
    ranges = trained.ranges(checkpoint_sha256="")
    return network_of(on_int8_grid(quantization_graph(network, spec.num_classes), ranges), spec), ranges


class QuantizationAwareModule(LightningModule):
    """Trains a :class:`TrainableNetwork`.

    Args:
        network: what is trained.
        loss: (logits, target) -> scalar, against the masks.
        distillation: the teacher's part in the loss.
        optimizer: its kind.
        learning_rate: of the head, and of the logarithms of the activation scales.
        backbone_rate: factor on it for the backbone.
        weight_decay: of convolution weights.
        rate_factor: optimizer step -> factor on every rate.
        batchnorm_until: first epoch in which BatchNorm keeps its statistics.
    """

    def __init__(
        self,
        network: TrainableNetwork,
        loss: Loss,
        *,
        distillation: Distillation,
        optimizer: OptimizerKind,
        learning_rate: float,
        backbone_rate: float,
        weight_decay: float,
        rate_factor: Callable[[int], float],
        batchnorm_until: int,
    ) -> None:
        super().__init__()
        self.network = network
        self._loss, self._distillation = loss, distillation
        self._optimizer, self._learning_rate, self._backbone_rate = optimizer, learning_rate, backbone_rate
        self._weight_decay, self._rate_factor = weight_decay, rate_factor
        self._batchnorm_until = batchnorm_until

    def on_fit_start(self) -> None:
        self._distillation.teacher.to(self.device)

    def on_train_epoch_start(self) -> None:
        self.network.train()
        self.network.live_batchnorm(self.current_epoch < self._batchnorm_until)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        images, target = batch
        images = images.contiguous(memory_format=torch.channels_last)
        with fast_depthwise_gradients(self.device):
            logits = self.network(images).float()
        loss = self._distillation.shared(self._loss(logits, target), logits, images, target)
        self.log("train/loss", loss, prog_bar=True, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        images, target = batch
        # What is validated is the file's arithmetic: bfloat16 would add its own rounding.
        with torch.autocast(images.device.type, enabled=False):
            logits = self.network(images.contiguous(memory_format=torch.channels_last))
        size = len(images)
        self.log("val/loss", self._loss(logits, target), batch_size=size, sync_dist=True)
        self.log("val/iou", image_iou(logits, target).mean(), prog_bar=True, batch_size=size, sync_dist=True)

    def configure_optimizers(self) -> dict[str, Any]:  # type: ignore[override]  # Lightning's is a union of twelve
        scales = list(self.network.scale_parameters())
        backbone, others = set(self.network.backbone_parameters()), set(self.network.parameters()) - set(scales)
        groups: list[dict[str, Any]] = [{"params": scales, "lr": self._learning_rate, "weight_decay": 0.0}]
        for in_backbone in (True, False):
            rate = self._learning_rate * (self._backbone_rate if in_backbone else 1.0)
            own = [p for p in self.network.parameters() if p in others and (p in backbone) == in_backbone]
            groups.append({"params": [p for p in own if p.ndim > 1], "lr": rate, "weight_decay": self._weight_decay})
            groups.append({"params": [p for p in own if p.ndim <= 1], "lr": rate, "weight_decay": 0.0})
        return scheduled_optimizer(self._optimizer, groups, self._rate_factor)
