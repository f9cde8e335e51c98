"""One way to look into any model file."""

from __future__ import annotations

from pathlib import Path

from edge_deeplab.errors import MissingExtraError, ModelFileError
from edge_deeplab.inspection.graph import Graph
from edge_deeplab.inspection.summary import ModelSummary


def inspect_file(path: Path) -> ModelSummary:
    """Look into a TFLite file (.tflite), an ONNX file (.onnx) or a checkpoint (.safetensors).

    Raises:
        ModelFileError: missing, of an unknown kind, or truncated.
        CheckpointError: a checkpoint that cannot be used.
        RangesError: the ranges beside a checkpoint cannot be read.
        MissingExtraError: a package that this kind of file needs is not installed.
    """
    if path.suffix.lower() == ".mlpackage" and path.is_dir():
        raise ModelFileError(f"{path} is a Core ML package, which inspect cannot read yet: Xcode and Netron show it")
    if not path.is_file():
        raise ModelFileError(f"there is no model file {path}")
    # Each reader is imported when it is asked for: the light use has only the first.
    match path.suffix.lower():
        case ".tflite":
            from edge_deeplab.inspection.tflite import summarize_tflite

            return summarize_tflite(path)
        case ".onnx":
            from edge_deeplab.inspection.onnx import summarize_onnx

            return summarize_onnx(path)
        case ".safetensors":
            try:
                from edge_deeplab.inspection.checkpoint import summarize_checkpoint
            except ImportError as error:
                raise MissingExtraError("torch", "train", f"inspecting {path.name}") from error
            return summarize_checkpoint(path)
        case _:
            raise ModelFileError(f"{path} is of no known kind: give a .tflite, a .onnx or a checkpoint (.safetensors)")


def read_graph(path: Path) -> Graph:
    """The operators of a TFLite or ONNX file.

    Raises:
        ModelFileError: missing, without a graph (a checkpoint), of an unknown kind, or truncated.
        MissingExtraError: a package that this kind of file needs is not installed.
    """
    match path.suffix.lower():
        case ".tflite":
            from edge_deeplab.inspection.tflite import tflite_graph
            from edge_deeplab.runtime.tflite_file import inspect_model, read_bytes

            return tflite_graph(inspect_model(read_bytes(path), str(path)))
        case ".onnx":
            from edge_deeplab.inspection.onnx import load_onnx, onnx_graph

            return onnx_graph(load_onnx(path))
        case _:
            raise ModelFileError(f"{path} holds no graph that could be drawn: give a .tflite or an .onnx file")
