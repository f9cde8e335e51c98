"""What a user gets: the wheel's names and contents, built from this checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("calibration", "converters", "demo_app", "edge_deeplab")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built offline with the setuptools that is installed (no pip, which uv's environments lack)."""
    source = tmp_path_factory.mktemp("source")
    for name in (*PACKAGES, "tests", "docs", "benchmarks"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    build = "import setuptools.build_meta as backend; backend.build_wheel('dist')"
    done = subprocess.run([sys.executable, "-c", build], cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = (source / "dist").glob("*.whl")
    return zipfile.ZipFile(path)


def test_its_top_level_names_are_the_four_packages(wheel: zipfile.ZipFile) -> None:
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert sorted(top for top in tops if not top.endswith(".dist-info")) == list(PACKAGES)


def test_it_has_the_types_the_weights_the_pictures_and_the_page(wheel: zipfile.ZipFile) -> None:
    inside = set(wheel.namelist())
    assert {f"{package}/py.typed" for package in PACKAGES} <= inside
    for folder in ("edge_deeplab/weights", "edge_deeplab/data/bundled", "demo_app/web/page", "demo_app/web/npm"):
        here = {f"{folder}/{path.name}" for path in (ROOT / folder).iterdir() if path.is_file()}
        assert here, f"{folder} is empty"
        assert here <= inside
    modules = {str(path.relative_to(ROOT)) for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert modules <= inside


def test_it_stays_small(wheel: zipfile.ZipFile) -> None:
    """What is downloaded: three models, the pictures and the code, compressed."""
    assert wheel.filename is not None
    assert Path(wheel.filename).stat().st_size < 10_000_000


def test_the_script_and_the_licence_are_there(wheel: zipfile.ZipFile) -> None:
    texts = {name.rpartition("/")[2]: name for name in wheel.namelist() if ".dist-info/" in name}
    assert "edge-deeplab = edge_deeplab.cli.main:main" in wheel.read(texts["entry_points.txt"]).decode()
    assert b"Apache License" in wheel.read(texts["LICENSE"])
    metadata = wheel.read(texts["METADATA"]).decode()
    assert "License-Expression: Apache-2.0" in metadata
    assert all(f"Provides-Extra: {extra}" in metadata for extra in ("train", "convert", "dev"))
