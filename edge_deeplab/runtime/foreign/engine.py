"""What executes a file from elsewhere: a tensor in, a tensor out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.errors import ModelFileError
from edge_deeplab.runtime.foreign.layout import End


@dataclass(frozen=True)
class Engine:
    """An opened file with one input and one output.

    Attributes:
        source: its input.
        target: its output.
        run: takes a tensor of the input's type and shape, and gives one of the output's, which is the caller's to
            change and lives until the next call.
        runtime: who executes it, with version, as in :class:`~edge_deeplab.runtime.session.Session`.
    """

    source: End
    target: End
    run: Callable[[NDArray[Any]], NDArray[Any]]
    runtime: str


def only_end(ends: Sequence[End], side: str, path: Path) -> End:
    """The one input, or the one output.

    Raises:
        ModelFileError: there are none or several.
    """
    if len(ends) != 1:
        raise ModelFileError(
            f"{path} is no segmentation model for this: it has {len(ends)} {side}s ({', '.join(map(str, ends))}), "
            "and must have one"
        )
    return ends[0]


def tflite_engine(path: Path, content: bytes, threads: int) -> Engine:
    """A TFLite file, run by LiteRT with XNNPACK; where XNNPACK refuses it, by LiteRT's own kernels.

    Args:
        path: the file, for error messages.
        content: what is in it.
        threads: to run with.

    Raises:
        ModelFileError: truncated, not executable, or with several inputs or outputs.
    """
    from edge_deeplab.runtime.contract import plural_threads
    from edge_deeplab.runtime.litert import LITERT, delegation, open_interpreter
    from edge_deeplab.runtime.native_log import without_standard_error

    with without_standard_error():  # a refusal is printed there too
        try:
            interpreter = open_interpreter(path, content, threads)
            kernels = "XNNPACK" if delegation(interpreter).partitions else "builtin kernels"
        except ModelFileError as refusal:
            try:
                interpreter = open_interpreter(path, content, threads, xnnpack=False)
            except ModelFileError:
                raise refusal from None
            kernels = "builtin kernels (XNNPACK refuses the file)"
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    source = only_end([_tflite_end(detail) for detail in inputs], "input", path)
    target = only_end([_tflite_end(detail) for detail in outputs], "output", path)
    place, result = inputs[0]["index"], outputs[0]["index"]

    def run(tensor: NDArray[Any]) -> NDArray[Any]:
        interpreter.set_tensor(place, tensor)
        interpreter.invoke()
        output: NDArray[Any] = interpreter.get_tensor(result)
        return output

    return Engine(source, target, run, f"{LITERT}, {kernels}, {plural_threads(threads)}")


def _tflite_end(detail: dict[str, Any]) -> End:
    # The signature has -1 for a free size; a free batch is 1 as long as nobody changes it.
    sizes = detail["shape_signature"].tolist() or detail["shape"].tolist()
    scale, zero_point = detail["quantization"]
    return End(
        np.dtype(detail["dtype"]).name,
        tuple(None if size < 1 else int(size) for size in sizes),
        float(scale) or None,
        int(zero_point) if scale else 0,
    )


_ONNX_TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16"}


def onnx_engine(path: Path, threads: int) -> Engine:
    """An ONNX file, run by onnxruntime on the CPU.

    Raises:
        ModelFileError: not an ONNX file, truncated, or with several inputs or outputs.
        MissingExtraError: onnxruntime is not installed.
    """
    from edge_deeplab.runtime.contract import plural_threads
    from edge_deeplab.runtime.onnx_session import open_onnxruntime

    session, version = open_onnxruntime(path, threads)
    source = only_end([_onnx_end(value) for value in session.get_inputs()], "input", path)
    target = only_end([_onnx_end(value) for value in session.get_outputs()], "output", path)
    name, result = session.get_inputs()[0].name, session.get_outputs()[0].name

    def run(tensor: NDArray[Any]) -> NDArray[Any]:
        (output,) = session.run([result], {name: tensor})
        array: NDArray[Any] = output
        return array

    return Engine(source, target, run, f"onnxruntime {version}, {plural_threads(threads)}")


def _onnx_end(value: Any) -> End:
    dtype = _ONNX_TYPES.get(value.type, value.type.removeprefix("tensor(").removesuffix(")"))
    return End(dtype, tuple(size if isinstance(size, int) and size > 0 else None for size in value.shape))
