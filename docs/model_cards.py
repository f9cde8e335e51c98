"""What the documents say of the shipped models, in Markdown, from their cards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_deeplab.terminal import megabytes
from edge_deeplab.weights.card import BOUNDARY_F, FALSE_PERSON, PERSON_IOU, Card, Latency, Score

FLOAT, INT8 = "float parent", "int8"
METRICS = {PERSON_IOU: "person IoU", BOUNDARY_F: "boundary F", FALSE_PERSON: "false person"}
FALSE_PERSON_WORDS = "False person: part of the pixels of photos without anybody that is called a person."
MORE = (
    "[docs/models.md](docs/models.md) has the rest of each: float parent, boundaries, sizes of persons, disturbances, "
    "latency; what it learned from, under which terms; where it fails. `edge-deeplab models` lists them."
)


def overview(cards: Sequence[Card], folder: Path) -> str:
    """The README's block: a row for each int8 file, and a sentence for each model.

    Args:
        cards: at least one.
        folder: where the models' files are.
    """
    sources = _names(score.name for card in cards for score in card.scores if PERSON_IOU in score.int8)
    negatives = _names(score.name for card in cards for score in card.scores if FALSE_PERSON in score.int8)
    against = _names(card.latency.against for card in cards if card.latency)
    heads = ["model", "size", "times as long", *sources, *(f"false person, {source}" for source in negatives)]
    rows = []
    for card in cards:
        found = {score.name: score.int8 for score in card.scores}
        rows.append(
            [
                f"`{card.name}`",
                _size(folder / f"{card.name}.tflite"),
                f"{card.latency.ratio:.2f}" if card.latency else "not measured",
                *(_decimals(found.get(source, {}).get(PERSON_IOU)) for source in sources),
                *(_percent(found.get(source, {}).get(FALSE_PERSON)) for source in negatives),
            ]
        )
    counts = {score.name: score.images for card in cards for score in card.scores}
    photos = ", ".join(f"{source} {counts[source]}" for source in [*sources, *negatives])
    text = f"Person IoU of the int8 files on photos that were neither trained nor selected on ({photos})"
    text += f"; times as long as {', '.join(against)} in the same run, one thread" if against else ""
    lines = [f"{text}. {FALSE_PERSON_WORDS}", "", _table(heads, rows)]
    lines += [f"- `{card.name}`: {card.summary} {card.intended_use} {card.terms}" for card in cards]
    lines += ["", MORE]
    return "\n".join(lines) + "\n"


def sections(cards: Sequence[Card], folder: Path) -> str:
    """The block of docs/models.md: a section for each card."""
    return "\n".join(_section(card, folder) for card in cards)


def _section(card: Card, folder: Path) -> str:
    parts = [
        f"## {card.name}\n\n{card.summary}\n\n{card.intended_use}\n",
        f"**What may be done with it.** {card.terms}\n",
        _files(card, folder),
        "### Measured\n",
        _measured("source", card.scores),
    ]
    if card.sizes:
        parts += ["By the person's part of the photo:\n", _measured("part", card.sizes)]
    if card.robustness:
        parts += ["All photos, disturbed:\n", _measured("disturbance", card.robustness, _strengths(card))]
    parts += [_conditions(card.conditions), _latency(card.latency)]
    parts += ["### Learned from\n", _recipe(card), _training_data(card)]
    parts += ["### Where it fails\n", "".join(f"- {failure}\n" for failure in card.known_failures)]
    return "\n".join(part for part in parts if part)


def _files(card: Card, folder: Path) -> str:
    rows = [[f"`{name}`", _size(folder / name), f"`{sha}`"] for name, sha in card.files.items()]
    text = _table(["file in `edge_deeplab/weights`", "size", "SHA-256"], rows, right=[1])
    return text + (f"\nFloat parent: SHA-256 `{card.parent_sha256}`.\n" if card.parent_sha256 else "")


def _measured(first: str, scores: Sequence[Score], explained: Mapping[str, str] | None = None) -> str:
    metrics = [metric for metric in METRICS if any(metric in score.float32 for score in scores)]
    heads = [first, "photos"]
    heads += [f"{METRICS[metric]}, {which}" for metric in metrics for which in (FLOAT, INT8)]
    rows = []
    for score in scores:
        name = f"{score.name}: {explained[score.name]}" if explained and score.name in explained else score.name
        row = [name, str(score.images)]
        for metric in metrics:
            row += [_written(metric, values.get(metric)) for values in (score.float32, score.int8)]
        rows.append(row)
    return _table(heads, rows)


def _written(metric: str, value: float | None) -> str:
    return _percent(value) if metric == FALSE_PERSON else _decimals(value)


def _strengths(card: Card) -> Mapping[str, str]:
    strengths: Mapping[str, str] = card.conditions.get("disturbances", {})
    return strengths


def _conditions(conditions: Mapping[str, Any]) -> str:
    """One sentence of what is plain in the conditions; the machine is said as everywhere."""
    plain = {name: value for name, value in conditions.items() if not isinstance(value, Mapping)}
    words = [f"{name.replace('_', ' ')} {value}" for name, value in plain.items()]
    if machine := conditions.get("machine"):
        words.append(_machine(machine))
    return f"Conditions: {'; '.join(words)}.\n" if words else ""


def _latency(latency: Latency | None) -> str:
    if latency is None:
        return "Latency: not measured.\n"
    threads = f"{latency.threads} thread{'' if latency.threads == 1 else 's'}"
    return (
        f"Latency: {latency.milliseconds:.2f} ms, {latency.against} {latency.against_milliseconds:.2f} ms: "
        f"**{latency.ratio:.2f} times as long** (95 % interval {latency.low:.2f} to {latency.high:.2f}), median of "
        f"{latency.runs} rounds in turns, {threads}, {latency.runtime}; {_machine(latency.machine)}.\n"
    )


def _machine(machine: Mapping[str, Any]) -> str:
    return f"{machine['processor']}, {machine['cores']} cores, {machine['date']}"


def _training_data(card: Card) -> str:
    if not card.training_data:
        return "Not known.\n"
    rows = [
        [data.source, str(data.images), str(data.repeat), data.terms, "yes" if data.open else "no", data.why]
        for data in card.training_data
    ]
    heads = ["source", "photos", "times in an epoch", "terms", "plainly open", "why"]
    return "The photos are not in this repository.\n\n" + _table(heads, rows, right=[1, 2])


def _recipe(card: Card) -> str:
    seed = "" if card.seed is None else f", seed {card.seed}"
    if card.recipe_name is None:
        return f"Its recipe is in its card{seed}.\n"
    lines = [f"Recipe `{card.recipe_name}` (SHA-256 `{card.recipe_sha256}`){seed}; every setting is in its card."]
    for what, key in (("Began as", "init"), ("Taught by", "teacher")):
        if (file := card.recipe.get(key, {})).get("terms"):
            lines.append(f"{what} `{file['name']}`. {file['terms']}")
    return "\n\n".join(lines) + "\n"


def _size(path: Path) -> str:
    size = path.stat().st_size
    return megabytes(size) if size >= 1e5 else f"{size / 1e3:.0f} kB"


def _names(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _decimals(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[int] | None = None) -> str:
    """A table; the columns ``right`` (all but the first if not given) are numbers."""
    numbers = set(range(1, len(heads)) if right is None else right)
    lines = [f"| {' | '.join(heads)} |"]
    lines += [f"|{'|'.join('---:' if index in numbers else '---' for index in range(len(heads)))}|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n"
