"""A training run from a recipe and a data set to a checkpoint."""

from __future__ import annotations

import logging
import pickle
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import (
    Callback,
    LearningRateMonitor,
    ModelCheckpoint,
    RichProgressBar,
    WeightAveraging,
)
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn
from torch.utils.data import DataLoader

from edge_deeplab.data.sample import MaskKind, SegmentationDataset
from edge_deeplab.data.torch_dataset import EvaluationDataset, TrainingDataset
from edge_deeplab.data.transforms import EvaluationTransform, TrainingTransform
from edge_deeplab.errors import CheckpointError, DatasetError, OutputError, SpecError
from edge_deeplab.files import make_folder, write_json
from edge_deeplab.models.deeplab import DeepLab
from edge_deeplab.models.loading import save_state
from edge_deeplab.spec import ModelSpec
from edge_deeplab.training.callbacks import AveragingWithStart, BestModel, Curves, MaskPictures
from edge_deeplab.training.config import TrainingConfig
from edge_deeplab.training.failures import named_failures
from edge_deeplab.training.losses import class_loss, person_loss
from edge_deeplab.training.module import Loss, SegmentationModule
from edge_deeplab.training.sampling import EpochSampler, SeededDataset
from edge_deeplab.training.schedules import learning_rate_factor
from edge_deeplab.training.teacher import Distillation, Teacher
from edge_deeplab.training.whole_files import WholeFiles

CHECKPOINT = "model.safetensors"
RESUME = "last.ckpt"
_PICTURES = 8

# TensorBoard's writer takes TensorFlow for its file system wherever it is installed, which costs ten seconds and
# registers a second LLVM; with a module of this name it uses its own (tensorboard/compat/__init__.py).
sys.modules.setdefault("tensorboard.compat.notf", ModuleType("tensorboard.compat.notf"))


def train(
    network: DeepLab,
    spec: ModelSpec,
    train_data: SegmentationDataset,
    val_data: SegmentationDataset,
    out: Path,
    config: TrainingConfig,
    *,
    teacher: Teacher | None = None,
    resume: bool = False,
    devices: int = 1,
    accelerator: str = "auto",
    stop_after: int | None = None,
) -> Path:
    """Train ``network`` and write ``out/model.safetensors``: the averaged weights of the best epoch.

    Beside it: ``last.ckpt`` (everything that ``resume`` needs, written whole after each epoch, so that a kill costs
    at most one epoch), ``config.json``, ``curves.csv`` and ``curves.png`` of all epochs, and in finer steps
    ``curves/version_N/metrics.csv`` and TensorBoard's files, a version a start.

    Args:
        network: changed in place; pretrained where wanted.
        spec: the model that the network was built from.
        train_data: what is learned.
        val_data: what the best epoch is chosen by.
        out: folder of the run.
        config: the recipe.
        teacher: for its share of the loss, ``config.distillation``.
        resume: continue from ``out/last.ckpt`` as if nothing had happened.
        devices: processes (one a GPU, or CPU processes); above 1 by Lightning's DDP. Under torchrun: its number.
        accelerator: Lightning's name: "auto", "cpu", "gpu".
        stop_after: stop after this many epochs of the ``config.epochs`` that the schedule is laid out for.

    Returns:
        The checkpoint's path.

    Raises:
        DatasetError: fewer samples than one batch, or classes that are not the model's.
        CheckpointError: ``resume`` without a usable ``last.ckpt``.
        OutputError: ``out`` cannot be written to, or already holds a run and ``resume`` is not asked for.
        SpecError: a share of the loss for no teacher, or a teacher without a share.
        ResourceError: full memory, or a killed process.
    """
    if (teacher is None) != (config.distillation == 0):
        raise SpecError(
            f"distillation is {config.distillation}, and there is {'no' if teacher is None else 'a'} teacher: "
            "give both or neither"
        )
    module = SegmentationModule(
        network.to(memory_format=torch.channels_last),
        segmentation_loss(train_data.mask_kind, config),
        distillation=None if teacher is None else Distillation(teacher, config.distillation),
        optimizer=config.optimizer,
        learning_rate=config.learning_rate,
        backbone_rate=config.backbone_rate,
        weight_decay=config.weight_decay,
        rate_factor=rate_factor(train_data, config, devices=devices),
        freeze_epochs=config.freeze_epochs,
        thaw_epochs=config.thaw_epochs,
        batchnorm_until=config.epochs - config.freeze_batchnorm_epochs,
    )

    def save(trained: nn.Module, notes: dict[str, Any]) -> None:
        origin = {"recipe": config.to_dict()} | ({} if teacher is None else {"teacher_sha256": teacher.sha256})
        save_state(out / CHECKPOINT, spec, trained.state_dict(), notes={**origin, **notes})

    fit(
        module,
        save,
        spec,
        train_data,
        val_data,
        out,
        config,
        resume=resume,
        devices=devices,
        accelerator=accelerator,
        stop_after=stop_after,
    )
    return out / CHECKPOINT


