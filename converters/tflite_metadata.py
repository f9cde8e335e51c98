"""TFLite Model Metadata, written into a file of ours: what an app's library reads of it besides the network.

The schema is MediaPipe's metadata_schema.fbs, version 1.5.0 (the same as TFLite Support's), with the segmenter's own
image_segmenter_metadata_schema.fbs, version 1.0.0. They are written field by field: the writers that come with
mediapipe 1.2.2 miss a module of theirs. The files that metadata name are a ZIP archive behind the flatbuffer.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from converters.flatbuffer_tables import Table, pack
from converters.tflite_metadata_check import check_numbers
from converters.tflite_schema import IO_TYPES, new_buffer, read_model, write_model
from edge_deeplab.artifact import Artifact, load_artifact
from edge_deeplab.doctor.finding import Client
from edge_deeplab.doctor.requirement import require_client
from edge_deeplab.errors import ConversionError, ModelFileError
from edge_deeplab.files import atomic_path, sha256
from edge_deeplab.runtime.tflite_file import inspect_flatbuffer, read_bytes
from edge_deeplab.runtime.tflite_metadata import NAME, SEGMENTER, Activation, TfliteMetadata, metadata_in
from edge_deeplab.runtime.versions import versions
from edge_deeplab.spec import IoType
from edge_deeplab.weights.card import Card

AUTHOR = "edge-deeplab"
LABELS = "labels.txt"
_DATE = (1980, 1, 1, 0, 0, 0)  # the first that ZIP knows: no day of writing in the bytes
_UNIX = 3  # ZIP's number for the system that an entry was made on

# GetMinimumMetadataParserVersion in MediaPipe's metadata_version.cc: custom metadata came last of what is used here.
_MIN_PARSER_VERSION, _SEGMENTER_MIN_PARSER_VERSION = "1.5.0", "1.0.0"

_IMAGE_PROPERTIES, _NORMALIZATION = np.uint8(2), np.uint8(1)  # kinds of content properties, of process units
_RGB, _GRAYSCALE = np.uint8(1), np.uint8(2)
_TENSOR_AXIS_LABELS = np.uint8(2)


def with_metadata(model: Path, out: Path, card: Card, *, author: str = AUTHOR) -> Path:
    """Write a copy of a converted file that says what it is: for MediaPipe Tasks, TFLite Support, and whoever looks.

    The network's numbers stay as they are, and metadata that the file has already are replaced. The same input gives
    the same bytes.

    Args:
        model: a .tflite file of ours with its sidecar, of uint8 or float input and output.
        out: where to; may be ``model``. Its sidecar is written beside it.
        card: the model's: name, summary, intended use, terms.
        author: who made the model.

    Returns:
        ``out``.

    Raises:
        ModelFileError: ``model`` is no file of ours, its sidecar is another file's or says another size, number of
            classes or type of elements than the file has, or the card is another model's.
        ClientError: MediaPipe would refuse what was written, as it does with int8 input.
        ConversionError: what was written is not the same network.
        OutputError: the place cannot be written to.
    """
    artifact = load_artifact(model)
    if card.files and artifact.checkpoint_sha256 not in card.files.values():
        raise ModelFileError(f"{model} was not made of the checkpoint of the card {card.name!r}: take its own card")
    content = read_bytes(model)
    _require_sidecar(artifact, content)
    metadata = described(artifact, card, author)
    written = add_metadata(content, metadata, artifact)
    if metadata_in(written, str(model)) != metadata:
        raise ConversionError(f"the metadata of {model} are read otherwise than they were written")
    check_numbers(content, written)
    with atomic_path(out) as temporary:
        temporary.write_bytes(written)
        require_client(temporary, Client.MEDIAPIPE, name=str(model))
        digest = sha256(temporary)
    tools = {**artifact.tools, "flatbuffers": versions("flatbuffers")["flatbuffers"]}
    replace(artifact, path=out, sha256=digest, tools=tools).write_sidecar()
    return out


def described(artifact: Artifact, card: Card, author: str = AUTHOR) -> TfliteMetadata:
    """What is said of a file: from its card, its sidecar, and the contract for pixels.

    The version is that of edge-deeplab, and behind the plus sign the beginning of the checkpoint's hash.
    """
    return TfliteMetadata(
        name=card.name,
        description=f"{card.summary} {card.intended_use} This file: {artifact.target}, {artifact.io} input and output.",
        version=f"{artifact.tools.get('edge-deeplab', '0')}+{artifact.checkpoint_sha256[:12]}",
        author=author,
        license=card.terms,
        min_parser_version=_MIN_PARSER_VERSION,
        # The network takes RGB in [0, 1]. For uint8 that is the real number, which the scale 1/255 turns into the byte.
        mean=(0.0,),
        deviation=(255.0,),
        labels=artifact.spec.classes,
        labels_file=LABELS,
        activation=Activation.NONE,  # the sigmoid or softmax is in the graph
    )


def add_metadata(content: bytes, metadata: TfliteMetadata, artifact: Artifact) -> bytes:
    """A .tflite file's bytes with metadata, in place of any that it has.

    Args:
        content: the file.
        metadata: with labels and an activation.
        artifact: what is known of it: the size of its input, the type of its elements.

    Raises:
        ModelFileError: not a TFLite file.
    """
    model = read_model(content)
    entry = schema.MetadataT()
    entry.name = NAME
    entry.buffer = new_buffer(model, np.frombuffer(pack(_model_table(metadata, artifact), b"M001"), np.uint8))
    others = [other for other in model.metadata or () if other.name != NAME.encode()]
    model.metadata = [*others, entry]
    return append_files(write_model(model), {LABELS: "".join(f"{label}\n" for label in metadata.labels).encode()})


def append_files(content: bytes, files: dict[str, bytes]) -> bytes:
    """A file with an archive behind it: entries as they are, not compressed, so that a reader may map them.

    Args:
        content: what stands before; places in the archive count from its beginning.
        files: name to content.
    """
    whole = io.BytesIO(content)
    whole.seek(0, io.SEEK_END)
    with zipfile.ZipFile(whole, "w") as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system, entry.external_attr = _UNIX, 0o644 << 16
            entry.compress_type = zipfile.ZIP_STORED
            archive.writestr(entry, data)
    return whole.getvalue()


def _require_sidecar(artifact: Artifact, content: bytes) -> None:
    """See that the sidecar says what the file is: readers of the metadata get it from there."""
    graph = inspect_flatbuffer(content, str(artifact.path))
    shapes = [[len(tensor.shape) for tensor in end] for end in (graph.inputs, graph.outputs)]
    if shapes != [[4], [4]]:
        raise ModelFileError(f"{artifact.path} has not one picture as input and one map as output: convert it again")
    image, mask = graph.inputs[0], graph.outputs[0]
    artifact.require_shape(image.shape[1], image.shape[2], mask.shape[3])
    if {image.type, mask.type} != {IO_TYPES.get(artifact.io)}:
        raise ModelFileError(
            f"{artifact.path} takes {image.type.lower()} and gives {mask.type.lower()}, and its sidecar says "
            f"{artifact.io}: convert the model again"
        )


def _model_table(metadata: TfliteMetadata, artifact: Artifact) -> Table:
    """ModelMetadata."""
    return {
        0: metadata.name,
        1: metadata.description,
        2: metadata.version,
        3: [_subgraph_table(metadata, artifact)],
        4: metadata.author,
        5: metadata.license,
        7: metadata.min_parser_version,
    }


def _subgraph_table(metadata: TfliteMetadata, artifact: Artifact) -> Table:
    """SubGraphMetadata."""
    return {
        0: metadata.name,
        2: [_input_table(metadata, artifact)],
        3: [_output_table(artifact)],
        9: [{0: SEGMENTER, 1: _segmenter(metadata)}],  # CustomMetadata
    }


def _input_table(metadata: TfliteMetadata, artifact: Artifact) -> Table:
    """TensorMetadata of the picture."""
    spec = artifact.spec
    size = {0: np.uint32(spec.width), 1: np.uint32(spec.height)}  # ImageSize
    normalization = {0: _floats(*metadata.mean), 1: _floats(*metadata.deviation)}  # NormalizationOptions
    units: list[Table] = [{0: _NORMALIZATION, 1: normalization}] if metadata.mean else []  # ProcessUnit
    return {
        0: "image",
        1: f"RGB picture, stretched to {spec.width}x{spec.height} by area averaging.",
        3: {0: _IMAGE_PROPERTIES, 1: {0: _RGB, 1: size}},  # Content
        4: units,
        5: _stats(artifact.io),
    }


def _output_table(artifact: Artifact) -> Table:
    """TensorMetadata of the masks: each channel is a picture of its own, over the dimensions 1 and 2."""
    names = ", ".join(artifact.spec.classes)
    scale = ", in steps of 1/256" if artifact.io is IoType.UINT8 else ""
    return {
        0: "probability",
        1: f"Probability of each pixel to belong to: {names}{scale}.",
        3: {0: _IMAGE_PROPERTIES, 1: {0: _GRAYSCALE}, 2: {0: np.uint32(1), 1: np.uint32(2)}},  # Content, ValueRange
        5: _stats(artifact.io),
        6: [{0: LABELS, 1: "Name of each channel.", 2: _TENSOR_AXIS_LABELS}],  # AssociatedFile
    }


def _stats(io_type: IoType) -> Table:
    """Stats: the greatest and the smallest element."""
    return {0: _floats(255.0 if io_type is IoType.UINT8 else 1.0), 1: _floats(0.0)}


def _segmenter(metadata: TfliteMetadata) -> bytes:
    """ImageSegmenterOptions."""
    activation = Activation.NONE if metadata.activation is None else metadata.activation
    return pack({0: np.uint8(activation), 1: _SEGMENTER_MIN_PARSER_VERSION}, b"V001")


def _floats(*values: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.array(values, np.float32)
