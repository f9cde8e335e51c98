"""weights/weight.bin: the numbers of a program that are too many for its protobuf.

The layout is that of coremltools' mlmodel/src/MILBlob/Blob/StorageFormat.hpp: a header of 64 bytes (how many blobs,
format version 2), and then for each blob 64 bytes of metadata (marker, element type, bytes, where they begin, unused
bits) and its data, everything aligned to 64 bytes. A program refers to a blob by where its metadata begins.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from numpy.typing import NDArray

from edge_deeplab.errors import ModelFileError
from edge_deeplab.runtime.coreml.tensor_types import TensorType

_HEADER = struct.Struct("<II")
_METADATA = struct.Struct("<IIQQ")
_ALIGNMENT = 64
_VERSION = 2
_MARKER = 0xDEADBEEF
_CURE = "copy the whole package again, or convert the model again"


class WeightFile:
    """An opened weight file, mapped into memory: blobs are read where the program asks for them.

    A context manager. What :meth:`read` gives is a copy, so that the file may be replaced as soon as this is closed.
    """

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            ModelFileError: missing, unreadable, or not such a file.
        """
        self._path = path
        try:
            with path.open("rb") as file:
                self._content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise ModelFileError(
                f"{path}, which the model needs, cannot be read ({error.strerror}): {_CURE}"
            ) from error
        except ValueError as error:  # an empty file cannot be mapped
            raise ModelFileError(f"{path} is empty: {_CURE}") from error
        if len(self._content) < _ALIGNMENT or _HEADER.unpack_from(self._content)[1] != _VERSION:
            self.close()
            raise ModelFileError(f"{path} is no Core ML weight file of version {_VERSION}, or is truncated: {_CURE}")

    def read(self, offset: int, wanted: TensorType) -> NDArray[Any]:
        """The blob whose metadata begins at ``offset``.

        Raises:
            ModelFileError: no blob begins there, it is of another type or size than ``wanted``, or the file ends before
                it does.
        """
        if offset + _ALIGNMENT > len(self._content):
            raise ModelFileError(f"{self._path} is truncated: it ends before the blob at byte {offset}; {_CURE}")
        marker, element, size, begin = _METADATA.unpack_from(self._content, offset)
        if marker != _MARKER:
            raise ModelFileError(f"{self._path} is damaged, or of another model: no blob is at byte {offset}; {_CURE}")
        if element != wanted.element.blob_number or size != wanted.nbytes:
            raise ModelFileError(
                f"{self._path} is damaged, or of another model: the blob at byte {offset} has {size} bytes of type "
                f"{element}, and the program wants {wanted} ({wanted.nbytes} bytes of type "
                f"{wanted.element.blob_number}); {_CURE}"
            )
        if begin + size > len(self._content):
            raise ModelFileError(f"{self._path} is truncated in the blob at byte {offset}: {_CURE}")
        return wanted.decode(self._content[begin : begin + size])

    def close(self) -> None:
        """Give the mapping back."""
        self._content.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