def fit(
    module: LightningModule,
    save: Callable[[nn.Module, dict[str, Any]], None],
    spec: ModelSpec,
    train_data: SegmentationDataset,
    val_data: SegmentationDataset,
    out: Path,
    config: TrainingConfig,
    *,
    resume: bool,
    devices: int,
    accelerator: str,
    stop_after: int | None = None,
) -> None:
    """Run the epochs of a module whose ``network`` gives logits and which logs ``val/iou``.

    Args:
        module: what is trained.
        save: called with the averaged network and notes (epoch, score) after each epoch that is the best so far.
        spec, train_data, val_data, out, config, resume, devices, accelerator, stop_after: as for :func:`train`.

    Raises:
        as :func:`train`.
    """
    check_run(spec, train_data, val_data, out, config, resume=resume, devices=devices)
    make_folder(out)
    seed_everything(config.seed, verbose=False)
    evaluation = EvaluationDataset(val_data, EvaluationTransform(spec.height, spec.width, val_data.mask_kind))
    with _quiet():
        trainer = Trainer(
            accelerator=accelerator,
            devices=devices,
            # A frozen backbone gives no gradients, which DDP must be told to expect.
            strategy=DDPStrategy(find_unused_parameters=config.freeze_epochs + config.thaw_epochs > 0)
            if devices > 1
            else "auto",
            precision=config.precision,  # type: ignore[arg-type]
            max_epochs=stop_after or config.epochs,
            limit_train_batches=config.epoch_steps or 1.0,
            gradient_clip_val=config.clip,
            callbacks=_callbacks(save, evaluation, out, config),
            plugins=[WholeFiles()],
            # Each start writes a version of its own, so that a resumed run keeps the curves of its beginning.
            logger=[TensorBoardLogger(out, name="tensorboard"), CSVLogger(out, name="curves")],
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
            log_every_n_steps=20,
            enable_model_summary=False,
        )
        if trainer.is_global_zero:
            write_json(out / "config.json", {"spec": spec.to_dict(), "training": config.to_dict()})
        with named_failures(out / RESUME):
            trainer.fit(
                module,
                _train_loader(train_data, spec, config, trainer),
                DataLoader(evaluation, batch_size=config.batch_size, num_workers=config.workers),
                ckpt_path=out / RESUME if resume else None,
                weights_only=True if resume else None,  # a downloaded last.ckpt must not run code
            )


def rate_factor(data: SegmentationDataset, config: TrainingConfig, *, devices: int) -> Callable[[int], float]:
    """The learning rate's factor at each step of the run."""
    steps = config.epoch_steps or len(data) // (config.batch_size * devices)
    return learning_rate_factor(config.schedule, steps * config.epochs, config.warmup_steps)


