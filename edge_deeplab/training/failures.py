"""What ends a training from outside, in a sentence: full memory, a process that was killed, a photo that went away.

PyTorch says these with a RuntimeError, and hands on what a data process raised with that process's traceback as its
message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from edge_deeplab.errors import DatasetError, EdgeDeeplabError, ResourceError

_ENDED = re.compile(
    r"DataLoader worker \(pid(?:\(s\))? .*?\) (?:is killed by signal: (?P<signal>\w[\w ]*)|exited unexpectedly)"
)
_NO_MEMORY = re.compile(r"(?:can't allocate|not enough) memory: you tried to allocate (?P<bytes>\d+) bytes")
_FROM_DATA_PROCESS = re.compile(r"Caught (?P<type>\w+) in DataLoader worker process")


@contextmanager
def named_failures(last: Path) -> Iterator[None]:
    """Around a training run.

    Args:
        last: what the run is resumed from, once it is there.

    Raises:
        ResourceError: the memory of the GPU or of the machine is full, or a process that loads data was killed.
        DatasetError: a file of the data set could not be read any more.
        EdgeDeeplabError: what a process that loads data raised, with its own type and message.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ResourceError(f"the GPU's memory is full: {_SMALLER}{_kept(last)}") from error
    except MemoryError as error:
        raise ResourceError(f"the memory is full: {_SMALLER}{_kept(last)}") from error
    except EdgeDeeplabError as error:
        message = _from_data_process(error)
        if message is None:
            raise
        raise type(error)(message + _kept(last)) from error
    except OSError as error:
        message = _from_data_process(error)
        if message is None:
            raise
        raise DatasetError(f"the data set could not be read on: {message}{_kept(last)}") from error
    except RuntimeError as error:
        sentence = _sentence(error)
        if sentence is None:
            raise
        raise ResourceError(sentence + _kept(last)) from error


_SMALLER = "train with a smaller --batch-size (in a recipe: training.batch_size), or on fewer pixels"


def _sentence(error: RuntimeError) -> str | None:
    """What is wrong, where PyTorch says that the machine ended the run; None for any other error."""
    if found := _NO_MEMORY.search(str(error)):
        return f"the memory is full ({int(found['bytes']) / 2**30:.1f} GiB more were wanted): {_SMALLER}"
    # The signal may be in the cause only, or nowhere: PyTorch finds dead processes in two ways, and the faster wins.
    said = [found for each in (error, error.__cause__) if (found := _ENDED.search(str(each)))]
    if not said:
        return None
    match next((found["signal"] for found in said if found["signal"]), None):
        case "Bus error":
            return (
                "a process that loads data found the shared memory (/dev/shm) full: give it more "
                "(docker run --shm-size=2g), or train with --workers 0"
            )
        case "Killed":
            return (
                "a process that loads data was killed, as the system does when the memory is full: "
                "train with fewer --workers"
            )
        case None:
            return (
                "a process that loads data ended without a word, as when the memory or the shared memory (/dev/shm) is "
                "full: train with fewer --workers (0 needs no such process)"
            )
        case signal:
            return f"a process that loads data was stopped from outside ({signal})"


def _from_data_process(error: Exception) -> str | None:
    """The message of an error that a data process raised, out of the traceback around it; None for any other error."""
    text = str(error)
    caught = _FROM_DATA_PROCESS.match(text)
    if caught is None:
        return None
    *_, message = re.split(rf"^(?:[\w.]+\.)?{caught['type']}: ", text, flags=re.MULTILINE)
    return message.strip()


def _kept(last: Path) -> str:
    return ". The finished epochs are kept: go on with --resume" if last.is_file() else ""
