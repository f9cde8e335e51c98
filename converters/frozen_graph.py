"""A frozen graph, run by TensorFlow itself."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters.worker import run_worker
from edge_deeplab.extras import require_extra
from edge_deeplab.importing.frozen_deeplab import INPUT, OUTPUT

_TIMEOUT = 1800.0  # seconds; a minute on an idle core
# On the CPU, whose sums are the same every time, and quietly.
_ENVIRONMENT = {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}


def run_frozen_graph(content: bytes, rgb: NDArray[np.uint8], tensors: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Run a DeepLab of research/deeplab on one picture.

    Args:
        content: its GraphDef.
        rgb: RGB, uint8, HxWx3, no larger than the graph's own size; it pads a smaller one with grey.
        tensors: names of nodes; the first output of each is given.

    Returns:
        Name to value.

    Raises:
        ConversionError: TensorFlow failed.
        MissingExtraError: it is not installed.
    """
    require_extra("convert", "running a frozen graph", "tensorflow")
    with tempfile.TemporaryDirectory(prefix="edge-deeplab-") as name:
        folder = Path(name)
        (folder / "graph.pb").write_bytes(content)
        np.savez(folder / "feed.npz", **{f"{INPUT}:0": rgb[None]})
        words = ["graph.pb", "feed.npz", "values.npz", *(f"{tensor}:0" for tensor in tensors)]
        run_worker("converters.frozen_graph_worker", words, folder=folder, environment=_ENVIRONMENT, timeout=_TIMEOUT)
        with np.load(folder / "values.npz", allow_pickle=False) as file:
            values: Mapping[str, NDArray[Any]] = {tensor: file[f"{tensor}:0"] for tensor in tensors}
    return dict(values)


def semantic_predictions(content: bytes, rgb: NDArray[np.uint8]) -> NDArray[np.int32]:
    """The class of each pixel, as the graph itself says it: int32, HxW. Raises: as :func:`run_frozen_graph`."""
    predictions: NDArray[np.int32] = run_frozen_graph(content, rgb, [OUTPUT])[OUTPUT][0]
    return predictions
