"""What a run leaves behind: the best weights as a checkpoint of ours, its curves, and pictures of masks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor, nn

from edge_deeplab.files import write_bytes
from edge_deeplab.training.curves import EpochScores, curves_plot, read_curves, write_curves

CURVES = "curves.csv"


class BestModel(Callback):
    """Save the network whenever the validation score is the best so far.

    It runs while Lightning's EMA callback has the averaged weights in place, so list it before that one.

    Args:
        save: takes the network, and the epoch (counted from 1) and score to note beside it.
    """

    def __init__(self, save: Callable[[nn.Module, dict[str, Any]], None]) -> None:
        self._save = save
        self._best = -1.0

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        score = float(trainer.callback_metrics["val/iou"])
        if trainer.sanity_checking or score <= self._best:
            return
        self._best = score
        if trainer.is_global_zero:
            notes = {"epoch": trainer.current_epoch + 1, "val_iou": round(score, 5)}
            self._save(pl_module.get_submodule("network"), notes)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self._best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._best = state_dict["best"]


class AveragingWithStart(WeightAveraging):
    """Lightning's moving average of the weights, mixed with those that the run began with wherever it is looked at.

    The average itself goes on without them. They are kept in what a run resumes from.

    Args:
        start_share: of the weights that the run began with, BatchNorm's statistics included, in (0, 1).
        avg_fn: as for ``WeightAveraging``.
    """

    def __init__(self, start_share: float, avg_fn: Callable[[Tensor, Tensor, Tensor | int], Tensor]) -> None:
        super().__init__(avg_fn=avg_fn)
        self._share = start_share
        self._start: dict[str, Tensor] = {}
        self._average: dict[str, Tensor] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        self._start = {name: value.clone() for name, value in _weights(pl_module).items()}

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_validation_epoch_start(trainer, pl_module)
        seen = _weights(pl_module)
        self._average = {name: value.clone() for name, value in seen.items()}
        for name, value in seen.items():
            value.lerp_(self._start[name].to(value.device), self._share)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for name, value in _weights(pl_module).items():
            value.copy_(self._average[name])
        super().on_validation_epoch_end(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "start": self._start}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._start = state_dict["start"]


def _weights(module: LightningModule) -> dict[str, Tensor]:
    """What a mean can be taken of: no counters."""
    state = module.get_submodule("network").state_dict()
    return {name: value for name, value in state.items() if value.is_floating_point()}


class Curves(Callback):
    """Keep ``curves.csv`` of the whole run, however often it was stopped, and draw ``curves.png`` at its end.

    Args:
        out: folder of the run.
    """

    def __init__(self, out: Path) -> None:
        self._out = out

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        now = EpochScores(
            epoch=trainer.current_epoch + 1,
            steps=trainer.global_step,
            learning_rate=max(  # of all groups, the head's is the highest
                group["lr"] for group in trainer.optimizers[0].param_groups
            ),
            train_loss=metrics["train/loss_epoch"],
            val_loss=metrics["val/loss"],
            val_iou=metrics["val/iou"],
        )
        # A run that was killed after this and before its last.ckpt was written does the epoch again.
        epochs = [*(one for one in read_curves(self._out / CURVES) if one.epoch < now.epoch), now]
        write_curves(self._out / CURVES, epochs)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epochs = read_curves(self._out / CURVES)
        if trainer.is_global_zero and epochs:
            write_bytes((self._out / CURVES).with_suffix(".png"), curves_plot(epochs, self._out.name))


class MaskPictures(Callback):
    """Show TensorBoard a few validation images with the truth and the prediction, after each epoch.

    Args:
        images: float32, (N, 3, H, W), RGB in [0, 1].
        targets: (N, 1, H, W) coverage in [0, 1], below 0 where it is not known (shown as 0), or (N, H, W) class
            indices.
    """

    def __init__(self, images: Tensor, targets: Tensor) -> None:
        self._images, self._targets = images, targets

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        images = self._images.to(pl_module.device)
        with torch.no_grad():
            logits = pl_module.get_submodule("network")(images).float().cpu()
        if logits.shape[1] == 1:
            truth, prediction = self._targets.clamp(min=0.0), torch.sigmoid(logits)
        else:
            top = logits.shape[1] - 1
            truth, prediction = ((m.clamp(max=top) / top).unsqueeze(1) for m in (self._targets, logits.argmax(1)))
        rows = torch.cat([self._images, truth.expand(-1, 3, -1, -1), prediction.expand(-1, 3, -1, -1)], dim=2)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_images("val/photo, truth, prediction", rows, trainer.global_step)
