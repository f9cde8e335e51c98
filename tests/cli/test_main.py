"""The error boundary: whatever a command raises is one line and an exit status."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from edge_deeplab.cli import main as entry
from edge_deeplab.errors import ImageError

HEAVY = ("torch", "torchvision", "tensorflow", "lightning", "onnx", "onnxruntime", "coremltools", "matplotlib", "scipy")


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> dict[str, BaseException]:
    """A command ``fail`` that raises what is put under ``error``."""
    raised: dict[str, BaseException] = {}

    @click.command("fail")
    def command() -> None:
        raise raised["error"]

    monkeypatch.setattr(entry.cli, "get_command", lambda _context, _name: command)
    return raised


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (ImageError("a.png is no picture: save it again"), 1, "a.png is no picture: save it again"),
        (OSError(errno.ENOSPC, "No space left on device", "/tmp/x"), 1, "/tmp/x: the disk is full: free some"),
        (OSError(errno.ENOSPC, "No space left on device", "from", None, "to"), 1, "to: the disk is full: free some"),
        (PermissionError(errno.EACCES, "Permission denied", "/etc/x"), 1, "/etc/x: Permission denied"),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), 1, "edge-deeplab[train]"),
        (ModuleNotFoundError("No module named 'tensorflow.lite'", name="tensorflow.lite"), 1, "edge-deeplab[convert]"),
        (ModuleNotFoundError("No module named 'numpy'", name="numpy"), 1, "install edge-deeplab again"),
        (ImportError("libGL.so.1: cannot open", name="cv2"), 1, "cv2 cannot be loaded (libGL.so.1"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 1, "the memory is full: close"),
        (RuntimeError("two\nlines"), 1, "a bug of edge-deeplab"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_a_failure_is_one_line(
    failing: dict[str, BaseException],
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
    words: str,
) -> None:
    failing["error"] = error
    assert entry.run(["fail"]) == status
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = printed.err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("edge-deeplab: ")
    assert words in lines[0]


ALLOCATE = """
import resource, sys
from pathlib import Path
import click, cv2, numpy as np, torch
from edge_deeplab.cli import main as entry

def gigabyte(how):
    match how:
        case "numpy": np.ones(2**30, np.uint8)
        case "opencv": cv2.resize(np.ones((4, 4), np.uint8), (2**15, 2**15))
        case "torch": torch.ones(2**30, dtype=torch.uint8)

entry.cli.get_command = lambda _context, _name: click.Command("fail", callback=lambda: gigabyte(sys.argv[1]))
pages = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (pages + 2**28, pages + 2**28))
sys.exit(entry.run(["fail"]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to its share of memory")
@pytest.mark.parametrize("how", ["numpy", "opencv", "torch"])
def test_full_memory_is_said_whoever_finds_it_full(how: str) -> None:
    done = subprocess.run([sys.executable, "-c", ALLOCATE, how], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "edge-deeplab: the memory is full: close other programs, or give it less at once or smaller pictures\n"
    )


def test_debug_shows_the_traceback(
    failing: dict[str, BaseException], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_DEEPLAB_DEBUG", "1")
    failing["error"] = ImageError("a.png is no picture")
    assert entry.run(["fail"]) == 1
    printed = capsys.readouterr().err
    assert "Traceback (most recent call last)" in printed
    assert printed.splitlines()[-1] == "edge-deeplab: a.png is no picture"


@pytest.mark.parametrize("arguments", [["segmentify"], ["--no-such-option"]])
def test_a_usage_error_is_one_line_and_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.run(arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert arguments[0] in lines[0]
    assert "edge-deeplab --help" in lines[0]


def test_no_command_shows_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.run([]) == 2
    printed = capsys.readouterr().err
    assert all(command in printed for command in entry.COMMANDS)


@pytest.mark.parametrize("command", ["", *entry.COMMANDS])
def test_help_imports_nothing_heavy(command: str) -> None:
    """What keeps --help under 0.3 s (measured by benchmarks/startup.py): no heavy package is loaded for it."""
    words = [*command.split(), "--help"]
    code = (
        f"import sys; from edge_deeplab.cli.main import run; status = run({words!r}); "
        f"print('loaded', *[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr); sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Usage: ")
    assert done.stderr.split() == ["loaded"]


def test_a_reader_that_leaves_is_no_error() -> None:
    """``edge-deeplab --help | head -0``: no message about the broken pipe."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import time; from edge_deeplab.cli.main import main; time.sleep(0.3); main()",
            "--help",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process:
        assert process.stderr.read() == ""


def test_interrupt_is_one_line(tmp_path: Path) -> None:
    """A real SIGINT in the middle of a command, as Ctrl-C sends it."""
    ready = tmp_path / "ready"
    code = (
        "import pathlib, time, click\n"
        "from edge_deeplab.cli import main as entry\n"
        "@click.command()\n"
        f"def wait():\n    pathlib.Path({str(ready)!r}).touch(); time.sleep(60)\n"
        "entry.cli.get_command = lambda context, name: wait\n"
        "raise SystemExit(entry.run(['wait']))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) as process:
        while not ready.exists():
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, printed = process.communicate(timeout=20)
    assert process.returncode == 130
    assert printed.strip() == "edge-deeplab: interrupted"
