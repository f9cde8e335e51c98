"""The command line as a user meets it: words in; exit status, lines and files out."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from edge_deeplab.cli import main as entry
from edge_deeplab.weights import shipped_model

ROOT = Path(__file__).resolve().parents[2]

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def edge_deeplab(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run one command line in this process, through the error boundary; native libraries' lines are seen too."""

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        capfd.readouterr()
        status = entry.run([str(word) for word in words])
        printed = capfd.readouterr()
        return subprocess.CompletedProcess(words, status, printed.out, printed.err)

    return run


@pytest.fixture(scope="session")
def the_line() -> Callable[[subprocess.CompletedProcess[str]], str]:
    """The one line of a failure, without the program's name."""

    def line(done: subprocess.CompletedProcess[str]) -> str:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        assert len(lines) == 1, done.stderr
        assert lines[0].startswith("edge-deeplab: "), done.stderr
        assert "a bug of edge-deeplab" not in lines[0]
        assert "Traceback" not in done.stdout
        return lines[0].removeprefix("edge-deeplab: ")

    return line


@pytest.fixture
def refuses(
    edge_deeplab: Run, the_line: Callable[[subprocess.CompletedProcess[str]], str], tmp_path: Path
) -> Callable[..., str]:
    """Run a command line that must fail: its one line, after a look that no file came, went or changed."""

    def run(*words: object, status: int = 1) -> str:
        before = files(tmp_path)
        done = edge_deeplab(*words)
        assert done.returncode == status, done
        assert files(tmp_path) == before
        return the_line(done)

    return run


def files(folder: Path) -> dict[str, str]:
    """Every file below a folder, hidden ones too, by its content."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="session")
def model() -> Path:
    """The shipped int8 file."""
    return shipped_model()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """The bundled portrait, cut to 300 columns x 400 rows so that turning it shows."""
    path = tmp_path / "photo.png"
    with Image.open(ROOT / "edge_deeplab" / "data" / "bundled" / "eileen_collins.jpg") as image:
        image.convert("RGB").crop((56, 0, 356, 400)).save(path)
    return path
