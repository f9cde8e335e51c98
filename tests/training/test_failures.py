"""Runs that the machine ends: each says in a sentence why, and what is kept."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edge_deeplab.data.sample import MaskKind, Sample
from edge_deeplab.errors import DatasetError, EdgeDeeplabError, ImageError, ResourceError
from edge_deeplab.image import read_rgb
from edge_deeplab.models.deeplab import build_network
from edge_deeplab.training.failures import named_failures
from edge_deeplab.training.run import RESUME, train

from .conftest import TINY_SPEC, TINY_TRAINING

_CONFIG = replace(TINY_TRAINING, batch_size=2, workers=1, freeze_batchnorm_epochs=0)


class Interrupted:
    """Photos of noise; what happens to a process that reads one is the caller's."""

    classes = ("person",)
    mask_kind = MaskKind.COVERAGE

    def __init__(self, happens: Callable[[int], object] = lambda index: None) -> None:
        self._happens = happens

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Sample:
        if index >= len(self):
            raise IndexError(index)
        self._happens(index)
        image = np.random.default_rng(index).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        return Sample(str(index), "noise", image, (image[:, :, 0] > 99).astype(np.uint8) * 255)


def _run(out: Path, happens: Callable[[int], object], *, epochs: int = 2, resume: bool = False) -> None:
    data = Interrupted(happens)
    config = replace(_CONFIG, epochs=epochs)
    train(
        build_network(TINY_SPEC.network), TINY_SPEC, data, Interrupted(), out, config, accelerator="cpu", resume=resume
    )


def _die_of(number: signal.Signals) -> Callable[[int], None]:
    def die(index: int) -> None:
        if index == 2:
            os.kill(os.getpid(), number)
            signal.pause()  # until it is delivered

    return die


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGBUS, signal.SIGTERM], ids=lambda number: number.name)
def test_a_process_that_loads_data_is_killed(tmp_path: Path, number: signal.Signals) -> None:
    # PyTorch finds out in two ways, and only one of them knows the signal: the sentences for each are tested below.
    with pytest.raises(ResourceError, match=r"^a process that loads data (was|found|ended) "):
        _run(tmp_path / "run", _die_of(number))


@pytest.mark.parametrize(
    ("signal_name", "sentence"),
    [
        ("Killed", r"killed, as the system does when the memory is full: train with fewer --workers$"),
        ("Bus error", r"shared memory \(/dev/shm\) full: .*--shm-size.* --workers 0$"),
        ("Terminated", r"stopped from outside \(Terminated\)$"),
    ],
)
def test_the_signal_says_what_to_do(tmp_path: Path, signal_name: str, sentence: str) -> None:
    error = RuntimeError(f"DataLoader worker (pid 77) is killed by signal: {signal_name}. ")
    with pytest.raises(ResourceError, match=sentence), named_failures(tmp_path / RESUME):
        raise error
    with pytest.raises(ResourceError, match=sentence), named_failures(tmp_path / RESUME):
        raise RuntimeError("DataLoader worker (pid(s) 77) exited unexpectedly") from error


def test_a_process_is_killed_in_the_second_epoch_and_the_first_is_kept(tmp_path: Path) -> None:
    out, read = tmp_path / "run", tmp_path / "read"

    def die_when_read_again(index: int) -> None:
        if index == 2 and read.exists():
            os.kill(os.getpid(), signal.SIGKILL)
        if index == 2:
            read.touch()

    with pytest.raises(ResourceError, match=r"\. The finished epochs are kept: go on with --resume$"):
        _run(out, die_when_read_again)
    assert (out / RESUME).is_file()
    _run(out, lambda index: None, resume=True)
    assert [line.split(",")[0] for line in (out / "curves.csv").read_text().splitlines()] == ["epoch", "1", "2"]


def test_a_photo_that_was_damaged_since_is_named_without_a_traceback(tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"\xff\xd8\xff\xe0 no more")
    with pytest.raises(ImageError) as direct:
        read_rgb(photo)
    with pytest.raises(ImageError) as caught:
        _run(tmp_path / "run", lambda index: read_rgb(photo))
    assert str(caught.value) == str(direct.value)


def test_a_file_that_went_away_is_named_without_a_traceback(tmp_path: Path) -> None:
    gone = tmp_path / "share" / "photo.jpg"
    with pytest.raises(DatasetError) as caught:
        _run(tmp_path / "run", lambda index: gone.read_bytes())
    assert str(caught.value) == (
        f"the data set could not be read on: [Errno 2] No such file or directory: {str(gone)!r}"
    )


def test_memory_that_is_not_there_is_refused_by_a_sentence(tmp_path: Path) -> None:
    with (
        pytest.raises(ResourceError, match=r"the memory is full \(4194304\.0 GiB more were wanted\): .*--batch-size"),
        named_failures(tmp_path / RESUME),
    ):
        torch.empty(2**52, dtype=torch.uint8)
    with pytest.raises(ResourceError, match=r"the memory is full: .*--batch-size"), named_failures(tmp_path / RESUME):
        np.empty(2**60, np.uint8)


def test_a_full_gpu_is_said(tmp_path: Path) -> None:
    with (
        pytest.raises(ResourceError, match=r"the GPU's memory is full: .*--batch-size"),
        named_failures(tmp_path / RESUME),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")


@pytest.mark.parametrize(
    "error", [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), OSError(5, "I/O"), KeyError("id")]
)
def test_other_errors_pass_as_they_are(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(type(error), match=re.escape(str(error))) as caught, named_failures(tmp_path / RESUME):
        raise error
    assert caught.value is error


def test_an_error_of_ours_passes_as_it_is(tmp_path: Path) -> None:
    error = EdgeDeeplabError("two\nlines")
    with pytest.raises(EdgeDeeplabError) as caught, named_failures(tmp_path / RESUME):
        raise error
    assert caught.value is error
