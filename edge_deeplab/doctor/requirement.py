"""What a file must not have for one client: its findings that are errors, raised as one."""

from __future__ import annotations

from pathlib import Path

from edge_deeplab.doctor.examination import examine
from edge_deeplab.doctor.finding import Client, Finding, Severity
from edge_deeplab.errors import ClientError


def errors_for(path: Path, client: Client) -> tuple[Finding, ...]:
    """Why a client would refuse a file, or show something else.

    Raises:
        ModelFileError, MissingExtraError: as :func:`~edge_deeplab.doctor.examination.examine`.
    """
    found = examine(path).findings
    return tuple(one for one in found if one.client is client and one.effect.severity is Severity.ERROR)


def require_client(path: Path, client: Client, *, name: str | None = None) -> None:
    """See that a client takes a file, and takes it right.

    Args:
        path: the file.
        client: for whom it is.
        name: what it is called in the message; None: its path.

    Raises:
        ClientError: the client would refuse it, or show something else; the message has every reason with its cure.
        ModelFileError, MissingExtraError: as :func:`~edge_deeplab.doctor.examination.examine`.
    """
    errors = errors_for(path, client)
    if errors:
        reasons = "; ".join(f"{error.message} ({error.cure})" for error in errors)
        raise ClientError(f"{name or path} is not for {client}: {reasons}")
