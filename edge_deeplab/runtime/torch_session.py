"""The reference: a checkpoint, run by PyTorch in float32 on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge_deeplab.models.deeplab import Deployed
from edge_deeplab.models.loading import load_network
from edge_deeplab.runtime.closing import ClosedOnExit
from edge_deeplab.runtime.contract import check_pixels, plural_threads


class TorchSession(ClosedOnExit):
    """A checkpoint (.safetensors) as a :class:`~edge_deeplab.runtime.session.Session`."""

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        """Load the network.

        Args:
            path: the checkpoint.
            threads: of PyTorch's pool, which the whole process shares; None leaves it as it is.

        Raises:
            CheckpointError: as :func:`edge_deeplab.models.loading.load_network`.
        """
        network, checkpoint = load_network(path)
        spec = checkpoint.spec
        if threads is not None:
            torch.set_num_threads(threads)
        self._deployed = Deployed(network, spec.network.num_classes).eval()
        self.height, self.width, self.classes = spec.height, spec.width, spec.classes
        self.runtime = f"PyTorch {torch.__version__}, {plural_threads(torch.get_num_threads())}"

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """RGB uint8 (height, width, 3) -> probabilities, float32 (height, width, classes); see Session.run."""
        pixels = check_pixels(pixels, self.height, self.width)
        with torch.inference_mode():
            probability: NDArray[np.float32] = (
                self._deployed(image_tensor(pixels))[0].permute(1, 2, 0).contiguous().numpy()
            )
        return probability

    def close(self) -> None:
        """Nothing is held."""


def image_tensor(pixels: NDArray[np.uint8]) -> Tensor:
    """RGB uint8 (H, W, 3) -> what a network takes: float32, (1, 3, H, W), RGB in [0, 1]."""
    return torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None] / 255
