"""Write the tables of clients into docs/clients.md: python docs/update_clients.py [--check]

From what benchmarks/clients.py measured (benchmarks/clients.json). With ``--check`` nothing is written, and the exit
status is 1 where the document is not what it would become.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markdown_table import markdown_table
from marked_block import put

ROOT = Path(__file__).resolve().parents[1]
MEASURED = ROOT / "benchmarks" / "clients.json"
DOCUMENT = ROOT / "docs" / "clients.md"
REMEDY = "docs/clients.md is not in step with what was measured: python docs/update_clients.py"
_LONG = 90  # characters of a client's message that are quoted


def client_table(found: Mapping[str, Any]) -> str:
    """The block in Markdown: a row for each client, mode and file."""
    machine = found["machine"]
    about = (
        f"{machine['processor']}, {machine['cores']} cores, {machine['date']}; {found['pictures']} pictures "
        f"({found['data']}); milliseconds: median of a picture with its resizes, at a load of {found['load']}, which "
        "should be below 1 for times.\n"
    )
    heads = ("client, mode: file", "sized: mean", "worst", "as it is: mean", "worst", "ms")
    return f"{about}\n{markdown_table(heads, [_client_row(row) for row in found['clients']])}"


def _client_row(row: Mapping[str, Any]) -> list[str]:
    name = f"{row['client']} {row['version']}, {row['mode']}: {row['target']}, {row['io']}"
    if "refused" in row:
        return [name, "refused", "", "", "", ""]
    shares = [row[way][which] for way in ("network_sized", "as_they_are") for which in ("mean", "worst")]
    return [name, *map(_percent, shares), f"{row['milliseconds']:.0f}"]


def variant_table(found: Mapping[str, Any]) -> str:
    """The block in Markdown: a row for each file, what our check says of it, and what the client did."""
    rows = [[row["variant"], "; ".join(row["our_check"]) or "nothing", _done(row)] for row in found["variants"]]
    return markdown_table(("file", "our check", "MediaPipe"), rows, numbers=False)


def _done(row: Mapping[str, Any]) -> str:
    if "refused" in row:
        said = row["refused"]
        return f"refuses: {said if len(said) <= _LONG else said[:_LONG] + '...'}"
    return f"{_percent(row['agreement'])} of the pixels, values {row['lowest']:.2f} to {row['highest']:.2f}"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def main() -> int:
    """Write or check; the exit status."""
    found = json.loads(MEASURED.read_text())
    blocks = {"clients": client_table(found), "client-variants": variant_table(found)}
    return max(put(DOCUMENT, name, block, REMEDY) for name, block in blocks.items())


if __name__ == "__main__":
    sys.exit(main())
