"""A part of a document that a program writes: what stands between the comments NAME:start and NAME:end."""

from __future__ import annotations

import sys
from pathlib import Path


def put(document: Path, name: str, block: str, remedy: str) -> int:
    """Write the block into its place; with ``--check`` on the command line only see whether it stands there.

    Args:
        document: Markdown with the lines ``<!-- NAME:start -->`` and ``<!-- NAME:end -->``.
        name: of the block.
        block: whole lines.
        remedy: what ``--check`` says where the document is not what it would become.

    Returns:
        The exit status: 1 where ``--check`` found a difference.
    """
    before = document.read_text()
    wanted = _replaced(before, name, block, document)
    if "--check" in sys.argv[1:]:
        if before != wanted:
            print(remedy, file=sys.stderr)
        return int(before != wanted)
    document.write_text(wanted)
    return 0


def _replaced(text: str, name: str, block: str, document: Path) -> str:
    opening, closing = f"<!-- {name}:start -->\n", f"<!-- {name}:end -->\n"
    before, start, rest = text.partition(opening)
    _, end, after = rest.partition(closing)
    if not (start and end):
        raise SystemExit(f"{document.name} lacks the line {opening.strip()} or {closing.strip()}")
    return before + start + block + end + after
