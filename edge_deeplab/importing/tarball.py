"""The frozen graph in a tarball as DeepLab's model zoo has them: ``NAME/frozen_inference_graph.pb`` among others.

Nothing is unpacked to the disk: the one file that is wanted is read into memory. Whatever no honest archive of a model
has is refused all the same, and by its name, because the archive is then not what it seems.
"""

from __future__ import annotations

import tarfile
import zlib
from pathlib import Path, PurePosixPath

from edge_deeplab.errors import ModelFileError

GRAPH_NAME = "frozen_inference_graph.pb"  # export_model.py's and the model zoo's
SUFFIXES = (".tar.gz", ".tgz", ".tar")
# A GraphDef is a protobuf message, of less than 2 GB; an archive of the zoo has a checkpoint of that size beside it.
_LARGEST = 1 << 31
_LARGEST_ARCHIVE = 2 * _LARGEST


def is_tarball(path: Path) -> bool:
    """Its name ends as a tarball's."""
    return path.name.lower().endswith(SUFFIXES)


def graph_in_tarball(path: Path) -> bytes:
    """Read the frozen graph in a tarball.

    Args:
        path: a .tar.gz, .tgz or .tar file.

    Returns:
        The bytes of its one ``frozen_inference_graph.pb``.

    Raises:
        ModelFileError: missing, damaged, or too large; without that file or with several; with an absolute path, a
            ``..``, a link or a device in it, wherever in the archive.
    """
    try:
        with tarfile.open(path, "r:*") as archive:
            found = _only_graph(archive, path)
            file = archive.extractfile(found)
            content = file.read() if file is not None else b""
    except (OSError, tarfile.TarError, zlib.error, EOFError) as error:
        # tarfile lists what each compression says of the file, a line for each: the first line is the reason.
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).partition("\n")[0]
        raise ModelFileError(
            f"{path} is no tarball that can be read ({reason.rstrip(':')}): get a fresh copy"
        ) from error
    if len(content) != found.size:
        raise ModelFileError(f"{path} ends in the middle of {found.name}: get a fresh copy")
    return content


def _only_graph(archive: tarfile.TarFile, path: Path) -> tarfile.TarInfo:
    found: list[tarfile.TarInfo] = []
    total = 0
    for member in archive:
        _check(member, path)
        total += member.size
        if total > _LARGEST_ARCHIVE:
            raise ModelFileError(
                f"{path} unpacks to more than {_LARGEST_ARCHIVE >> 30} GB: it is no tarball of a model"
            )
        if member.isfile() and PurePosixPath(member.name).name == GRAPH_NAME:
            found.append(member)
    if len(found) != 1:
        raise ModelFileError(f"{path} has {len(found)} files called {GRAPH_NAME}, and must have one")
    if found[0].size > _LARGEST:
        raise ModelFileError(f"{path}: {found[0].name} has {found[0].size} bytes, and a graph has less than 2 GB")
    return found[0]


def _check(member: tarfile.TarInfo, path: Path) -> None:
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts:
        reason = "would be written outside of the folder that it is unpacked to"
    elif member.issym() or member.islnk():
        reason = f"is a link to {member.linkname!r}"
    elif not (member.isfile() or member.isdir()):
        reason = "is a device or a pipe"
    else:
        return
    raise ModelFileError(f"{path}: its member {member.name!r} {reason}: it is no tarball of a model")