def check_run(
    spec: ModelSpec,
    train_data: SegmentationDataset,
    val_data: SegmentationDataset,
    out: Path,
    config: TrainingConfig,
    *,
    resume: bool,
    devices: int,
) -> None:
    """Refuse a run that cannot work before anything is written. Raises: as :func:`train`."""
    for data in (train_data, val_data):
        if data.classes != spec.classes:
            raise DatasetError(f"the data set has the classes {data.classes} and the model {spec.classes}")
    if len(train_data) < config.batch_size * devices:
        raise DatasetError(
            f"{len(train_data)} training images do not fill one batch of {config.batch_size * devices}: "
            "give more images or a smaller --batch-size"
        )
    if len(train_data) < config.epoch_steps * config.batch_size * devices:
        raise DatasetError(
            f"{len(train_data)} training images do not fill the {config.epoch_steps} batches of {config.batch_size} "
            "of an epoch: give more images or fewer epoch_steps"
        )
    if len(val_data) == 0:
        raise DatasetError("the validation split is empty: the best epoch is chosen on it")
    last = out / RESUME
    if resume and not last.is_file():
        raise CheckpointError(f"there is no {last} to resume from: leave out --resume to start anew")
    if resume:
        try:
            torch.load(last, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError) as error:
            raise CheckpointError(
                f"{last} is damaged ({' '.join(str(error).split())[:200]}): start anew in another folder"
                f"or go on from {CHECKPOINT}"
            ) from error
    if not resume and last.exists():
        raise OutputError(f"{out} already holds a training run: continue it with --resume, or choose another --out")


def segmentation_loss(kind: MaskKind, config: TrainingConfig) -> Loss:
    """The loss for masks of this kind: (logits, target) -> scalar."""
    function = person_loss if kind is MaskKind.COVERAGE else class_loss
    return partial(function, dice_weight=config.dice_weight, boundary_weight=config.boundary_weight)


def _train_loader(
    data: SegmentationDataset, spec: ModelSpec, config: TrainingConfig, trainer: Trainer
) -> DataLoader[tuple[Tensor, Tensor]]:
    transform = TrainingTransform(spec.height, spec.width, data.mask_kind, config.augmentation)
    sampler = EpochSampler(
        len(data),
        seed=config.seed,
        batch_size=config.batch_size,
        rank=trainer.global_rank,
        world_size=trainer.world_size,
    )
    return DataLoader(
        SeededDataset(TrainingDataset(data, transform), len(data), seed=config.seed),
        batch_size=config.batch_size,
        sampler=sampler,
        num_workers=config.workers,
        drop_last=True,
        pin_memory=torch.cuda.is_available(),
    )


def _callbacks(
    save: Callable[[nn.Module, dict[str, Any]], None], evaluation: EvaluationDataset, out: Path, config: TrainingConfig
) -> list[Callback]:
    count = min(_PICTURES, len(evaluation))
    chosen = [evaluation[index * len(evaluation) // count] for index in range(count)]
    pictures = MaskPictures(torch.stack([image for image, _ in chosen]), torch.stack([mask for _, mask in chosen]))
    average = partial(_moving_average, decay=config.ema_decay)
    # The order matters: the first two look at the averaged weights, which WeightAveraging puts back at the end.
    return [
        BestModel(save),
        pictures,
        Curves(out),
        AveragingWithStart(config.start_share, average) if config.start_share else WeightAveraging(avg_fn=average),
        ModelCheckpoint(out, filename="last", save_top_k=1, save_on_train_epoch_end=True, enable_version_counter=False),
        LearningRateMonitor("step"),
        RichProgressBar(),
    ]


def _moving_average(average: Tensor, current: Tensor, updates: Tensor | int, *, decay: float) -> Tensor:
    """An exponential moving average whose decay grows with its age, so that it forgets the random start quickly.

    min(decay, (1 + n) / (10 + n)) after n updates, as TensorFlow's ExponentialMovingAverage has it: with a constant
    0.998 half of a short run's average would still be the untrained network.
    """
    if not average.is_floating_point():  # BatchNorm's counter of batches
        return current
    return torch.lerp(average, current, 1.0 - min(decay, (1 + int(updates)) / (10 + int(updates))))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's advice about worker counts, loggers and devices to itself; errors pass."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning\..*")
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        yield
