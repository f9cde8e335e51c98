"""The order and the random numbers of a run depend on seed, epoch and index alone."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from edge_deeplab.training.sampling import EpochSampler, SeededDataset


@given(
    length=st.integers(8, 200),
    batch_size=st.integers(1, 4),
    world_size=st.integers(1, 2),
    seed=st.integers(0, 2**31),
    epoch=st.integers(0, 50),
)
def test_processes_share_out_an_epoch(length: int, batch_size: int, world_size: int, seed: int, epoch: int) -> None:
    keys = []
    for rank in range(world_size):
        sampler = EpochSampler(length, seed=seed, batch_size=batch_size, rank=rank, world_size=world_size)
        sampler.set_epoch(epoch)
        keys.append(list(sampler))
        assert len(keys[-1]) == len(sampler)
        assert len(keys[-1]) % batch_size == 0
    # The first batches of all processes together are the first batch of a single one that is as large.
    single = EpochSampler(length, seed=seed, batch_size=batch_size * world_size)
    single.set_epoch(epoch)
    together = [key for step in zip(*keys, strict=True) for key in step]
    assert together == list(single)
    indices = [key % length for key in together]
    assert len(set(indices)) == len(indices)
    assert {key // length for key in together} <= {epoch}


def test_epochs_differ() -> None:
    sampler = EpochSampler(50, seed=0, batch_size=2)
    first = list(sampler)
    sampler.set_epoch(1)
    assert [key % 50 for key in sampler] != first


class _Noise(Dataset[tuple[Tensor, Tensor]]):
    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return torch.rand(3), torch.tensor(index)


def test_random_numbers_follow_the_key_and_not_the_worker() -> None:
    data = SeededDataset(_Noise(), 10, seed=3)
    before = torch.get_rng_state()
    direct = [data[key][0] for key in range(10)]
    assert torch.equal(torch.get_rng_state(), before)  # the run's own generator is left alone
    for workers in (0, 2):
        loader = DataLoader(data, batch_size=5, sampler=range(10), num_workers=workers)  # type: ignore[arg-type]
        loaded = torch.cat([noise for noise, _ in loader])
        assert torch.equal(loaded, torch.stack(direct))
    assert not torch.equal(data[0][0], data[10][0])  # the same image in the next epoch
    assert not torch.equal(data[0][0], SeededDataset(_Noise(), 10, seed=4)[0][0])
