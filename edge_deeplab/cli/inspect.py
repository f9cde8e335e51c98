"""``edge-deeplab inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_deeplab.cli.model_path import MODEL
from edge_deeplab.cli.options import refuse_options
from edge_deeplab.errors import MissingExtraError

if TYPE_CHECKING:
    from edge_deeplab.inspection.cost import CostRow
    from edge_deeplab.inspection.summary import ModelSummary


@click.command()
@click.argument("file", type=MODEL)
@click.option("--quantization", is_flag=True, help="Every tensor's scale, zero point and range as well.")
@click.option("--cost", is_flag=True, help="What the network costs at several sizes and output strides as well.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of tables.")
@click.option(
    "--html",
    "page",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a page with the graph drawn and each layer's numbers, instead of printing (.tflite, .onnx).",
)
@click.pass_context
def command(
    context: click.Context, file: Path, quantization: bool, cost: bool, as_json: bool, page: Path | None
) -> None:
    """Show what is inside FILE, a TFLite or ONNX file (of anybody's) or a checkpoint.

    Inputs and outputs, operators with their multiply-adds, which of them compute in integers and which in floats,
    bytes of weights, and what XNNPACK takes of a TFLite file. docs/inspect.md explains the words.
    """
    import json
    from dataclasses import asdict

    from rich.console import Console

    from edge_deeplab.inspection.opening import inspect_file
    from edge_deeplab.inspection.tables import cost_table, summary_tables

    if page is not None:
        refuse_options(context, ("quantization", "cost", "as_json"), "does not go with --html")

    # Seconds where PyTorch must be imported; on standard error, and only where somebody watches.
    with Console(stderr=True).status(f"looking into {file.name}"):
        summary = inspect_file(file)
        if page is not None:
            _write_page(file, summary, page)
            return
        rows = _cost(file) if cost else ()
    if not as_json:
        Console().print(summary_tables(summary, quantization=quantization))
        if rows:
            Console().print(cost_table(rows))
        return
    values = summary.to_dict()
    if not quantization:
        del values["quantized"]
    if rows:
        values["cost"] = [asdict(row) for row in rows]
    click.echo(json.dumps(values, indent=2, ensure_ascii=False))


def _cost(file: Path) -> tuple[CostRow, ...]:
    try:
        from edge_deeplab.inspection.cost import cost_rows, model_spec
    except ImportError as error:
        raise MissingExtraError("torch", "train", "counting the cost of a network") from error
    return cost_rows(model_spec(file))


def _write_page(file: Path, summary: ModelSummary, page: Path) -> None:
    from edge_deeplab.files import write_bytes
    from edge_deeplab.inspection.dot import draw, graph_dot
    from edge_deeplab.inspection.opening import read_graph
    from edge_deeplab.inspection.page import inspection_page

    graph = read_graph(file)
    write_bytes(page, inspection_page(summary, graph, draw(graph_dot(graph))).encode())
