"""Models that are folders: their hash, their size, and how one takes the place of another."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from edge_deeplab.errors import OutputError
from edge_deeplab.files import atomic_folder, move, sha256, size
from edge_deeplab.spec import Target


def folder(path: Path, **files: str) -> Path:
    for name, text in files.items():
        place = path / name.replace("__", "/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return path


def test_the_hash_of_a_folder_is_of_names_and_contents(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", b__c="x", a="yz")
    assert sha256(one) == sha256(folder(tmp_path / "two", a="yz", b__c="x"))
    assert sha256(one) != sha256(folder(tmp_path / "three", a="yz", b__d="x"))
    assert sha256(one) != sha256(folder(tmp_path / "four", a="xz", b__c="x"))
    assert sha256(one) != sha256(folder(tmp_path / "five", a="yz", b__c="x", e=""))
    listed = subprocess.run(
        "sha256sum a b/c | sha256sum", cwd=one, shell=True, capture_output=True, text=True, check=True
    )
    assert sha256(one) == listed.stdout.split()[0]
    assert size(one) == 3


def test_a_folder_replaces_a_folder_when_it_is_whole(tmp_path: Path) -> None:
    out = folder(tmp_path / "a.mlpackage", old="1", deep__old="2")
    with atomic_folder(out) as temporary:
        assert temporary.suffix == ".mlpackage"
        folder(temporary, new="3", deep__new="4")
        (temporary / "new").chmod(0o600)
        assert (out / "old").exists()
    assert sorted(path.name for path in out.rglob("*") if path.is_file()) == ["new", "new"]
    assert [oct(path.stat().st_mode & 0o777) for path in (out, out / "new")] == ["0o755", "0o644"]
    assert list(tmp_path.iterdir()) == [out]


def test_a_failure_leaves_the_old_folder_alone(tmp_path: Path) -> None:
    out = folder(tmp_path / "a.mlpackage", old="1")

    def fail() -> None:
        with atomic_folder(out) as temporary:
            folder(temporary, half="3")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [path.name for path in out.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [out]


def test_a_folder_takes_no_files_place_and_no_file_a_folders(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("1")
    with pytest.raises(OutputError, match="in each other's way"), atomic_folder(tmp_path / "file"):
        pass
    full = folder(tmp_path / "folder", a="1")
    with pytest.raises(OSError):  # noqa: PT011 (the systems differ in which)
        move(tmp_path / "file", full)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_group_of_targets_has_a_name() -> None:
    assert {str(target) for target in Target.named("coreml")} == {
        "coreml-float32",
        "coreml-float16",
        "coreml-int8",
        "coreml-palettized6",
        "coreml-palettized4",
        "coreml-w8a8",
    }
    assert Target.named("all") == Target.all()
    assert Target.named("coreml-w8a8") == (Target.parse("coreml-w8a8"),)
    assert [str(target) for target in Target.all() if target.integer_activations] == [
        "tflite-int8",
        "onnx-qdq",
        "coreml-w8a8",
    ]
