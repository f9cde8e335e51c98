"""What TFLite's metadata say of a file: the normalization of its input, the names of its classes.

The metadata are a flatbuffer of their own inside the file (schema: metadata_schema.fbs of TFLite Support, identifier
M001), and the files that they name, such as labels.txt, are a ZIP archive appended to it. The few fields that matter
here are read by their numbers in that schema, so that no package is needed for it.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from flatbuffers.encode import Get
from flatbuffers.number_types import Float32Flags, UOffsetTFlags
from flatbuffers.packer import uoffset
from flatbuffers.table import Table

from edge_deeplab.errors import ModelFileError

NAME = "TFLITE_METADATA"  # of the entry in the model's list of metadata
_IDENTIFIER = b"M001"
_LABELS_LIMIT = 1 << 20  # bytes of a list of labels; more is none

# Numbers of the fields in their tables.
_MODEL_SUBGRAPHS = 3
_SUBGRAPH_INPUTS, _SUBGRAPH_OUTPUTS = 2, 3
_TENSOR_PROCESS_UNITS, _TENSOR_FILES = 4, 6
_UNIT_KIND, _UNIT_OPTIONS = 0, 1
_NORMALIZATION = 1  # kind of process unit
_NORMALIZATION_MEAN, _NORMALIZATION_DEVIATION = 0, 1
_FILE_NAME, _FILE_KIND = 0, 2
_AXIS_LABELS, _VALUE_LABELS = 2, 3  # kinds of associated files


@dataclass(frozen=True)
class TfliteMetadata:
    """What is read.

    Attributes:
        mean: of the input's normalization, in bytes, one or one for each channel; empty where there is none.
        deviation: as many.
        labels: the names of the output's classes; empty where there are none.
    """

    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()


def read_metadata(metadata: bytes, content: bytes, name: str) -> TfliteMetadata:
    """Read the metadata of the first input and the first output.

    Args:
        metadata: the entry of that name in the model.
        content: the whole file, for the archive at its end.
        name: the file's, for the error message.

    Raises:
        ModelFileError: they are damaged.
    """
    try:
        if metadata[4:8] != _IDENTIFIER:
            return TfliteMetadata()
        root = Table(bytearray(metadata), Get(uoffset, metadata, 0))
        subgraph = next(_tables(root, _MODEL_SUBGRAPHS), None)
        if subgraph is None:
            return TfliteMetadata()
        mean, deviation = _normalization(next(_tables(subgraph, _SUBGRAPH_INPUTS), None))
        labels = _labels(next(_tables(subgraph, _SUBGRAPH_OUTPUTS), None), content)
        return TfliteMetadata(mean, deviation, labels)
    except (struct.error, IndexError, TypeError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ModelFileError(f"{name} has damaged metadata ({error}): get a fresh copy") from error


def _normalization(tensor: Table | None) -> tuple[tuple[float, ...], tuple[float, ...]]:
    for unit in _tables(tensor, _TENSOR_PROCESS_UNITS):
        place = _field(unit, _UNIT_KIND)
        if place and unit.Bytes[place] == _NORMALIZATION:
            options = _table(unit, _UNIT_OPTIONS)
            return _floats(options, _NORMALIZATION_MEAN), _floats(options, _NORMALIZATION_DEVIATION)
    return (), ()


def _labels(tensor: Table | None, content: bytes) -> tuple[str, ...]:
    for file in _tables(tensor, _TENSOR_FILES):
        kind, place = _field(file, _FILE_KIND), _field(file, _FILE_NAME)
        if place and kind and file.Bytes[kind] in (_AXIS_LABELS, _VALUE_LABELS):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                entry = archive.getinfo(file.String(place).decode())
                if entry.file_size > _LABELS_LIMIT:
                    raise ValueError(f"{entry.file_size} bytes of labels")
                return tuple(line.strip() for line in archive.read(entry).decode().splitlines() if line.strip())
    return ()


def _field(table: Table, number: int) -> int:
    """The place of a field in the bytes, or 0 where it is left out. In the vtable, fields begin at byte 4."""
    offset = int(table.Offset(4 + 2 * number))
    return offset + int(table.Pos) if offset else 0


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
