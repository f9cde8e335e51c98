"""A quantized network as files: a checkpoint, and its ranges beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from calibration.ptq import PtqMethods, Quantized
from edge_deeplab.checkpoint import load_checkpoint, save_checkpoint
from edge_deeplab.errors import OutputError
from edge_deeplab.files import sha256, write_bytes
from edge_deeplab.quantization.ranges import ranges_path, save_ranges


def quantized_path(source: Path, folder: Path, methods: PtqMethods) -> Path:
    """Where the quantized form of a checkpoint goes: under its own name into ``folder``.

    Raises:
        OutputError: that is the float checkpoint itself, and it would become another.
    """
    path = folder / f"{source.stem}.safetensors"
    if methods.changes_weights and path.exists() and path.samefile(source):
        raise OutputError(f"{path} is the float checkpoint, whose weights would be replaced: choose another folder")
    return path


def save_quantized(
    path: Path,
    quantized: Quantized,
    methods: PtqMethods,
    source: Path,
    *,
    notes: Mapping[str, Any] | None = None,
) -> None:
    """Write the checkpoint and its ranges; the same arguments give the same bytes.

    Where no weight was changed, the checkpoint is a copy of ``source``. Else it is in float32: half precision would
    give the integers back as well (they need 7 bits), but not the biases.

    Args:
        path: of the checkpoint, from :func:`quantized_path`.
        quantized: from :func:`calibration.ptq.quantize`.
        methods: that made it.
        source: the float checkpoint.
        notes: plain JSON to keep in the new checkpoint beside the methods.

    Raises:
        OutputError: the place cannot be written to.
    """
    if methods.changes_weights:
        loaded = load_checkpoint(source)
        weights = {name: value.numpy() for name, value in quantized.network.state_dict().items()}
        history = {"ptq": {**asdict(methods), "source": loaded.sha256, **(notes or {})}}
        save_checkpoint(path, loaded.spec, weights, notes={**loaded.notes, **history})
    elif not (path.exists() and path.samefile(source)):
        write_bytes(path, source.read_bytes())
    save_ranges(ranges_path(path), quantized.ranges(sha256(path)))
