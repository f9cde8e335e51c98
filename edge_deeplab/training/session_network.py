"""A model file as a module, so that what looks at batches can look through it: TFLite or ONNX, ours or anybody's."""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from edge_deeplab.runtime.session import Session

# Further from 0 and 1 a file's probabilities say nothing: an 8-bit one has steps of 1/256.
_SURE = 1e-4


class SessionNetwork(nn.Module):
    """Runs a session on each picture of a batch. It has no parameters, and gradients end at it.

    Args:
        session: an opened model; it stays open as long as this.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session

    def __deepcopy__(self, copies: dict[int, object]) -> Self:
        """Itself: an opened file cannot be copied, and what averages a student's weights copies all that it holds."""
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the session's probabilities.

        Args:
            images: float, (N, 3, height, width) of the session, RGB in [0, 1]; rounded to bytes, as it takes pictures.

        Returns:
            float32, (N, classes, rows, columns) at the session's output size, on the pictures' device: what sigmoid
            (one class) or softmax make the probabilities of, which end 1e-4 from 0 and 1.
        """
        pixels = images.detach().mul(255.0).round_().clamp_(0, 255).to("cpu", torch.uint8).permute(0, 2, 3, 1)
        said = np.stack([self._session.run(picture) for picture in pixels.contiguous().numpy()])
        probabilities = torch.from_numpy(said).permute(0, 3, 1, 2).clamp(_SURE, 1 - _SURE).to(images.device)
        return torch.logit(probabilities) if probabilities.shape[1] == 1 else torch.log(probabilities)
