"""The results of compare_models.py as tables for a terminal: a row for each model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from peer_list import Contestant
from rich.console import Group
from rich.table import Table
from rich.text import Text

from edge_deeplab.evaluation.disturbances import DISTURBANCES
from edge_deeplab.evaluation.evaluate import Evaluation
from edge_deeplab.evaluation.film import FilmScores
from edge_deeplab.evaluation.scores import Scores, by_size
from edge_deeplab.terminal import number_columns, plain_table

_SOURCES_A_TABLE = 5  # in 80 columns


@dataclass(frozen=True)
class Result:
    """What was measured of a model.

    Attributes:
        contestant: the model.
        size: rows and columns of its input.
        preprocessing: how it is fed and read, and how that is known.
        clean: on the photos as they are.
        disturbed: name of the disturbance to the scores on the photos under it.
        film: on the frames, if there are any.
    """

    contestant: Contestant
    size: tuple[int, int]
    preprocessing: str
    clean: Evaluation
    disturbed: Mapping[str, Evaluation]
    film: FilmScores | None


def comparison_tables(results: Sequence[Result]) -> Group:
    """All tables, and below them how each model is fed."""
    tables: list[Table | Text] = [*_sources(results), _total(results), _sizes(results), _robustness(results)]
    if any(result.film for result in results):
        tables.append(_film(results))
    return Group(*tables, *(_feeding(result) for result in results))


def _sources(results: Sequence[Result]) -> list[Table]:
    first = results[0].clean.sources
    positive = [source for source, scores in first.items() if scores.person_iou is not None]
    return [
        _source_table(results, positive[start : start + _SOURCES_A_TABLE])
        for start in range(0, len(positive), _SOURCES_A_TABLE)
    ]


def _source_table(results: Sequence[Result], sources: Sequence[str]) -> Table:
    table = _table("Person IoU by source")
    number_columns(table, *(f"{source}\n{results[0].clean.sources[source].images}" for source in sources))
    for result in results:
        scores = [result.clean.sources[source].person_iou for source in sources]
        table.add_row(result.contestant.name, *map(_decimals, scores))
    return table


def _total(results: Sequence[Result]) -> Table:
    first = results[0].clean.total
    table = _table("Over all photos")
    number_columns(table, f"person IoU\n{first.images - first.negatives}", "boundary F\n")
    number_columns(table, f"false person\nnegatives: {first.negatives}")
    for result in results:
        total = result.clean.total
        false_person = "-" if total.false_person is None else f"{total.false_person:.2%}"
        table.add_row(result.contestant.name, _decimals(total.person_iou), _decimals(total.boundary_f), false_person)
    return table


def _sizes(results: Sequence[Result]) -> Table:
    table = _table("Person IoU by the person's part of the photo")
    number_columns(table, *(f"{size}\n{scores.images}" for size, scores in sizes(results[0]).items()))
    for result in results:
        table.add_row(result.contestant.name, *(_decimals(scores.person_iou) for scores in sizes(result).values()))
    return table


def sizes(result: Result) -> dict[str, Scores]:
    """The scores by the size of the person."""
    return by_size(result.clean.images, result.clean.names)


def _robustness(results: Sequence[Result]) -> Table:
    table = _table("Person IoU over all photos, disturbed")
    number_columns(table, "as\nis", *(name.replace(" ", "\n") for name in results[0].disturbed))
    for result in results:
        scores = [evaluation.total.person_iou for evaluation in (result.clean, *result.disturbed.values())]
        table.add_row(result.contestant.name, *map(_decimals, scores))
    table.caption = "\n".join(f"{disturbance.name}: {disturbance.strength}" for disturbance in DISTURBANCES)
    table.caption_justify = "left"
    return table


def _film(results: Sequence[Result]) -> Table:
    films = [(result.contestant.name, result.film) for result in results if result.film]
    table = _table(f"A film of {films[0][1].frames} frames")
    table.caption = "dtSSD and flicker of the mattes at 256x256, each frame for itself"
    number_columns(table, "person\nIoU", "dtSSD\n1e-3", "flicker\n1e-3")
    for name, film in films:
        flicker = "-" if film.flicker is None else f"{1000 * film.flicker:.2f}"
        table.add_row(name, _decimals(film.person_iou), f"{1000 * film.dt_ssd:.1f}", flicker)
    return table


def _table(title: str) -> Table:
    table = plain_table(title, "model")
    table.collapse_padding = True  # room for names of 20 letters in 80 columns
    return table


def _feeding(result: Result) -> Text:
    rows, columns = result.size
    return Text(
        f"{result.contestant.name} ({result.contestant.path.name}, {columns}x{rows}, {result.clean.runtime}): "
        f"{result.preprocessing}"
    )


def _decimals(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
