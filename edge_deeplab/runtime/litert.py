"""LiteRT's interpreter: opened with care, and asked which operators its XNNPACK delegate takes."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edge_deeplab.errors import ModelFileError

LITERT = f"LiteRT {version('ai-edge-litert')}"

_DELEGATE = "DELEGATE"


@dataclass(frozen=True)
class Delegation:
    """What XNNPACK executes of a graph.

    Attributes:
        partitions: how many parts of the graph it executes, each in one go.
        delegated: how many operators are in them.
        left: the names of the operators that are left to LiteRT's own, slower kernels, in the order of execution.
    """

    partitions: int
    delegated: int
    left: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """It executes the whole graph in one part."""
        return self.partitions == 1 and not self.left


def open_interpreter(path: Path, content: bytes, threads: int, *, xnnpack: bool = True) -> Any:
    """LiteRT's interpreter for a file's content, ready to run.

    Args:
        path: the file, for the error messages.
        content: what is in it.
        threads: of XNNPACK, or of LiteRT's own kernels.
        xnnpack: False leaves every operator to LiteRT's own, slower kernels.

    Raises:
        ModelFileError: truncated, or with an operator that LiteRT or XNNPACK cannot execute.
    """
    resolver = OpResolverType.AUTO if xnnpack else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        # From memory, not by path: only then does LiteRT verify the flatbuffer. A truncated file that is mapped
        # crashes the process.
        interpreter = Interpreter(model_content=content, num_threads=threads, experimental_op_resolver_type=resolver)
    except (ValueError, RuntimeError) as error:
        raise ModelFileError(
            f"{path} is truncated or damaged, or has an unknown operator ({one_line(error)}): convert the model again"
        ) from error
    try:
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ModelFileError(
            f"{path} cannot be executed by LiteRT {'with' if xnnpack else 'without'} XNNPACK ({one_line(error)}): "
            "convert the model again"
        ) from error
    return interpreter


def delegation(interpreter: Any) -> Delegation:
    """Which operators XNNPACK took, of an interpreter whose tensors are allocated."""
    # The list holds every original operator, and behind them one DELEGATE for each part that replaces some of them:
    # those that are met on the way from its outputs back to its inputs.
    nodes = interpreter._get_ops_details()
    parts = [node for node in nodes if node["op_name"] == _DELEGATE]
    operators = [node for node in nodes if node["op_name"] != _DELEGATE]
    producers = {int(tensor): place for place, node in enumerate(operators) for tensor in node["outputs"]}
    taken: set[int] = set()
    for part in parts:
        reached = {int(tensor) for tensor in part["inputs"]}
        waiting = [int(tensor) for tensor in part["outputs"]]
        while waiting:
            tensor = waiting.pop()
            if tensor in reached or tensor not in producers:
                continue
            reached.add(tensor)
            taken.add(producers[tensor])
            waiting += map(int, operators[producers[tensor]]["inputs"])
    left = tuple(str(node["op_name"]) for place, node in enumerate(operators) if place not in taken)
    return Delegation(partitions=len(parts), delegated=len(taken), left=left)


def one_line(error: BaseException) -> str:
    """A native library's message without its line breaks, cut where it goes on and on."""
    return " ".join(str(error).split())[:200]
