"""Evaluation and parity as tables for a terminal."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from edge_deeplab.evaluation.evaluate import Evaluation
from edge_deeplab.evaluation.metrics import BOUNDARY_TOLERANCE
from edge_deeplab.evaluation.parity import ParityReport
from edge_deeplab.evaluation.scores import Scores
from edge_deeplab.evaluation.verdict import Accuracy, IouDrop
from edge_deeplab.terminal import megabytes, number_columns, plain_table

_NOTHING = "-"


def evaluation_table(evaluation: Evaluation, *, title: str) -> Table:
    """One row for each source, and the total."""
    table = plain_table(title, "source")
    table.caption = f"{evaluation.runtime}. Boundary F within {BOUNDARY_TOLERANCE:.1%} of the diagonal."
    number_columns(table, "images", "person\nIoU", "mIoU", "boundary\nF", "false\nperson")
    for source, scores in evaluation.sources.items():
        table.add_row(source or "(all)", *_score_cells(scores))
    table.add_section()
    table.add_row("total", *_score_cells(evaluation.total), style="bold")
    return table


def _score_cells(scores: Scores) -> tuple[str, ...]:
    return (
        str(scores.images),
        _decimals(scores.person_iou),
        _decimals(scores.mean_iou),
        _decimals(scores.boundary_f),
        _percent(scores.false_person),
    )


def parity_tables(report: ParityReport) -> Group:
    """How far each artifact is from the reference; where true masks were given, what each is worth; who executed it.

    Readable from 80 columns on: numbers are never cut, only names are folded.
    """
    tables: list[Table | Text] = [_agreement_table(report)]
    if report.accuracy is not None:
        tables.append(_accuracy_table(report, report.accuracy))
    runtimes: dict[str, list[str]] = {}
    for name, runtime in ((report.reference, report.runtime), *((row.name, row.runtime) for row in report.rows)):
        runtimes.setdefault(runtime, []).append(name)
    tables += [Text(f"executed by {runtime}: {', '.join(names)}", style="dim") for runtime, names in runtimes.items()]
    return Group(*tables)


def _agreement_table(report: ParityReport) -> Table:
    table = plain_table(f"Parity with {report.reference} on {report.images} images", "artifact")
    number_columns(table, "size", "max\nerror", "mean\nerror", "masks\nagree", "IoU to\nreference")
    table.add_column("verdict", no_wrap=True)
    table.add_row(report.reference, megabytes(report.size), *("",) * 4, "reference")
    for row in report.rows:
        table.add_row(
            row.name,
            megabytes(row.size),
            f"{row.agreement.max_error:.1e}",
            f"{row.agreement.mean_error:.1e}",
            f"{row.agreement.mask_agreement:.3%}",
            f"{row.agreement.reference_iou:.4f}",
            "[green]passed[/green]" if row.passed else "[bold red]FAILED[/bold red]",
        )
    return table


def _accuracy_table(report: ParityReport, reference: Accuracy) -> Table:
    table = plain_table("Against the true masks", "artifact")
    number_columns(table, "person\nIoU", "drop", "worst\ndrop")
    table.add_column("in", overflow="fold")
    number_columns(table, "boundary\nF", "false\nperson")
    table.add_row(report.reference, *_accuracy_cells(reference.total, None))
    for row in report.rows:
        if row.accuracy is not None:
            table.add_row(row.name, *_accuracy_cells(row.accuracy.total, row.drop))
    return table


def _accuracy_cells(scores: Scores, drop: IouDrop | None) -> tuple[str, ...]:
    drops = ("", "", "") if drop is None else (f"{drop.total:+.4f}", f"{drop.worst:+.4f}", drop.worst_source)
    return (_decimals(scores.person_iou), *drops, _decimals(scores.boundary_f), _percent(scores.false_person))


def _decimals(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:.4f}"


def _percent(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:.2%}"
