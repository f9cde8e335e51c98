"""A checkpoint at several scales, mirrored, at another output stride."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from edge_deeplab.image import resize_area
from edge_deeplab.models.deeplab import Deployed, at_output_stride
from edge_deeplab.models.loading import load_network
from edge_deeplab.runtime.closing import ClosedOnExit
from edge_deeplab.runtime.contract import check_pixels, plural_threads
from edge_deeplab.runtime.multi_scale import MultiScale, scaled
from edge_deeplab.runtime.torch_session import image_tensor


class MultiScaleSession(ClosedOnExit):
    """The mean of a network's probabilities as a :class:`~edge_deeplab.runtime.session.Session`.

    Its height and width are those of the largest scale, so that no scale is an enlargement of a smaller one.
    """

    def __init__(self, path: Path, settings: MultiScale, *, threads: int | None = None) -> None:
        """Load the network.

        Args:
            path: the checkpoint.
            settings: what is averaged.
            threads: of PyTorch's pool, which the whole process shares; None leaves it as it is.

        Raises:
            CheckpointError: as :func:`edge_deeplab.models.loading.load_network`.
            SpecError: there is no such output stride.
        """
        network, checkpoint = load_network(path)
        spec = checkpoint.spec
        stride = settings.output_stride or spec.network.output_stride
        if stride != spec.network.output_stride:
            network = at_output_stride(network, spec.network, stride)
        if threads is not None:
            torch.set_num_threads(threads)
        self._deployed = Deployed(network, spec.network.num_classes).eval()
        self._flip = settings.flip
        self._sizes = [(scaled(spec.height, s, stride), scaled(spec.width, s, stride)) for s in settings.scales]
        self.height, self.width = max(self._sizes)
        self.classes = spec.classes
        self.runtime = (
            f"PyTorch {torch.__version__}, {plural_threads(torch.get_num_threads())}, "
            f"scales {', '.join(f'{scale:g}' for scale in settings.scales)}{', mirrored too' if self._flip else ''}, "
            f"output stride {stride}"
        )

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """RGB uint8 (height, width, 3) -> mean probabilities, float32 (height, width, classes); see Session.run."""
        pixels = check_pixels(pixels, self.height, self.width)
        with torch.inference_mode():
            total = torch.zeros(1, len(self.classes), self.height, self.width)
            for height, width in self._sizes:
                image = image_tensor(resize_area(pixels, height, width))
                probability = self._deployed(image)
                if self._flip:
                    probability = (probability + self._deployed(image.flip(3)).flip(3)) / 2
                total += functional.interpolate(
                    probability, size=(self.height, self.width), mode="bilinear", align_corners=False
                )
            mean: NDArray[np.float32] = (total[0] / len(self._sizes)).permute(1, 2, 0).contiguous().numpy()
        return mean

    def close(self) -> None:
        """Nothing is held."""
