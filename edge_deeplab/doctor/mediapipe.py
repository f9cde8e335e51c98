"""MediaPipe Tasks' ImageSegmenter.

Where a docstring says "measured", mediapipe 1.2.2 for Python ran the shipped int8 file on the bundled photo (CPU, mode
IMAGE) after the change in question. "image_tensor_specs", "image_preprocessing_graph", "image_segmenter_graph" and
"tensors_to_segmentation_calculator" are files of MediaPipe's source, below mediapipe/tasks/cc/vision and
mediapipe/tasks/cc/components/processors; "documentation" is the reference page of mp.tasks.vision.ImageSegmenter.

Nothing is said of int8 outputs: measured, they are scaled to real numbers, and give the same mask as uint8.
"""

from __future__ import annotations

from collections.abc import Iterator

from edge_deeplab.doctor.any_client import UNBOUNDED
from edge_deeplab.doctor.finding import Client, Effect, Finding
from edge_deeplab.doctor.tflite_facts import TfliteFacts
from edge_deeplab.doctor.words import plural
from edge_deeplab.runtime.foreign.adaptation import InputRange
from edge_deeplab.runtime.tflite_file import Tensor
from edge_deeplab.runtime.tflite_metadata import Activation

_TYPES = ("UINT8", "FLOAT32")
_CHANNELS = (3, 4)
_PROBABILITIES = ("LOGISTIC", "SOFTMAX")
_ARGMAX = "ARG_MAX"  # its output has no channels
_CONTRACT = InputRange.uniform(0.0, 1.0)
_METADATA = "write TFLite metadata with NormalizationOptions: mean 0 and deviation 255 for RGB in 0 .. 1"


def executed(facts: TfliteFacts) -> Iterator[Finding]:
    """What LiteRT with XNNPACK does not prepare. Measured on another project's uint8 file: "RET_CHECK failure"."""
    if facts.execution.problem:
        yield _refused("execution", (), f"its LiteRT does not run it: {facts.execution.problem}", "see litert-cpu")


def metadata_readable(facts: TfliteFacts) -> Iterator[Finding]:
    """Metadata that our reader refuses too; of two means, measured: "only 1 or 3 mean and std values are supported"."""
    if facts.damage:
        yield _refused("metadata", (), facts.damage, "write the metadata again")


def one_graph(facts: TfliteFacts) -> Iterator[Finding]:
    """More than one subgraph, or input: image_tensor_specs, "assumed to have a single subgraph", "a single input"."""
    if len(facts.model.graphs) > 1:
        message = f"it takes one subgraph, and the file has {len(facts.model.graphs)}"
        yield _refused("one-graph", (), message, "convert without IF and WHILE")
    if len(facts.main.inputs) != 1:
        names = tuple(tensor.name for tensor in facts.main.inputs)
        message = f"it takes one input, and the file has {len(names)}"
        yield _refused("one-input", names, message, "make the others constants of the graph")


def one_output(facts: TfliteFacts) -> Iterator[Finding]:
    """Several outputs. Measured with the logits behind the probabilities: it shows the last one and says nothing."""
    if len(facts.main.outputs) > 1:
        *ignored, shown = facts.main.outputs
        yield Finding(
            "one-output",
            Client.MEDIAPIPE,
            Effect.WRONG,
            (shown.name,),
            f"of several outputs it shows the last, and ignores {', '.join(tensor.name for tensor in ignored)}",
            "export the mask as the only output",
        )


def input_type(facts: TfliteFacts) -> Iterator[Finding]:
    """image_tensor_specs and measured: "Requested one of these types: uint8/float32, got INT8"."""
    for tensor in _image(facts):
        if tensor.type not in _TYPES:
            yield _refused(
                "input-type",
                (tensor.name,),
                f"it takes uint8 or float32, and the input is {tensor.type.lower()}",
                "convert with --io uint8",
            )


def input_shape(facts: TfliteFacts) -> Iterator[Finding]:
    """image_tensor_specs and measured: batch 2 and NCHW are refused ("1 x height x width x depth, depth = 3 or 4")."""
    for tensor in _image(facts):
        shape = "x".join(map(str, tensor.shape))
        if len(tensor.shape) != 4:
            yield _refused("input-shape", (tensor.name,), f"it takes NHWC, and this is {shape}", "export NHWC")
        elif tensor.shape[3] not in _CHANNELS:
            first = tensor.shape[1] in (1, *_CHANNELS)
            words = f"the channels come first, {shape}" if first else f"it takes 3 or 4 channels, and this is {shape}"
            yield _refused(
                "input-shape",
                (tensor.name,),
                f"{words}: it takes 1 x height x width x 3",
                "convert to NHWC" if first else "export a network that takes RGB",
            )
        elif tensor.shape[0] != 1:
            yield _refused(
                "input-shape", (tensor.name,), f"it takes one picture, and this is {shape}", "export batch 1"
            )


def free_size(facts: TfliteFacts) -> Iterator[Finding]:
    """A free height or width. Measured: the size that is stored beside it is taken; with 1x1 stored it is refused."""
    for tensor in facts.free_sizes:
        if tensor not in facts.main.inputs or len(tensor.shape) != 4:
            continue
        height, width = tensor.shape[1:3]
        cure = "export it with a fixed size"
        if min(height, width) <= 1:
            yield _refused("free-size", (tensor.name,), f"it runs the stored size, which is {height}x{width}", cure)
        else:
            yield Finding(
                "free-size",
                Client.MEDIAPIPE,
                Effect.LIMITED,
                (tensor.name,),
                f"the size is free, and it scales every picture to the stored {height}x{width}",
                cure,
            )


