"""Run an ONNX file on one picture and keep every tensor that is asked for, by its name."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.errors import ConversionError
from edge_deeplab.runtime.onnx_session import PROVIDERS, session_options

if TYPE_CHECKING:
    from onnx import GraphProto


def tensor_values(
    data: bytes, names: Iterable[str], image: NDArray[np.float32], *, optimized: bool = True
) -> dict[str, NDArray[Any]]:
    """Run a model on one image and keep some tensors.

    Args:
        data: the file.
        names: tensors that its operators compute; each is made an output of the graph.
        image: (1, 3, H, W).
        optimized: with the kernels that a session of this project would use; False: operator by operator as written.

    Returns:
        Tensor name to values.

    Raises:
        ConversionError: the file does not run.
    """
    import onnx
    import onnxruntime

    wanted = sorted(set(names))
    model = onnx.load_from_string(data)
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted)
    options = session_options(threads=1)
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=PROVIDERS)
        values = session.run(wanted, {model.graph.input[0].name: image})
    except Exception as error:
        raise _refused(error) from error
    return dict(zip(wanted, values, strict=True))


def optimized_graph(data: bytes) -> GraphProto:
    """What onnxruntime makes of a file for this machine's processor.

    Raises:
        ConversionError: the file does not run.
    """
    import onnx
    import onnxruntime

    with tempfile.TemporaryDirectory(prefix="edge-deeplab-") as folder:
        place = Path(folder) / "optimized.onnx"
        options = session_options(threads=1)
        options.optimized_model_filepath = str(place)
        try:
            onnxruntime.InferenceSession(data, options, providers=PROVIDERS)
        except Exception as error:
            raise _refused(error) from error
        return onnx.load(place).graph


def _refused(error: Exception) -> ConversionError:
    """onnxruntime has a dozen exception types without a common base."""
    reason = " ".join(str(error).split())[:200]
    return ConversionError(f"the ONNX file does not run ({reason}): convert the checkpoint again")
