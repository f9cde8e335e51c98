"""Write the README's numbers from the shipped model's card: python docs/update_readme.py [--check]

Replaces what stands between the comments numbers:start and numbers:end. With ``--check`` nothing is written, and the
exit status is 1 where the README is not what it would become.
"""

from __future__ import annotations

import sys
from pathlib import Path

from marked_block import put

from edge_deeplab.weights.card import Card, Score, load_card

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
CARD = ROOT / "edge_deeplab" / "weights" / "portrait.json"


def numbers(card: Card, folder: Path) -> str:
    """The block in Markdown: the scores, the files with their sizes, the data, the known failures."""
    rows = [
        "| test photos | number | person IoU, float parent | int8 | boundary F, float parent | int8 |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    rows += [_row(score) for score in card.scores if "person_iou" in score.float32]
    lines = [f"{card.summary} {card.intended_use} The float parent is what the int8 network was fine-tuned from.", ""]
    lines += [*rows, ""]
    for score in card.scores:
        if "false_person_rate" in score.float32:
            before, after = (100 * scores["false_person_rate"] for scores in (score.float32, score.int8))
            lines += [
                f"On {score.images} pictures without a person ({score.source}), {before:.1f} % of the pixels are "
                f"wrongly called person by the float parent, {after:.1f} % by the int8 file.",
                "",
            ]
    sizes = [f"`{name}` ({_size((folder / name).stat().st_size)})" for name in card.files]
    lines += [f"Files in `edge_deeplab/weights`: {', '.join(sizes)}.", ""]
    lines += ["It learned from photos that are not in this repository:", ""]
    lines += ["| source | images | terms |", "|---|---:|---|"]
    lines += [f"| {data.source} | {data.images} | {data.terms} |" for data in card.training_data]
    lines += ["", "Where it fails:", ""]
    lines += [f"- {failure}" for failure in card.known_failures]
    return "\n".join(lines) + "\n"


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.0f} kB"


def _row(score: Score) -> str:
    cells = [score.source, str(score.images)]
    for metric in ("person_iou", "boundary_f"):
        cells += [f"{values[metric]:.3f}" if metric in values else "" for values in (score.float32, score.int8)]
    return f"| {' | '.join(cells)} |"


def main() -> int:
    """Write or check; the exit status."""
    block = numbers(load_card(CARD), CARD.parent) if CARD.exists() else "NUMBERS MISSING: no model is shipped yet.\n"
    remedy = "README.md is not in step with the model card: python docs/update_readme.py"
    return put(README, "numbers", block, remedy)


if __name__ == "__main__":
    sys.exit(main())
