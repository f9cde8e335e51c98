"""BatchNorm-folded Keras weights in a .npz file."""

from __future__ import annotations

from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray

from edge_deeplab.errors import CheckpointError
from edge_deeplab.models.pretrained import FoldedLayer, FoldedWeights

# Keras' preprocessing of MobileNetV2: (x - mean) / deviation for x in [0, 1].
_MEAN, _DEVIATION = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)


def read_keras_npz(path: Path) -> FoldedWeights:
    """Read a file that holds the convolutions in the order of execution.

    Each is ``NN_conv_w`` or ``NN_dw_w`` (layout [out, h, w, in]; depthwise [1, h, w, c]) and ``NN_..._b``.

    Raises:
        CheckpointError: missing, or not such a file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays: dict[str, NDArray[np.float64]] = {name: file[name] for name in file.files}
        layers = []
        for name in sorted(name for name in arrays if name.endswith("_w")):
            weight = torch.from_numpy(np.asarray(arrays[name], dtype=np.float32))
            depthwise = name.endswith("_dw_w")
            weight = weight.permute(3, 0, 1, 2) if depthwise else weight.permute(0, 3, 1, 2)
            bias = torch.from_numpy(np.asarray(arrays[name[:-1] + "b"], dtype=np.float32))
            layers.append(FoldedLayer(name, weight.contiguous(), bias))
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no weight file {path}") from error
    except (OSError, KeyError, ValueError, EOFError, RuntimeError, BadZipFile) as error:
        raise CheckpointError(f"{path} holds no folded MobileNetV2 weights ({error}): get a fresh copy") from error
    return FoldedWeights(path.name, tuple(layers), _MEAN, _DEVIATION)
