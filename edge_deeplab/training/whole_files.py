"""Lightning's checkpoints, written whole or not at all."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from edge_deeplab.files import write_bytes


class WholeFiles(TorchCheckpointIO):
    """Renames a finished file into place.

    Lightning's own writer moves it there from the folder for temporary files. Between two file systems that is a copy,
    and a kill or a full disk leaves half of it under the final name.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write ``checkpoint``. Raises: OutputError: the place cannot be written to."""
        buffer = io.BytesIO()  # torch.save to a file hides the system's error
        torch.save(checkpoint, buffer)
        write_bytes(Path(path), buffer.getvalue())
