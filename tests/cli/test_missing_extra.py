"""The base installation: portrait runs without what the extras bring, and the others name the extra."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

TheLine = Callable[[subprocess.CompletedProcess[str]], str]

# Everything that the extras train and convert bring; the base installation has none of it.
# fmt: off
EXTRAS = [
    "coremltools", "h5py", "jinja2", "lightning", "matplotlib", "ml_dtypes", "onnx", "onnx2tf", "onnx_graphsurgeon",
    "onnxruntime", "onnxscript", "onnxsim", "psutil", "pycocotools", "safetensors", "scipy", "skimage",
    "tensorboard", "tensorflow", "tf_keras", "torch", "torchvision",
]
# fmt: on


def without_extras(*words: object) -> subprocess.CompletedProcess[str]:
    """Run a command line in a process where the extras' packages cannot be imported."""
    code = (
        "import sys\n"
        "class Without:\n"
        "    def __init__(self, finder): self.finder = finder\n"
        "    def __getattr__(self, name): return getattr(self.finder, name)\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        absent = name.partition('.')[0] in {EXTRAS!r}\n"
        "        return None if absent else self.finder.find_spec(name, path, target)\n"
        "sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]\n"
        "from edge_deeplab.cli.main import main\n"
        "main()\n"
    )
    return subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, check=False)


def test_portrait_needs_none(photo: Path, tmp_path: Path) -> None:
    done = without_extras("portrait", photo, "-o", tmp_path / "out.jpg")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out.jpg").stat().st_size > 5_000


@pytest.mark.parametrize(
    ("words", "package", "extra"),
    [
        ("train DATA --out OUT", "lightning", "train"),
        ("evaluate CHECKPOINT --data DATA", "torch", "train"),
        ("portrait PHOTO -o OUT.png --model CHECKPOINT", "torch", "train"),
        ("parity CHECKPOINT MODEL", "torch", "train"),
        ("parity MODEL MODEL --out OUT", "jinja2", "convert"),
        ("sensitivity CHECKPOINT --out OUT", "torch", "convert"),
        ("benchmark MODEL --plot OUT.png", "matplotlib", "convert"),
        ("inspect CHECKPOINT", "torch", "train"),
        ("inspect ONNX", "onnx", "convert"),
        ("convert CHECKPOINT --target onnx --out OUT", "torch", "convert"),
        ("convert CHECKPOINT --target tflite-int8 --out OUT", "torch", "convert"),
        ("release CHECKPOINT --out OUT", "torch", "convert"),
    ],
)
def test_the_others_name_the_extra(
    the_line: TheLine,
    tmp_path: Path,
    photo: Path,
    model: Path,
    small_checkpoint: Path,
    words: str,
    package: str,
    extra: str,
) -> None:
    places = {"PHOTO": photo, "CHECKPOINT": small_checkpoint, "MODEL": model, "DATA": tmp_path / "data"}
    places["ONNX"] = tmp_path / "a.onnx"
    places["ONNX"].touch()
    for name in ("images", "masks"):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "a.png").write_bytes(photo.read_bytes())
    before = sorted(tmp_path.rglob("*"))
    filled = [str(places.get(word, tmp_path / word if word.startswith("OUT") else word)) for word in words.split()]
    done = without_extras(*filled)
    assert done.returncode == 1
    line = the_line(done)
    assert f"edge-deeplab[{extra}]" in line
    assert package in line
    assert sorted(tmp_path.rglob("*")) == before


def test_evaluating_a_converted_file_needs_none(photo: Path, tmp_path: Path, model: Path) -> None:
    (tmp_path / "data" / "images").mkdir(parents=True)
    (tmp_path / "data" / "masks").mkdir()
    with Image.open(photo) as image:
        image.save(tmp_path / "data" / "images" / "a.png")
        image.convert("L").save(tmp_path / "data" / "masks" / "a.png")
    done = without_extras("evaluate", model, "--data", tmp_path / "data")
    assert done.returncode == 0, done.stderr


def test_looking_into_a_tflite_file_needs_none(model: Path) -> None:
    done = without_extras("inspect", model, "--quantization")
    assert (done.returncode, done.stderr) == (0, "")
    assert "integer throughout" in done.stdout
