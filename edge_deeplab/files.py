"""Files at the edge: written whole or not at all, and known by their hash."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from edge_deeplab.errors import OutputError


def output_error(path: Path, error: OSError) -> OutputError:
    """Turn the operating system's refusal to write ``path`` into a sentence with its cure."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            cure = "the disk is full: free some space or write elsewhere"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            cure = "the place is read-only: choose a folder that you may write to"
        case errno.ENOTDIR | errno.EEXIST | errno.EISDIR:
            cure = "a file and a folder of that name are in each other's way: choose another name"
        case _:
            cure = str(error.strerror or error)
    return OutputError(f"cannot write {path}: {cure}")


def make_folder(path: Path) -> Path:
    """Create a folder and its parents, and see that files can be written there.

    Call it before the work whose results go there: a read-only folder is better known before than after.

    Raises:
        OutputError: it cannot be created or written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise output_error(path, error) from error
    return path


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary name beside ``path``, with its ending; rename it to ``path`` at the end.

    Readers map model files into memory, so a file in use is never overwritten, only replaced; and
    whatever fails in between leaves the old file as it was and nothing half-written.

    Raises:
        OutputError: the place cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise output_error(path, error) from error
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``, whole or not at all. Raises: OutputError."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write readable JSON (keys in the given order), whole or not at all. Raises: OutputError."""
    write_bytes(path, (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode())


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give an empty temporary folder beside ``path``; rename it to ``path`` at the end.

    For models that are folders (.mlpackage). Whatever fails in between leaves the old folder as it was, and the old one
    goes only when the new one is whole.

    Raises:
        OutputError: the place cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent))
    except OSError as error:
        raise output_error(path, error) from error
    try:
        yield temporary
        for entry in (temporary, *temporary.rglob("*")):
            entry.chmod(0o755 if entry.is_dir() else 0o644)
        move(temporary, path)
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """As :func:`atomic_folder`, for a folder that must not be there yet.

    Raises:
        OutputError: there is something at ``path`` already (an empty folder does no harm), or the place cannot be
            written to.
    """
    if path.is_symlink() or (path.exists() and not (path.is_dir() and not any(path.iterdir()))):
        raise OutputError(f"{path} exists already: choose another name, or remove it")
    make_folder(path.parent)
    with atomic_folder(path) as temporary:
        yield temporary


def move(source: Path, target: Path) -> None:
    """Rename a file or a folder, in place of one of its kind that may be there.

    Raises:
        OSError: it cannot be renamed; the old one is then where it was.
    """
    if not (source.is_dir() and target.is_dir()):
        source.replace(target)
        return
    # The system replaces no folder that holds something: the old one steps aside until the new one has its name.
    aside = Path(tempfile.mkdtemp(prefix=f".{target.stem}-old-", dir=target.parent))
    try:
        target.replace(aside / target.name)
        try:
            source.replace(target)
        except OSError:
            (aside / target.name).replace(target)
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def sha256(path: Path) -> str:
    """The SHA-256, in hexadecimal, of a file's content; of a folder: of its files' names and contents.

    A folder's is the hash of its :func:`checksums`.
    """
    if path.is_dir():
        return hashlib.sha256(checksums(path).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size


def checksums(folder: Path, *, without: Collection[str] = ()) -> str:
    """The SHA-256 of every file in a folder and below it, as ``sha256sum -c`` reads it in that folder.

    Args:
        folder: the folder.
        without: names, relative to it, that are left out.

    Raises:
        OutputError: a name with a line break or a backslash, which sha256sum writes in another way.
    """
    lines = []
    for name in sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()):
        if {"\n", "\r", "\\"} & set(name):
            raise OutputError(f"a file called {name!r} cannot be listed with its checksum: choose a plain name")
        if name not in without:
            lines.append(f"{sha256(folder / name)}  {name}\n")
    return "".join(lines)
