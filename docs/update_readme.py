"""Write what the shipped models' cards say into README.md and docs/models.md: python docs/update_readme.py [--check]

Replaces what stands between the comments numbers:start and numbers:end (README.md), models:start and models:end
(docs/models.md). With ``--check`` nothing is written, and the exit status is 1 where a document is not what it would
become.
"""

from __future__ import annotations

import sys
from pathlib import Path

from marked_block import put
from model_cards import overview, sections

from edge_deeplab.weights import FOLDER, shipped_card, shipped_names

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Write or check; the exit status."""
    cards = [shipped_card(name) for name in shipped_names()]
    status = 0
    for document, name, block in (
        (ROOT / "README.md", "numbers", overview(cards, FOLDER)),
        (ROOT / "docs" / "models.md", "models", sections(cards, FOLDER)),
    ):
        remedy = f"{document.name} is not in step with the models' cards: python docs/update_readme.py"
        status |= put(document, name, block, remedy)
    return status


if __name__ == "__main__":
    sys.exit(main())
