"""What MediaPipe Tasks' ImageSegmenter would refuse of a .tflite file, or take wrongly without a word.

From its sources: image_tensor_specs.cc and image_preprocessing_graph.cc (the input), image_segmenter_graph.cc and
tensors_to_segmentation_calculator.cc (the output). mediapipe 1.2.2 was given a file of each kind (docs/clients.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_deeplab.errors import ClientError
from edge_deeplab.runtime.foreign.tflite_hints import producer
from edge_deeplab.runtime.tflite_file import Tensor, TfliteGraph, TfliteModel, inspect_model, read_bytes
from edge_deeplab.runtime.tflite_metadata import Activation, TfliteMetadata, metadata_in

_TYPES = ("FLOAT32", "UINT8")
_PROBABILITIES = ("LOGISTIC", "SOFTMAX")
_CLASS_NUMBERS = ("ARG_MAX", "ARG_MIN")


def require_mediapipe(path: Path) -> None:
    """See that MediaPipe takes a file, and takes it right.

    Raises:
        ClientError: it does not; the message has every reason.
        ModelFileError: missing, not a TFLite file, damaged, or its metadata are.
    """
    require_mediapipe_content(read_bytes(path), str(path))


def require_mediapipe_content(content: bytes, name: str) -> None:
    """As :func:`require_mediapipe`, for the bytes of a file; ``name`` is for the error message."""
    problems = mediapipe_problems(content, name)
    if problems:
        raise ClientError(f"{name} is not for MediaPipe Tasks: {'; '.join(problems)}")


def mediapipe_problems(content: bytes, name: str) -> tuple[str, ...]:
    """Why MediaPipe's ImageSegmenter would refuse a file or give wrong masks: a sentence with its cure each.

    Args:
        content: of a .tflite file.
        name: the file's, for error messages.

    Raises:
        ModelFileError: damaged, or its metadata are.
    """
    model = inspect_model(content, name)
    shape = [*_ends(model)]
    if shape:  # the rest speaks of the one input and the one output
        return tuple(shape)
    facts = _Facts(model.graphs[0], metadata_in(content, name) or TfliteMetadata())
    return tuple(problem for check in _CHECKS for problem in check(facts))


@dataclass(frozen=True)
class _Facts:
    """A file with one graph, one input and one output, both of four dimensions."""

    graph: TfliteGraph
    metadata: TfliteMetadata

    @property
    def source(self) -> Tensor:
        return self.graph.inputs[0]

    @property
    def target(self) -> Tensor:
        return self.graph.outputs[0]


def _ends(model: TfliteModel) -> Iterator[str]:
    """One graph, one input, one output of four dimensions each: anything else is refused.

    A second output is known to it as well, behind a quality score, which no file of ours has.
    """
    if len(model.graphs) != 1:
        yield f"it has {len(model.graphs)} subgraphs instead of one"
    main = model.graphs[0]
    for side, tensors in (("input", main.inputs), ("output", main.outputs)):
        if len(tensors) != 1:
            yield f"it has {len(tensors)} {side}s instead of one"
        for tensor in tensors:
            if len(tensor.shape) != 4:
                yield f"the {side} {tensor.name!r} has {len(tensor.shape)} dimensions instead of 4"


def _input_type(facts: _Facts) -> Iterator[str]:
    """ "Requested one of these types: uint8/float32" (image_tensor_specs.cc)."""
    if facts.source.type not in _TYPES:
        yield (
            f"the input {facts.source.name!r} is {facts.source.type.lower()}, and uint8 or float32 is taken: "
            "convert with --io uint8"
        )


def _layout(facts: _Facts) -> Iterator[str]:
    """1 x height x width x depth, where four channels take another way in (image_tensor_specs.cc)."""
    sizes = facts.source.shape
    if facts.source.dynamic:
        yield f"the size of the input {facts.source.name!r} is not fixed: convert with a static shape"
    elif sizes[0] != 1:
        yield f"the input {facts.source.name!r} has batch {sizes[0]}: convert with batch 1"
    elif sizes[3] != 3:
        channels_first = " (its channels stand first)" if sizes[1] == 3 else ""
        yield (
            f"the input {facts.source.name!r} is {_times(sizes)}{channels_first}, and 1 x height x width x 3 is taken: "
            "convert to NHWC"
        )


def _normalization(facts: _Facts) -> Iterator[str]:
    """A float input needs one number for all channels (image_preprocessing_graph.cc); uint8 gets the bytes."""
    if facts.source.type != "FLOAT32":
        return
    mean, deviation = facts.metadata.mean, facts.metadata.deviation
    if not mean and not deviation:
        yield "the input is float32 without NormalizationOptions: write metadata into it"
    elif len(mean) != len(deviation) or len(mean) not in (1, 3):
        yield f"it has {len(mean)} means and {len(deviation)} deviations: give one of each"
    elif len(set(mean)) > 1 or len(set(deviation)) > 1:
        yield "its mean or deviation is another for each channel: fold them into the first convolution"
    elif not all(value > 0 for value in deviation):
        yield f"its deviation is {deviation[0]:g}: it must be above 0"


def _output(facts: _Facts) -> Iterator[str]:
    target = facts.target
    if target.type not in _TYPES:
        yield f"the output {target.name!r} is {target.type.lower()}, and uint8 or float32 is read"
    if target.dynamic or target.shape[0] != 1:
        yield f"the output {target.name!r} is not of batch 1 and a fixed size"


def _activation(facts: _Facts) -> Iterator[str]:
    """It applies what the metadata say, NONE where they say nothing, and cuts one channel at 0.5
    (tensors_to_segmentation_calculator.cc)."""
    operator = producer(facts.graph, facts.target)
    last = "nothing" if operator is None else operator.name
    activation = facts.metadata.activation or Activation.NONE
    channels = facts.target.shape[3]
    if last in _CLASS_NUMBERS:
        yield f"the output is class numbers ({last} is inside), and a number for each class is read: convert without it"
    elif last in _PROBABILITIES:
        if activation is not Activation.NONE:
            yield f"the output is probabilities already ({last}), and the metadata ask for {activation.name}: say NONE"
    else:
        wanted = Activation.SIGMOID if channels == 1 else Activation.SOFTMAX
        if activation is not wanted:
            yield (
                f"the output is no probabilities (its last step is {last}) and the metadata ask for {activation.name}: "
                f"say {wanted.name}, or convert with the activation inside"
            )


def _labels(facts: _Facts) -> Iterator[str]:
    """It does not count them: measured."""
    labels, channels = facts.metadata.labels, facts.target.shape[3]
    if labels and len(labels) != channels:
        yield f"it has {len(labels)} labels for {channels} channels"


_CHECKS: tuple[Callable[[_Facts], Iterator[str]], ...] = (
    _input_type,
    _layout,
    _normalization,
    _output,
    _activation,
    _labels,
)


def _times(sizes: tuple[int, ...]) -> str:
    return " x ".join(map(str, sizes))
