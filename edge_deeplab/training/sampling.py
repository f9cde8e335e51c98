"""Which sample comes when, and with which random numbers: a function of seed, epoch and index alone.

So a resumed run continues as if nothing had happened, and neither the number of worker processes nor
the number of machines changes what an image looks like.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler


class EpochSampler(Sampler[int]):
    """The order of one epoch, shared out among the processes of a distributed run.

    It yields keys, ``epoch * length + index``, from which :class:`SeededDataset` takes the sample and its random
    numbers. Lightning calls :meth:`set_epoch`. The last, incomplete batch of all processes together is left out.

    Args:
        length: samples in the data set.
        seed: of the run.
        batch_size: samples in a batch of one process.
        rank: of this process.
        world_size: number of processes.
    """

    def __init__(self, length: int, *, seed: int, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        self._length, self._seed, self._epoch = length, seed, 0
        self._rank, self._world_size = rank, world_size
        self._used = length // (batch_size * world_size) * batch_size * world_size

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration gives."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._used // self._world_size

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(_mix(self._seed, self._epoch))
        order = torch.randperm(self._length, generator=generator)[: self._used] + self._epoch * self._length
        return iter(order[self._rank :: self._world_size].tolist())


class SeededDataset(Dataset[tuple[Tensor, Tensor]]):
    """A data set whose random transforms draw from a generator that is seeded by the key alone."""

    def __init__(self, dataset: Dataset[tuple[Tensor, Tensor]], length: int, *, seed: int) -> None:
        self._dataset, self._length, self._seed = dataset, length, seed

    def __getitem__(self, key: int) -> tuple[Tensor, Tensor]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_mix(self._seed, key))
            return self._dataset[key % self._length]


def _mix(seed: int, key: int) -> int:
    """A seed of 63 bits for each pair: neighbours must not give neighbouring seeds (splitmix64's finalizer)."""
    value = (seed * 0x9E3779B97F4A7C15 + key + 1) & 0xFFFFFFFFFFFFFFFF
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        value = ((value ^ (value >> shift)) * factor) & 0xFFFFFFFFFFFFFFFF
    return (value ^ (value >> 31)) >> 1
