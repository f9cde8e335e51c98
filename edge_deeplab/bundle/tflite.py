"""What a TFLite file says of its two ends."""

from __future__ import annotations

from pathlib import Path

from edge_deeplab.bundle.contract import Activation, Client, Element, Layout, Tensor
from edge_deeplab.errors import ModelFileError
from edge_deeplab.runtime import tflite_file
from edge_deeplab.runtime.foreign.tflite_hints import tflite_hints

_ELEMENTS = {"FLOAT32": Element.FLOAT32, "UINT8": Element.UINT8, "INT8": Element.INT8}
_ACTIVATIONS = {"LOGISTIC": Activation.SIGMOID, "SOFTMAX": Activation.SOFTMAX}


def tflite_ends(path: Path) -> tuple[Tensor, Tensor, Activation, tuple[Client, ...]]:
    """Read the input, the output, the operator that makes the output, and who takes the file.

    MediaPipe Tasks refuses int8 inputs, and float inputs whose metadata have no normalization (measured with 1.2.2).

    Raises:
        ModelFileError: damaged, of another shape than one picture in and one map out, or without an activation.
    """
    content = tflite_file.read_bytes(path)
    graph = tflite_file.inspect_flatbuffer(content, str(path))
    hints = tflite_hints(content, str(path))
    if len(graph.inputs) != 1 or len(graph.outputs) != 1 or hints.producer not in _ACTIVATIONS:
        raise ModelFileError(
            f"{path} has {len(graph.inputs)} inputs and {len(graph.outputs)} outputs, the last operator is "
            f"{hints.producer}: a bundle's files have one of each, and end with {' or '.join(_ACTIVATIONS)}"
        )
    source = _tensor(graph.inputs[0], graph.signature_inputs, path)
    result = _tensor(graph.outputs[0], graph.signature_outputs, path)
    mediapipe = source.type is Element.UINT8 or (source.type is Element.FLOAT32 and hints.input_range is not None)
    clients = (Client.LITERT, Client.MEDIAPIPE) if mediapipe else (Client.LITERT,)
    return source, result, _ACTIVATIONS[hints.producer], clients


def _tensor(tensor: tflite_file.Tensor, signature: tuple[str, ...], path: Path) -> Tensor:
    if tensor.type not in _ELEMENTS:
        raise ModelFileError(f"{path} has a tensor of {tensor.type}: a bundle's files take and give bytes or float32")
    integer = bool(tensor.scales)
    return Tensor(
        name=signature[0] if signature else tensor.name,
        type=_ELEMENTS[tensor.type],
        shape=tensor.shape,
        layout=Layout.NHWC,
        scale=tensor.scales[0] if integer else None,
        zero_point=tensor.zero_points[0] if integer else None,
    )
