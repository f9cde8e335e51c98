"""A file's metadata by the readers that MediaPipe generates from its schemas: python read_by_mediapipe.py MODEL

Runs in the clients' environment. Prints the tables as JSON, under the schema's names.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from mediapipe.tasks.metadata import image_segmenter_metadata_schema_py_generated as segmenter_schema
from mediapipe.tasks.metadata import metadata_schema_py_generated as metadata_schema
from mediapipe.tasks.metadata import schema_py_generated as schema


def plain(value: Any) -> Any:
    """Generated objects as dictionaries of their fields, without those that are not there."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list):
        return [plain(one) for one in value]
    if hasattr(value, "__dict__"):
        return {name: plain(one) for name, one in vars(value).items() if one is not None}
    return value


def main() -> None:
    model = schema.ModelT.InitFromPackedBuf(Path(sys.argv[1]).read_bytes(), 0)
    (entry,) = (entry for entry in model.metadata if entry.name == b"TFLITE_METADATA")
    data = bytes(model.buffers[entry.buffer].data)
    metadata = metadata_schema.ModelMetadataT.InitFromPackedBuf(data, 0)
    for custom in metadata.subgraphMetadata[0].customMetadata:
        options = bytes(custom.data)
        custom.data = segmenter_schema.ImageSegmenterOptionsT.InitFromPackedBuf(options, 0)
        custom.identifier = options[4:8]
    print(json.dumps({"identifier": data[4:8].decode(), **plain(metadata)}))


if __name__ == "__main__":
    main()