def normalization(facts: TfliteFacts) -> Iterator[Finding]:
    """A float input without NormalizationOptions, or with numbers that differ between channels, or with wrong ones.

    image_tensor_specs and measured: "Input tensor has type float32: it requires specifying NormalizationOptions".
    image_preprocessing_graph and measured: "Per-channel image normalization is not available". uint8 gets the bytes
    as they are (image_preprocessing_graph). Files with a sidecar take RGB in 0 .. 1 (docs/architecture.md).
    """
    for tensor in _image(facts):
        if tensor.type != "FLOAT32" or facts.damage:
            continue
        given, names = facts.hints.input_range, (tensor.name,)
        if given is None:
            yield _refused("normalization", names, "a float input without NormalizationOptions", _METADATA)
        elif not given.same:
            yield _refused(
                "normalization",
                names,
                "the normalization differs between channels",
                "fold it into the first convolution, and write one mean and one deviation",
            )
        elif facts.half_pixel_promised and given != _CONTRACT:
            yield Finding(
                "normalization",
                Client.MEDIAPIPE,
                Effect.WRONG,
                names,
                f"it will give the network {given.low[0]:.4g} .. {given.high[0]:.4g}, which was trained on 0 .. 1",
                _METADATA,
            )


def output(facts: TfliteFacts) -> Iterator[Finding]:
    """An output that is no map with a number for each class.

    Measured: an int64 argmax is refused ("Unsupported output tensor type"); an int32 one of 1x256x256 gives 256 masks
    of zeros.
    """
    for tensor in facts.main.outputs[-1:]:
        if tensor.type == "INT64":
            yield _refused(
                "output",
                (tensor.name,),
                "it takes no int64, such as class numbers",
                "export the network up to its softmax",
            )
        elif facts.hints.producer == _ARGMAX or tensor.type == "INT32":
            yield Finding(
                "output",
                Client.MEDIAPIPE,
                Effect.WRONG,
                (tensor.name,),
                "it takes class numbers for probabilities, and shows empty masks",
                "export the network up to its softmax or sigmoid",
            )


def activation(facts: TfliteFacts) -> Iterator[Finding]:
    """Logits that nobody turns into probabilities, or probabilities that are turned once more.

    It applies what the metadata say, and nothing where they are silent (image_segmenter_graph). Measured without
    metadata: logits come out as confidences from -10.7 to 12.1, and the categories change elsewhere. Measured with one
    logit and SOFTMAX, for which tensors_to_segmentation_calculator has a check that Tasks does not reach: every
    confidence is 1.
    """
    asked = facts.metadata.activation or Activation.NONE
    producer, names = facts.hints.producer, tuple(tensor.name for tensor in facts.main.outputs[-1:])
    if producer in UNBOUNDED and asked is Activation.NONE:
        yield Finding(
            "activation",
            Client.MEDIAPIPE,
            Effect.WRONG,
            names,
            f"logits (of {producer}) are shown as confidences, because no metadata ask for an activation",
            "put the sigmoid or softmax into the graph, or let the metadata ask for it",
        )
    elif producer in _PROBABILITIES and asked is not Activation.NONE:
        yield Finding(
            "activation",
            Client.MEDIAPIPE,
            Effect.WRONG,
            names,
            f"the output is probabilities ({producer}), and the metadata ask for {asked.name} once more",
            "write metadata with the activation NONE",
        )
    elif asked is Activation.SOFTMAX and _channels(facts) == 1:
        yield Finding(
            "activation",
            Client.MEDIAPIPE,
            Effect.WRONG,
            names,
            "the metadata ask for a SOFTMAX over one channel, which is 1 everywhere",
            "write metadata with the activation SIGMOID",
        )


def labels(facts: TfliteFacts) -> Iterator[Finding]:
    """No list of classes. Documentation: "If there is no label map provided in the model file, empty label list".

    Measured with a file of labels without any: "Expected non-empty labels file".
    """
    if facts.damage or facts.metadata.labels:
        return
    if facts.metadata.labels_file:
        message = f"its metadata name {facts.metadata.labels_file}, which has no labels"
        yield _refused("labels", (), message, "write TFLite metadata with the name of each class")
    else:
        yield Finding(
            "labels",
            Client.MEDIAPIPE,
            Effect.NOTE,
            (),
            "the file names no classes: its list of labels is empty",
            "write TFLite metadata with a labels file",
        )


def label_count(facts: TfliteFacts) -> Iterator[Finding]:
    """Another number of labels than of masks.

    tensors_to_segmentation_calculator gives a mask for each channel and never looks at the labels; measured with one
    channel and two or three labels: the right mask, and as many labels as the file has.
    """
    given, channels = len(facts.metadata.labels), _channels(facts)
    if given and channels and given != channels and facts.hints.producer != _ARGMAX:
        yield Finding(
            "label-count",
            Client.MEDIAPIPE,
            Effect.LIMITED,
            tuple(tensor.name for tensor in facts.main.outputs[-1:]),
            f"the file has {plural(given, 'label')}, and its output {plural(channels, 'channel')}: which mask is whose "
            "the labels do not tell",
            "write TFLite metadata with a label for each channel, in their order",
        )


def _channels(facts: TfliteFacts) -> int:
    """How many masks it gives: the output's last size (GetImageLikeTensorShape); 0 where that is not known."""
    for tensor in facts.main.outputs[-1:]:
        if len(tensor.shape) in (3, 4):
            return tensor.shape[-1]
        return 1 if len(tensor.shape) == 2 else 0
    return 0


def _image(facts: TfliteFacts) -> tuple[Tensor, ...]:
    return facts.main.inputs[:1]


def _refused(check: str, where: tuple[str, ...], message: str, cure: str) -> Finding:
    return Finding(check, Client.MEDIAPIPE, Effect.REFUSED, where, message, cure)
