"""Evaluation, parity and sensitivity as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from edge_deeplab.evaluation.evaluate import Evaluation
from edge_deeplab.evaluation.metrics import BOUNDARY_TOLERANCE
from edge_deeplab.evaluation.parity import ParityReport, ParityRow
from edge_deeplab.evaluation.scores import Scores
from edge_deeplab.evaluation.verdict import Accuracy
from edge_deeplab.terminal import megabytes, number_columns, plain_table

if TYPE_CHECKING:  # they import torch, and tables of a converted file are printed without it
    from edge_deeplab.quantization.mixed_precision import MixedPrecision
    from edge_deeplab.quantization.sensitivity import Effect, Sensitivity

_NOTHING = "-"
_NUMBERS = 58  # columns that the parity tables' numbers take, the spaces before them included
_SEPARATORS = frozenset("-_./\\ ")


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


def parity_tables(report: ParityReport, *, width: int = 80) -> Group:
    """How far each artifact is from the reference; where true masks were given, what each is worth; who executed it.

    Args:
        report: the comparison.
        width: columns of the terminal, 80 at least: no number is cut, and no name is broken. Names that are too long
            lose what they have in common, then their middle; the lines below the tables have them in full.
    """
    names = [report.reference, *(row.name for row in report.rows)]
    shown = short_names(names, max(width, 80) - _NUMBERS)
    tables: list[Table | Text] = [_agreement_table(report, shown)]
    tables += grouped("least alike:", least_alike(report, shown[1:]))
    if report.accuracy is not None:
        tables.append(_accuracy_table(report, report.accuracy, shown))
        tables += grouped(
            "worst drop in",
            [
                (row.drop.worst_source, name)
                for row, name in zip(report.rows, shown[1:], strict=True)
                if row.drop and round(100 * row.drop.worst, 2) > 0
            ],
        )
    runtimes = [report.runtime, *(row.runtime for row in report.rows)]
    tables += grouped("executed by", list(zip(runtimes, names, strict=True)))
    return Group(*tables)


def least_alike(report: ParityReport, names: Sequence[str]) -> list[tuple[str, str]]:
    """With several classes: the one that an artifact changes most, in words, and the artifact's name."""
    return [
        (f"{worst.name} (IoU {worst.iou:.4f}, {worst.pixels} pixels)", name)
        for row, name in zip(report.rows, names, strict=True)
        if (worst := row.agreement.worst_class)
    ]


def short_names(names: Sequence[str], room: int) -> list[str]:
    """Make names fit into a column, each by itself still to be told from the others.

    Args:
        names: of files.
        room: columns, 8 at least.

    Returns:
        the names as they are if all fit; else without the words with which all of them begin
        ("portrait-int8.tflite", "portrait.onnx": "int8.tflite", "onnx"), cut in the middle where one is still too
        long, and numbered where that makes two alike.
    """
    if max(map(len, names)) <= room:
        return list(names)
    common = _common_start(names)
    if all(name[common : common + 1] in _SEPARATORS for name in names):
        start = common + 1
    else:
        start = max((place + 1 for place in range(common) if names[0][place] in _SEPARATORS), default=0)
    short = [_cut(name[start:], room) for name in names]
    if len(set(short)) < len(set(names)):
        return [f"{place}: {_cut(name[start:], room - 4)}" for place, name in enumerate(names)]
    return short


def _common_start(names: Sequence[str]) -> int:
    """How many letters all names begin with."""
    return next((place for place, letters in enumerate(zip(*names, strict=False)) if len(set(letters)) > 1), 0)


def _cut(name: str, room: int) -> str:
    if len(name) <= room:
        return name
    kept = room - 1
    return f"{name[: kept // 2]}…{name[len(name) - (kept - kept // 2) :]}"


def grouped(words: str, pairs: Sequence[tuple[str, str]]) -> list[Text]:
    """One dim line for each first value, with all the second ones that go with it."""
    groups: dict[str, list[str]] = {}
    for first, second in pairs:
        if first:
            groups.setdefault(first, []).append(second)
    return [Text(f"{words} {first}: {', '.join(seconds)}", style="dim") for first, seconds in groups.items()]


def _agreement_table(report: ParityReport, names: Sequence[str]) -> Table:
    table = _narrow_table(f"Parity with {report.reference} on {report.images} images")
    number_columns(table, "size", "max\nerror", "mean\nerror", "masks\nagree", "IoU to\nref.")
    table.add_column("verdict", no_wrap=True)
    table.add_row(Text(names[0]), megabytes(report.size), *("",) * 4, "reference")
    for name, row in zip(names[1:], report.rows, strict=True):
        table.add_row(
            Text(name),
            megabytes(row.size),
            f"{row.agreement.max_error:.1e}",
            f"{row.agreement.mean_error:.1e}",
            f"{row.agreement.mask_agreement:.3%}",
            f"{row.agreement.reference_iou:.4f}",
            _verdict_cell(row),
        )
    return table


def _narrow_table(title: str) -> Table:
    table = plain_table(title, "artifact")
    table.columns[0].no_wrap = True
    table.collapse_padding = True
    return table


def _verdict_cell(row: ParityRow) -> str:
    if row.override is not None:
        return "[yellow]allowed[/yellow]"
    return "[green]passed[/green]" if row.passed else "[bold red]FAILED[/bold red]"


def _accuracy_table(report: ParityReport, reference: Accuracy, names: Sequence[str]) -> Table:
    table = _narrow_table("Against the true masks (drops and rises in points, 0.01 each)")
    number_columns(table, "person\nIoU", "\ndrop", "worst\ndrop", "bound.\nF", "\ndrop", "false\nperson", "\nrise")
    table.add_row(Text(names[0]), *_accuracy_cells(reference.total, None))
    for name, row in zip(names[1:], report.rows, strict=True):
        if row.accuracy is not None:
            table.add_row(Text(name), *_accuracy_cells(row.accuracy.total, row))
    return table


def _accuracy_cells(scores: Scores, row: ParityRow | None) -> tuple[str, ...]:
    drop = row.drop if row else None
    return (
        _decimals(scores.person_iou),
        _points(drop.total if drop else None),
        _points(drop.worst if drop else None),
        _decimals(scores.boundary_f),
        _points(row.boundary_drop if row else None),
        _percent(scores.false_person),
        _points(row.false_person_rise if row else None),
    )


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


def _points(value: float | None) -> str:
    return "" if value is None else f"{100 * value:+z.2f}"


def _percent(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:.2%}"
