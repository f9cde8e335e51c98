"""A client in a process of its own, and how far its masks are from ours: the edge of clients.py."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from signal import Signals

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.image import Rgb

_HERE = Path(__file__).parent
CLIENTS_PYTHON = _HERE.parent / ".venv-clients" / "bin" / "python"  # make clients


@dataclass(frozen=True)
class Client:
    """A program that others wrote.

    Attributes:
        name: its name.
        python: of the environment that it is installed in.
        script: what runs it, beside this file: SCRIPT MODEL MODE PICTURES MASKS, see client_loop.py.
        modes: in which it can run.
    """

    name: str
    python: Path
    script: str
    modes: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """What a client made of a file.

    Attributes:
        version: the client's; empty where it crashed.
        refused: why it did not run the file; empty where it did.
        milliseconds: median time of a picture, with its resizes; 0 where it refused.
        confidence: picture to the person's probability, float32 HxW.
        category: picture to class, uint8 HxW; empty where the client has no such mask.
    """

    version: str
    refused: str
    milliseconds: float
    confidence: Mapping[str, NDArray[np.float32]]
    category: Mapping[str, NDArray[np.uint8]]


def ask(client: Client, model: Path, mode: str, pictures: Mapping[str, Rgb], timeout: float = 300.0) -> Answer:
    """Let a client segment pictures.

    Args:
        client: who.
        model: the file.
        mode: one of its modes.
        pictures: name to picture.
        timeout: seconds; then it is stopped, and counts as a refusal, as a crash does.

    Raises:
        RuntimeError: the script itself failed.
    """
    with tempfile.TemporaryDirectory() as name:
        given, masks = Path(name) / "pictures.npz", Path(name) / "masks.npz"
        np.savez(given, **pictures)  # type: ignore[arg-type]
        words = [client.python, _HERE / client.script, model, mode, given, masks]
        try:
            done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=timeout, check=False)
        except subprocess.TimeoutExpired:
            return _refusal("", f"no answer within {timeout:.0f} s")
        if done.returncode < 0:
            return _refusal("", f"crashed ({Signals(-done.returncode).name})")
        if done.returncode > 0:
            raise RuntimeError(f"{client.script} failed: {done.stderr.strip().splitlines()[-1:]}")
        said = json.loads(done.stdout)
        if "refused" in said:
            return _refusal(said["version"], said["refused"])
        with np.load(masks) as arrays:
            kinds = {kind: {p: arrays[f"{p}.{kind}"] for p in pictures if f"{p}.{kind}" in arrays} for kind in _KINDS}
        return Answer(said["version"], "", said["milliseconds"], kinds["confidence"], kinds["category"])


_KINDS = ("confidence", "category")


def _refusal(version: str, why: str) -> Answer:
    return Answer(version, why, 0.0, {}, {})


@dataclass(frozen=True)
class Agreement:
    """Pixels that two sets of masks decide alike.

    Attributes:
        mean: share of a picture's pixels, mean of the pictures.
        worst: the lowest share.
        picture: where that is.
    """

    mean: float
    worst: float
    picture: str


def agreement(ours: Mapping[str, NDArray[np.bool_]], theirs: Mapping[str, NDArray[np.bool_]]) -> Agreement:
    """Compare masks, HxW, of the same pictures."""
    shares = {name: float((mask == theirs[name]).mean()) for name, mask in ours.items()}
    picture = min(shares, key=lambda name: shares[name])
    return Agreement(float(np.mean(list(shares.values()))), shares[picture], picture)
