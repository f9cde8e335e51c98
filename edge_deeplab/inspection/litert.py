"""LiteRT is asked in a process of its own what it makes of a file: on a foreign file it may crash."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from signal import Signals

from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edge_deeplab.errors import ModelFileError
from edge_deeplab.inspection.summary import Execution
from edge_deeplab.runtime.litert import LITERT, Delegation, delegation, one_line, open_interpreter
from edge_deeplab.runtime.tflite_file import damaged

_TIMEOUT = 120.0  # seconds; a few tenths are usual
_DAMAGED = "not a valid Flatbuffer"  # LiteRT's words where its verifier finds an offset that leads out of the file


def ask_litert(path: Path) -> Execution:
    """Let LiteRT prepare a file with XNNPACK, and where that fails without it.

    Args:
        path: a file that begins as a TFLite file does.

    Returns:
        What XNNPACK takes, or why LiteRT does not execute the file: it can be looked into all the same.

    Raises:
        ModelFileError: truncated or damaged, found by LiteRT's verifier.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__, str(path)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Execution(LITERT, None, f"it has not prepared it within {_TIMEOUT:.0f} s")
    if done.returncode < 0:
        return Execution(LITERT, None, f"it crashes on this file ({Signals(-done.returncode).name})")
    if done.returncode > 0:
        lines = done.stderr.strip().splitlines() or ["no message"]
        return Execution(LITERT, None, f"it could not be asked ({lines[-1]})")
    answer = json.loads(done.stdout)
    if _DAMAGED in answer["problem"]:
        raise damaged(str(path))
    share = answer["delegation"]
    if share is None:
        return Execution(LITERT, None, answer["problem"])
    return Execution(LITERT, Delegation(share["partitions"], share["delegated"], tuple(share["left"])))


def _answer(path: Path) -> Execution:
    """What the process of its own finds out."""
    content = path.read_bytes()
    try:
        return Execution(LITERT, delegation(open_interpreter(path, content, threads=1)))
    except ModelFileError as error:
        reason = one_line(error.__cause__ or error)
    if _own_kernels_execute(content):
        return Execution(LITERT, None, f"only its own, slower kernels execute it; XNNPACK refuses it: {reason}")
    return Execution(LITERT, None, f"it does not execute it: {reason}")


def _own_kernels_execute(content: bytes) -> bool:
    """Whether LiteRT prepares the file once XNNPACK is switched off."""
    try:
        interpreter = Interpreter(
            model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        )
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError):
        return False
    return True


if __name__ == "__main__":
    print(json.dumps(dataclasses.asdict(_answer(Path(sys.argv[1])))))
