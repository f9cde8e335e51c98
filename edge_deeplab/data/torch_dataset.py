"""A data set as torch's DataLoader wants it: tensors by index, safe in forked and spawned workers."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.data import Dataset

from edge_deeplab.data.sample import MaskKind, SegmentationDataset
from edge_deeplab.data.transforms import EvaluationTransform, TrainingTransform, replace_background


class TrainingDataset(Dataset[tuple[Tensor, Tensor]]):
    """Samples through a random transform.

    Args:
        dataset: where the photos come from.
        transform: what is made of them; its ``augmentation.background`` is the share of photos whose surroundings
            are replaced.
        backgrounds: what they are replaced by; None for the photos of ``dataset`` itself, whose people stay people.
    """

    def __init__(
        self,
        dataset: SegmentationDataset,
        transform: TrainingTransform,
        backgrounds: SegmentationDataset | None = None,
    ) -> None:
        self.dataset = dataset
        self.transform = transform
        self.backgrounds = dataset if backgrounds is None else backgrounds

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        sample = self.dataset[index]
        probability = self.transform.augmentation.background
        if self.dataset.mask_kind is MaskKind.COVERAGE and float(torch.rand(())) < probability and sample.mask.any():
            sample = replace_background(sample, self.backgrounds[int(torch.randint(len(self.backgrounds), ()))])
        return self.transform(sample)


class EvaluationDataset(Dataset[tuple[Tensor, Tensor]]):
    """Samples at the network's size, unchanged otherwise: for the loss on the validation split."""

    def __init__(self, dataset: SegmentationDataset, transform: EvaluationTransform) -> None:
        self.dataset = dataset
        self.transform = transform

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.transform(self.dataset[index])
