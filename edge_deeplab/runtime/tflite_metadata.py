"""What TFLite's metadata say of a file: its name and terms, the normalization of its input, the names of its classes.

The metadata are a flatbuffer of their own inside the file (schema: metadata_schema.fbs of MediaPipe and of TFLite
Support, version 1.5.0, identifier M001), and the files that they name, such as labels.txt, are a ZIP archive appended
to it. The fields that matter here are read by their numbers in that schema, so that no package is needed for it. What
writes them (converters/tflite_metadata.py) has its own list of the numbers: a wrong one does not find its like here.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers.encode import Get
from flatbuffers.number_types import Float32Flags, UOffsetTFlags
from flatbuffers.packer import uoffset
from flatbuffers.table import Table

from edge_deeplab.errors import ModelFileError
from edge_deeplab.runtime.tflite_file import damaged, read_bytes

NAME = "TFLITE_METADATA"  # of the entry in the model's list of metadata
SEGMENTER = "SEGMENTER_METADATA"  # of the entry in the graph's list of custom metadata
_IDENTIFIER = b"M001"
_SEGMENTER_IDENTIFIER = b"V001"
_LABELS_LIMIT = 1 << 20  # bytes of a list of labels; more is none

# Numbers of the fields in their tables.
_MODEL_NAME, _MODEL_DESCRIPTION, _MODEL_VERSION, _MODEL_SUBGRAPHS = 0, 1, 2, 3
_MODEL_AUTHOR, _MODEL_LICENSE, _MODEL_MIN_PARSER_VERSION = 4, 5, 7
_SUBGRAPH_INPUTS, _SUBGRAPH_OUTPUTS, _SUBGRAPH_CUSTOM = 2, 3, 9
_TENSOR_PROCESS_UNITS, _TENSOR_FILES = 4, 6
_UNIT_KIND, _UNIT_OPTIONS = 0, 1
_NORMALIZATION = 1  # kind of process unit
_NORMALIZATION_MEAN, _NORMALIZATION_DEVIATION = 0, 1
_FILE_NAME, _FILE_KIND = 0, 2
_AXIS_LABELS, _VALUE_LABELS = 2, 3  # kinds of associated files
_CUSTOM_NAME, _CUSTOM_DATA = 0, 1
_SEGMENTER_ACTIVATION = 0


class Activation(IntEnum):
    """What a reader still has to apply to the output (image_segmenter_metadata_schema.fbs of MediaPipe).

    NONE: the output is probabilities. SIGMOID, SOFTMAX: it is logits.
    """

    NONE = 0
    SIGMOID = 1
    SOFTMAX = 2


@dataclass(frozen=True)
class TfliteMetadata:
    """What is read. A text that is not there is empty.

    Attributes:
        name: of the model.
        description: what it does.
        version: of the model, in its author's words.
        author: who made it.
        license: what may be done with it.
        min_parser_version: the schema's version that is needed to read all of it.
        mean: of the input's normalization, in bytes, one or one for each channel; empty where there is none.
        deviation: as many; the input is (byte - mean) / deviation.
        labels: the names of the output's classes; empty where there are none.
        labels_file: the file in the archive that has them; empty where the metadata name none.
        activation: what is still to be applied to the output; None where the file does not say.
    """

    name: str = ""
    description: str = ""
    version: str = ""
    author: str = ""
    license: str = ""
    min_parser_version: str = ""
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()
    labels_file: str = ""
    activation: Activation | None = None


def read_metadata(path: Path) -> TfliteMetadata | None:
    """Read the metadata of a .tflite file: of the whole, of its first input and its last output.

    Returns:
        None where the file has none.

    Raises:
        ModelFileError: missing, not a TFLite file, damaged, or its metadata are.
    """
    return metadata_in(read_bytes(path), str(path))


def metadata_in(content: bytes, name: str) -> TfliteMetadata | None:
    """As :func:`read_metadata`, for the bytes of a file; ``name`` is for the error message."""
    try:
        model = schema.Model.GetRootAs(content, 0)
        for index in range(model.MetadataLength()):
            entry = model.Metadata(index)
            if entry.Name() == NAME.encode() and entry.Buffer() < model.BuffersLength():
                data = model.Buffers(entry.Buffer()).DataAsNumpy()
                if not isinstance(data, int):  # the generated reader gives 0 for no data
                    return _read(data.tobytes(), content, name)
    except (struct.error, IndexError, TypeError, ValueError) as error:
        raise damaged(name) from error
    return None


def _read(metadata: bytes, content: bytes, name: str) -> TfliteMetadata | None:
    """The entry of that name, with the whole file for the archive at its end."""
    try:
        if metadata[4:8] != _IDENTIFIER:
            return None
        root = _root(metadata)
        subgraph = next(_tables(root, _MODEL_SUBGRAPHS), None)
        source = next(_tables(subgraph, _SUBGRAPH_INPUTS), None)
        target = next(reversed([*_tables(subgraph, _SUBGRAPH_OUTPUTS)]), None)
        mean, deviation = _normalization(source)
        labels_file = _labels_file(target)
        return TfliteMetadata(
            name=_text(root, _MODEL_NAME),
            description=_text(root, _MODEL_DESCRIPTION),
            version=_text(root, _MODEL_VERSION),
            author=_text(root, _MODEL_AUTHOR),
            license=_text(root, _MODEL_LICENSE),
            min_parser_version=_text(root, _MODEL_MIN_PARSER_VERSION),
            mean=mean,
            deviation=deviation,
            labels=_labels(labels_file, content),
            labels_file=labels_file,
            activation=_activation(subgraph),
        )
    except (
        # What wrong offsets lead to, and what zipfile raises on damaged, encrypted or unknown entries.
        *(struct.error, IndexError, TypeError, ValueError, KeyError),
        *(zipfile.BadZipFile, zlib.error, RuntimeError, EOFError),
    ) as error:
        raise ModelFileError(f"{name} has damaged metadata ({error}): get a fresh copy") from error


def _normalization(tensor: Table | None) -> tuple[tuple[float, ...], tuple[float, ...]]:
    for unit in _tables(tensor, _TENSOR_PROCESS_UNITS):
        if _byte(unit, _UNIT_KIND) == _NORMALIZATION:
            options = _table(unit, _UNIT_OPTIONS)
            return _floats(options, _NORMALIZATION_MEAN), _floats(options, _NORMALIZATION_DEVIATION)
    return (), ()


def _labels_file(tensor: Table | None) -> str:
    """The first file of labels that has a name."""
    files = (
        file for file in _tables(tensor, _TENSOR_FILES) if _byte(file, _FILE_KIND) in (_AXIS_LABELS, _VALUE_LABELS)
    )
    return next((name for name in (_text(file, _FILE_NAME) for file in files) if name), "")


def _labels(name: str, content: bytes) -> tuple[str, ...]:
    if not name:
        return ()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entry = archive.getinfo(name)
        if entry.file_size > _LABELS_LIMIT:
            raise ValueError(f"{entry.file_size} bytes of labels")
        return tuple(line.strip() for line in archive.read(entry).decode().splitlines() if line.strip())


def _activation(subgraph: Table | None) -> Activation | None:
    for custom in _tables(subgraph, _SUBGRAPH_CUSTOM):
        if _text(custom, _CUSTOM_NAME) == SEGMENTER:
            data = _bytes(custom, _CUSTOM_DATA)
            if data[4:8] != _SEGMENTER_IDENTIFIER:
                raise ValueError(f"{SEGMENTER} is of another schema")
            return Activation(_byte(_root(data), _SEGMENTER_ACTIVATION))
    return None


def _root(data: bytes) -> Table:
    return Table(bytearray(data), Get(uoffset, data, 0))


def _field(table: Table, number: int) -> int:
    """The place of a field in the bytes, or 0 where it is left out. In the vtable, fields begin at byte 4."""
    offset = int(table.Offset(4 + 2 * number))
    return offset + int(table.Pos) if offset else 0


def _byte(table: Table, number: int) -> int:
    """A number of one byte; 0 is every field's default in this schema."""
    place = _field(table, number)
    return int(table.Bytes[place]) if place else 0


def _text(table: Table, number: int) -> str:
    place = _field(table, number)
    return table.String(place).decode() if place else ""


def _table(table: Table, number: int) -> Table:
    place = _field(table, number)
    return Table(table.Bytes, int(table.Indirect(place)))


def _tables(table: Table | None, number: int) -> Iterator[Table]:
    """The tables in a vector of tables."""
    if table is None or not _field(table, number):
        return
    offset = table.Offset(4 + 2 * number)
    start = table.Vector(offset)
    for index in range(table.VectorLen(offset)):
        yield Table(table.Bytes, int(table.Indirect(start + index * UOffsetTFlags.bytewidth)))


def _floats(table: Table, number: int) -> tuple[float, ...]:
    if not _field(table, number):
        return ()
    values = table.GetVectorAsNumpy(Float32Flags, table.Offset(4 + 2 * number))
    return tuple(float(value) for value in np.asarray(values))


def _bytes(table: Table, number: int) -> bytes:
    if not _field(table, number):
        return b""
    offset = table.Offset(4 + 2 * number)
    start = table.Vector(offset)
    return bytes(table.Bytes[start : start + table.VectorLen(offset)])
