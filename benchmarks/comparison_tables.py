"""The results of compare_models.py as tables for a terminal: a row for each model."""

from __future__ import annotations

from collections.abc import Sequence

from comparison_measuring import Record
from rich.console import Group
from rich.table import Table
from rich.text import Text

from edge_deeplab.evaluation.disturbances import DISTURBANCES
from edge_deeplab.terminal import number_columns, plain_table

_SOURCES_A_TABLE = 5  # in 80 columns


def comparison_tables(records: Sequence[Record]) -> Group:
    """All tables, and below them how each model is fed."""
    tables: list[Table | Text] = [*_sources(records), _total(records), _sizes(records), _robustness(records)]
    if any(record["film"] for record in records):
        tables.append(_film(records))
    return Group(*tables, *(_feeding(record) for record in records))


def _sources(records: Sequence[Record]) -> list[Table]:
    first = records[0]["sources"]
    positive = [source for source, scores in first.items() if scores["person_iou"] is not None]
    return [
        _source_table(records, positive[start : start + _SOURCES_A_TABLE])
        for start in range(0, len(positive), _SOURCES_A_TABLE)
    ]


def _source_table(records: Sequence[Record], sources: Sequence[str]) -> Table:
    table = _table("Person IoU by source")
    number_columns(table, *(f"{source}\n{records[0]['sources'][source]['images']}" for source in sources))
    for record in records:
        table.add_row(record["name"], *(_decimals(record["sources"][source]["person_iou"]) for source in sources))
    return table


def _total(records: Sequence[Record]) -> Table:
    first = records[0]["total"]
    table = _table("Over all photos")
    number_columns(table, f"person IoU\n{first['images'] - first['negatives']}", "boundary F\n")
    number_columns(table, f"false person\nnegatives: {first['negatives']}", "CPU\nseconds")
    for record in records:
        total = record["total"]
        false_person = "-" if total["false_person"] is None else f"{total['false_person']:.2%}"
        cells = (_decimals(total["person_iou"]), _decimals(total["boundary_f"]), false_person)
        table.add_row(record["name"], *cells, f"{record['processor_seconds']:.0f}")
    return table


def _sizes(records: Sequence[Record]) -> Table:
    table = _table("Person IoU by the person's part of the photo")
    number_columns(table, *(f"{size}\n{scores['images']}" for size, scores in records[0]["sizes"].items()))
    for record in records:
        table.add_row(record["name"], *(_decimals(scores["person_iou"]) for scores in record["sizes"].values()))
    return table


def _robustness(records: Sequence[Record]) -> Table:
    first = records[0]["undisturbed"]["total"]
    table = _table(f"Person IoU over {first['images'] - first['negatives']} photos, disturbed")
    number_columns(table, "as\nis", *(name.replace(" ", "\n") for name in records[0]["disturbed"]))
    for record in records:
        found = (record["undisturbed"], *record["disturbed"].values())
        table.add_row(record["name"], *(_decimals(each["total"]["person_iou"]) for each in found))
    table.caption = "\n".join(f"{disturbance.name}: {disturbance.strength}" for disturbance in DISTURBANCES)
    table.caption_justify = "left"
    return table


def _film(records: Sequence[Record]) -> Table:
    films = [(record["name"], record["film"]) for record in records if record["film"]]
    table = _table(f"A film of {films[0][1]['frames']} frames")
    table.caption = "dtSSD and flicker of the mattes at 256x256, each frame for itself"
    number_columns(table, "person\nIoU", "dtSSD\n1e-3", "flicker\n1e-3")
    for name, film in films:
        flicker = "-" if film["flicker"] is None else f"{1000 * film['flicker']:.2f}"
        table.add_row(name, _decimals(film["person_iou"]), f"{1000 * film['dt_ssd']:.1f}", flicker)
    return table


def _table(title: str) -> Table:
    table = plain_table(title, "model")
    table.collapse_padding = True  # room for names of 20 letters in 80 columns
    return table


def _feeding(record: Record) -> Text:
    return Text(
        f"{record['name']} ({record['file']}, {record['width']}x{record['height']}, {record['runtime']}): "
        f"{record['preprocessing']}"
    )


def _decimals(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
