"""The peer that is a PyTorch state dict: MediaPipe's DeepLabV3 of 257x257, put back into the network it came from."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_deeplab.errors import ModelFileError
from edge_deeplab.models.deeplab import DeepLab, build_network
from edge_deeplab.models.layers import ConvBNAct
from edge_deeplab.quantization.fold import fold_batchnorm
from edge_deeplab.runtime.closing import ClosedOnExit
from edge_deeplab.runtime.contract import check_pixels, plural_threads
from edge_deeplab.spec import PERSON, NetworkSpec

SUFFIX = ".pth"
_SIDE = 257
_PERSON = 15  # of Pascal VOC's 21 classes
# Width 0.5, no atrous branches, no decoder (Sandler et al. 2018, section 6.3), output stride 8: the file does not say
# the stride; at 8 it agrees best with true masks (8 validation photos: IoU 0.887, at 16 0.859, at 32 0.778).
_NETWORK = NetworkSpec(width_multiplier=0.5, output_stride=8, atrous_rates=(), decoder=False, num_classes=21)


class MediapipeDeepLab(ClosedOnExit):
    """The state dict as a :class:`~edge_deeplab.runtime.session.Session` with the class "person"."""

    height = width = _SIDE
    classes = (PERSON,)
    reasons = (
        "takes RGB in -1..1 (as MediaPipe's DeepLab; the file does not say)",
        "gives logits (its last layer has no activation)",
        "the person is class 15 of 21 (a guess: Pascal VOC), 0.5 of their softmax the threshold",
    )

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        """Load the file.

        Args:
            path: the state dict. Only tensors are read: nothing of it is executed.
            threads: of PyTorch's pool, which the whole process shares; None leaves it as it is.

        Raises:
            ModelFileError: missing, damaged, or not this network's.
        """
        if threads is not None:
            torch.set_num_threads(threads)
        self._network = _network(path)
        self.runtime = f"PyTorch {torch.__version__}, {plural_threads(torch.get_num_threads())}"

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """RGB uint8 (257, 257, 3) -> the person's probability, float32 (257, 257, 1); see Session.run."""
        pixels = check_pixels(pixels, _SIDE, _SIDE)
        with torch.inference_mode():
            image = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None] / 127.5 - 1
            probability: NDArray[np.float32] = self._network(image)[0].softmax(0)[_PERSON, :, :, None].numpy()
        return np.ascontiguousarray(probability)

    def close(self) -> None:
        """There is nothing to free."""


def _network(path: Path) -> DeepLab:
    try:
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
        names = [name.removesuffix(".weight") for name in state if name.endswith(".weight")]
        pairs = [(state[f"{name}.weight"], state[f"{name}.bias"]) for name in names]
    except (OSError, RuntimeError, AttributeError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise ModelFileError(f"{path} is no state dict of folded convolutions ({error}): get a fresh copy") from error
    network = fold_batchnorm(build_network(_NETWORK)).eval()
    layers = [layer.conv for layer in network.modules() if isinstance(layer, ConvBNAct)]
    layers.append(network.classifier)
    if [weight.shape[2:] for weight, _ in pairs] != [layer.weight.shape[2:] for layer in layers]:
        raise ModelFileError(f"{path} holds {len(pairs)} convolutions, which are not those of MediaPipe's DeepLabV3")
    # TensorFlow's DeepLab puts the pooled branch first into the concatenation.
    weight, bias = pairs[-2]
    pairs[-2] = torch.cat(weight.chunk(2, dim=1)[::-1], dim=1), bias
    for layer, (weight, bias) in zip(layers, pairs, strict=True):
        # Its layers at stride 4 have 12 channels, where the authors' rule, and ours, would round to 16.
        layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(bias)
        layer.groups = len(weight) if weight.shape[1] == 1 else 1
    try:
        with torch.inference_mode():
            network(torch.zeros(1, 3, 33, 33))
    except RuntimeError as error:
        raise ModelFileError(f"the layers of {path} do not fit together as MediaPipe's DeepLabV3 ({error})") from error
    return network
