"""Tarballs of the model zoo's kind, and those that would write where nobody asked."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_deeplab.errors import ModelFileError
from edge_deeplab.importing.frozen_deeplab import graph_bytes

_NAME = "deeplabv3_mnv2/frozen_inference_graph.pb"
_CONTENT = bytes(range(256)) * 64


def _tarball(path: Path, *members: tarfile.TarInfo, mode: str = "w:gz", content: bytes = _CONTENT) -> Path:
    with tarfile.open(path, mode) as archive:
        for member in members:
            member.size = len(content) if member.isfile() else 0
            archive.addfile(member, io.BytesIO(content))
    return path


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


@pytest.mark.parametrize(("name", "mode"), [("zoo.tar.gz", "w:gz"), ("zoo.tgz", "w:gz"), ("zoo.tar", "w")])
def test_the_graph_is_found_among_others(tmp_path: Path, name: str, mode: str) -> None:
    members = [_member("deeplabv3_mnv2", tarfile.DIRTYPE), _member("deeplabv3_mnv2/model.ckpt.index"), _member(_NAME)]
    path = _tarball(tmp_path / name, *members, mode=mode)
    assert graph_bytes(path) == _CONTENT
    assert [entry.name for entry in tmp_path.iterdir()] == [name]  # nothing is unpacked


@pytest.mark.parametrize(
    ("member", "said"),
    [
        (_member("../frozen_inference_graph.pb"), r"'\.\./frozen_inference_graph\.pb' would be written outside"),
        (_member("a/../../b"), r"'a/\.\./\.\./b' would be written outside"),
        (_member("/etc/passwd"), "'/etc/passwd' would be written outside"),
        (_member("weights", tarfile.SYMTYPE, "/etc/passwd"), "'weights' is a link to '/etc/passwd'"),
        (_member("weights", tarfile.LNKTYPE, _NAME), "'weights' is a link"),
        (_member("null", tarfile.CHRTYPE), "'null' is a device or a pipe"),
        (_member("disk", tarfile.BLKTYPE), "'disk' is a device or a pipe"),
        (_member("pipe", tarfile.FIFOTYPE), "'pipe' is a device or a pipe"),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_a_member_that_escapes_is_refused(tmp_path: Path, member: tarfile.TarInfo, said: str, first: bool) -> None:
    good = _member(_NAME)
    path = _tarball(tmp_path / "zoo.tar.gz", *((member, good) if first else (good, member)))
    with pytest.raises(ModelFileError, match=f"zoo.tar.gz: its member {said}"):
        graph_bytes(path)


def _none(path: Path) -> None:
    _tarball(path, _member("model.ckpt.index"))


def _two(path: Path) -> None:
    _tarball(path, _member(_NAME), _member(f"other/{_NAME}"))


def _cut(path: Path) -> None:
    _tarball(path, _member(_NAME))
    path.write_bytes(path.read_bytes()[:-60])


def _cut_inside(path: Path) -> None:
    """Not compressed: the archive ends in the middle of the file."""
    _tarball(path, _member(_NAME), mode="w")
    path.write_bytes(path.read_bytes()[:4096])


def _text(path: Path) -> None:
    path.write_text("hello, world\n" * 100)


def _nothing(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_none, "has 0 files called frozen_inference_graph.pb"),
        (_two, "has 2 files called"),
        (_cut, "no tarball that can be read"),
        (_cut_inside, "no tarball that can be read|ends in the middle"),
        (_text, "no tarball that can be read"),
        (_nothing, "no tarball that can be read"),
        (lambda path: None, "no tarball that can be read"),
    ],
)
def test_a_bad_tarball_is_refused(tmp_path: Path, make: Callable[[Path], None], said: str) -> None:
    path = tmp_path / "zoo.tar.gz"
    make(path)
    with pytest.raises(ModelFileError, match=said):
        graph_bytes(path)
