"""What a TFLite file says of its two ends."""

from __future__ import annotations

from pathlib import Path

from edge_deeplab.bundle.contract import Activation, Client, ColourOrder, Element, Layout, Tensor
from edge_deeplab.bundle.ends import Ends
from edge_deeplab.doctor.finding import Client as Judge
from edge_deeplab.doctor.requirement import errors_for
from edge_deeplab.errors import ModelFileError
from edge_deeplab.runtime import tflite_file
from edge_deeplab.runtime.foreign.tflite_hints import producer

_ELEMENTS = {"FLOAT32": Element.FLOAT32, "UINT8": Element.UINT8, "INT8": Element.INT8}
_ACTIVATIONS = {"LOGISTIC": Activation.SIGMOID, "SOFTMAX": Activation.SOFTMAX}


def tflite_ends(path: Path) -> Ends:
    """Read the two ends of a file, and ask whether MediaPipe takes it.

    Raises:
        ModelFileError: damaged, of another shape than one picture in and one map out, or without an activation.
    """
    content = tflite_file.read_bytes(path)
    graph = tflite_file.inspect_flatbuffer(content, str(path))
    last = producer(graph, graph.outputs[0]) if graph.outputs else None
    if len(graph.inputs) != 1 or len(graph.outputs) != 1 or last is None or last.name not in _ACTIVATIONS:
        raise ModelFileError(
            f"{path} has {len(graph.inputs)} inputs and {len(graph.outputs)} outputs, and its last operator is "
            f"{last.name if last else 'none'}: a bundle's files have one of each, and end with "
            f"{' or '.join(_ACTIVATIONS)}"
        )
    refused = errors_for(path, Judge.MEDIAPIPE)
    return Ends(
        source=_tensor(graph.inputs[0], graph.signature_inputs, path),
        colour_order=ColourOrder.RGB,  # the format does not say it; it is this project's contract
        result=_tensor(graph.outputs[0], graph.signature_outputs, path),
        activation=_ACTIVATIONS[last.name],
        clients=(Client.LITERT,) if refused else (Client.LITERT, Client.MEDIAPIPE),
        system=None,
    )


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
