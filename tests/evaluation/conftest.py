"""Sessions and data sets made of arrays, where the scoring is under test and not a runtime; and scripts as modules."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Self

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_deeplab.data.sample import MaskKind, Sample, mask_kind_of

ROOT = Path(__file__).resolve().parents[2]

Network = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


class ArraySession:
    """A function from pixels to probabilities, as a session; refuses to be entered by two threads."""

    runtime = "numpy"

    def __init__(
        self, network: Network, *, classes: tuple[str, ...] = ("person",), height: int = 8, width: int = 8
    ) -> None:
        self.classes, self.height, self.width = classes, height, width
        self._network = network
        self._busy = threading.Lock()

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        assert pixels.shape == (self.height, self.width, 3)
        assert self._busy.acquire(blocking=False), "two threads in one session"
        try:
            return self._network(pixels)
        finally:
            self._busy.release()

    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class ListDataset:
    """Samples in a list; an exception in it is raised when it is read."""

    def __init__(self, samples: Sequence[Sample | Exception], classes: tuple[str, ...] = ("person",)) -> None:
        self.classes = classes
        self.mask_kind: MaskKind = mask_kind_of(classes)
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int, /) -> Sample:
        sample = self._samples[index]
        if isinstance(sample, Exception):
            raise sample
        return sample


def red(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A network that takes red for a person: its probability is the red channel."""
    return pixels[:, :, :1].astype(np.float32) / np.float32(255)


@pytest.fixture
def red_session() -> ArraySession:
    return ArraySession(red)


@pytest.fixture
def session_of() -> type[ArraySession]:
    return ArraySession


@pytest.fixture
def dataset_of() -> type[ListDataset]:
    return ListDataset


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], ModuleType]:
    """A module of benchmarks/ or docs/; those beside it are found as when it is started."""

    def load(folder: str, name: str) -> ModuleType:
        monkeypatch.syspath_prepend(ROOT / folder)
        return importlib.import_module(name)

    return load
