"""The Lightning module: one network, its loss, its optimizer, its validation score."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from edge_deeplab.models.deeplab import DeepLab
from edge_deeplab.training.config import OptimizerKind
from edge_deeplab.training.depthwise import fast_depthwise_gradients
from edge_deeplab.training.freezing import freeze, thawed_share
from edge_deeplab.training.overlap import image_iou
from edge_deeplab.training.teacher import Distillation

Loss = Callable[[Tensor, Tensor], Tensor]


class SegmentationModule(LightningModule):
    """Trains a DeepLab network.

    Args:
        network: what is trained.
        loss: (logits, target) -> scalar, against the masks.
        distillation: the teacher's part in the loss; None: there is no teacher.
        optimizer: its kind.
        learning_rate: of the head.
        backbone_rate: factor on it for the backbone.
        weight_decay: of convolution weights.
        rate_factor: optimizer step -> factor on every rate.
        freeze_epochs: first epochs in which the backbone stands still.
        thaw_epochs: epochs after these in which more and more of it learns.
        batchnorm_until: first epoch in which BatchNorm keeps its statistics.
    """

    def __init__(
        self,
        network: DeepLab,
        loss: Loss,
        *,
        distillation: Distillation | None = None,
        optimizer: OptimizerKind,
        learning_rate: float,
        backbone_rate: float,
        weight_decay: float,
        rate_factor: Callable[[int], float],
        freeze_epochs: int,
        thaw_epochs: int = 0,
        batchnorm_until: int,
    ) -> None:
        super().__init__()
        self.network = network
        self._loss, self._distillation = loss, distillation
        self._optimizer, self._learning_rate, self._backbone_rate = optimizer, learning_rate, backbone_rate
        self._weight_decay, self._rate_factor = weight_decay, rate_factor
        self._freeze_epochs, self._thaw_epochs, self._batchnorm_until = freeze_epochs, thaw_epochs, batchnorm_until

    def on_fit_start(self) -> None:
        if self._distillation is not None:
            self._distillation.teacher.to(self.device)

    def on_train_epoch_start(self) -> None:
        self.network.train()
        freeze(self.network.backbone, thawed_share(self.current_epoch, self._freeze_epochs, self._thaw_epochs))
        if self.current_epoch >= self._batchnorm_until:
            for module in self.network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        images, target = batch
        images = images.contiguous(memory_format=torch.channels_last)
        with fast_depthwise_gradients(self.device):
            logits = self.network(images).float()
        loss = self._loss(logits, target)
        if self._distillation is not None:
            loss = self._distillation.shared(loss, logits, images, target)
        self.log("train/loss", loss, prog_bar=True, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        images, target = batch
        logits = self.network(images.contiguous(memory_format=torch.channels_last)).float()
        size = len(images)
        self.log("val/loss", self._loss(logits, target), batch_size=size, sync_dist=True)
        self.log("val/iou", image_iou(logits, target).mean(), prog_bar=True, batch_size=size, sync_dist=True)

    def configure_optimizers(self) -> dict[str, Any]:  # type: ignore[override]  # Lightning's is a union of twelve
        backbone = set(self.network.backbone.parameters())
        groups = []
        for in_backbone in (True, False):
            rate = self._learning_rate * (self._backbone_rate if in_backbone else 1.0)
            own = [p for p in self.network.parameters() if (p in backbone) == in_backbone]
            # Biases and BatchNorm are vectors; decaying them costs accuracy and gains nothing.
            groups.append({"params": [p for p in own if p.ndim > 1], "lr": rate, "weight_decay": self._weight_decay})
            groups.append({"params": [p for p in own if p.ndim <= 1], "lr": rate, "weight_decay": 0.0})
        return scheduled_optimizer(self._optimizer, groups, self._rate_factor)


def scheduled_optimizer(
    kind: OptimizerKind, groups: list[dict[str, Any]], rate_factor: Callable[[int], float]
) -> dict[str, Any]:
    """What Lightning wants of ``configure_optimizers``: the optimizer, and its rate set anew at every step.

    Args:
        kind: the optimizer.
        groups: parameter groups, each with its "params", "lr" and "weight_decay".
        rate_factor: optimizer step -> factor on every rate.
    """
    optimizer: torch.optim.Optimizer
    match kind:
        case OptimizerKind.ADAMW:
            optimizer = torch.optim.AdamW(groups)
        case OptimizerKind.SGD:
            optimizer = torch.optim.SGD(groups, lr=groups[0]["lr"], momentum=0.9)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate_factor)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
