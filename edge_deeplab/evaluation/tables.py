"""Evaluation, parity and sensitivity as tables for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from edge_deeplab.evaluation.evaluate import Evaluation
from edge_deeplab.evaluation.metrics import BOUNDARY_TOLERANCE
from edge_deeplab.evaluation.parity import ParityReport, ParityRow
from edge_deeplab.evaluation.scores import Scores
from edge_deeplab.evaluation.verdict import Accuracy, IouDrop
from edge_deeplab.terminal import megabytes, number_columns, plain_table

if TYPE_CHECKING:  # they import torch, and tables of a converted file are printed without it
    from edge_deeplab.quantization.mixed_precision import MixedPrecision
    from edge_deeplab.quantization.sensitivity import Effect, Sensitivity

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
            _verdict_cell(row),
        )
    return table


def _verdict_cell(row: ParityRow) -> str:
    if row.override is not None:
        return "[yellow]allowed[/yellow]"
    return "[green]passed[/green]" if row.passed else "[bold red]FAILED[/bold red]"


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


def sensitivity_table(sensitivity: Sensitivity, *, count: int) -> Table:
    """The layers that do most harm alone, the worst first, and all of them together. SQNR in dB: high is good."""
    table = plain_table(
        f"The {count} layers that do most harm, on {sensitivity.images} images", "only this layer in int8"
    )
    number_columns(table, "mean\nerror", "masks\nagree")
    number_columns(table, "weight\ndB", "output\ndB", "out of\nrange", "accum.\ndB")
    table.collapse_padding = True  # room for names of 28 letters in 80 columns
    for layer in sensitivity.worst(count):
        ratios = [f"{ratio:.1f}" for ratio in (layer.by_weights, layer.by_activation)]
        table.add_row(
            layer.layer, *_effect_cells(layer.alone), *ratios, f"{layer.clipped:.2%}", f"{layer.accumulated:.1f}"
        )
    table.add_section()
    table.add_row("all layers in int8", *_effect_cells(sensitivity.whole), style="bold")
    return table


def mixed_precision_table(mixed: MixedPrecision) -> Table:
    """What each further layer in more than 8 bits wins back."""
    table = plain_table("Mixed precision: these layers wider, all others in int8", "wider, with those above it")
    number_columns(table, "mean error\nin float", "masks\nagree", "bytes\nmore")
    number_columns(table, "mean error\nin int16", "masks\nagree")
    table.collapse_padding = True  # as above
    table.add_row("none", *_effect_cells(mixed.int8))
    for step in mixed.steps:
        table.add_row(step.layer, *_effect_cells(step.in_float), f"{step.more_bytes:,}", *_effect_cells(step.in_int16))
    return table


def _effect_cells(effect: Effect) -> tuple[str, str]:
    return f"{effect.mean_error:.5f}", f"{effect.mask_agreement:.3%}"


def _decimals(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:.4f}"


def _percent(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:.2%}"
