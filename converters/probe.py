"""A picture that excites every layer, and what each layer of the PyTorch network makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx


def probe_pixels(height: int, width: int) -> NDArray[np.uint8]:
    """A seeded picture with large shapes and grain, RGB, uint8, HxWx3: it excites every layer."""
    random = np.random.default_rng(20180313)
    coarse = random.uniform(-40, 295, (6, 6, 3)).astype(np.float32)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(np.rint(smooth + random.normal(0, 12, (height, width, 3))), 0, 255).astype(np.uint8)


def point_values(module: fx.GraphModule, nodes: Mapping[str, str], pixels: NDArray[np.uint8]) -> dict[str, Tensor]:
    """Run a traced network on one image and keep the values of some nodes.

    Args:
        module: (1, 3, H, W) in [0, 1] -> anything; float32 or float64.
        nodes: point name to node name.
        pixels: RGB, uint8, HxWx3.

    Returns:
        Point name to values, (1, C, H, W).
    """
    names: dict[str, list[str]] = {}
    for point, node in nodes.items():
        names.setdefault(node, []).append(point)
    kept: dict[str, Tensor] = {}

    class Keep(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            result = super().run_node(n)
            for name in names.get(n.name, ()):
                kept[name] = result
            return result

    dtype = next(module.parameters()).dtype
    image = (torch.from_numpy(pixels.astype(np.float32)) / 255).to(dtype).permute(2, 0, 1)[None]
    with torch.no_grad():
        Keep(module).run(image)
    return kept
