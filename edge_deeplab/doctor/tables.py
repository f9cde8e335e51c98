"""An examination as text for a terminal."""

from __future__ import annotations

from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from edge_deeplab.doctor.examination import Examination
from edge_deeplab.doctor.finding import Finding, Severity
from edge_deeplab.inspection.words import name_words

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}
_INDENT = 8
_NAMED = 3  # names of tensors or operators in a line; JSON has them all


def examination_text(examination: Examination) -> Group:
    """Every finding with its cure, the clients without any, and what was not checked."""
    # Text, not plain strings: a file's own names may have brackets, which rich would read as markup.
    parts: list[Text | Padding] = [Text(f"{examination.file} ({examination.format})", style="bold")]
    for finding in examination.findings:
        parts += _finding(finding)
    troubled = {finding.client for finding in examination.findings}
    silent = [client for client in examination.clients if client not in troubled]
    if silent:
        parts.append(Text(f"nothing found for {', '.join(silent)}", style="green"))
    parts += [Text(f"not checked for {client}: {what}", style="dim") for client, what in examination.unchecked.items()]
    return Group(*parts)


def _finding(finding: Finding) -> list[Text | Padding]:
    severity = finding.effect.severity
    head = Text.assemble(
        (f"{severity:<8}", f"bold {_COLOURS[severity]}"), (finding.client, "bold"), f", {finding.effect}"
    )
    lines = Text(f"{finding.message}")
    if finding.where:
        lines.append(f"\nwhere: {_names(finding.where)}", style="dim")
    lines.append(f"\ncure:  {finding.cure}")
    return [head, Padding(lines, (0, 0, 0, _INDENT))]


def _names(names: tuple[str, ...]) -> str:
    shown = ", ".join(name_words(name) for name in names[:_NAMED])
    more = len(names) - _NAMED
    return f"{shown} and {more} more" if more > 0 else shown
