"""``edge-deeplab inspect``."""

from __future__ import annotations

from pathlib import Path

import click

from edge_deeplab.cli.model_path import MODEL


@click.command()
@click.argument("file", type=MODEL)
@click.option("--quantization", is_flag=True, help="Every tensor's scale, zero point and range as well.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of tables.")
def command(file: Path, quantization: bool, as_json: bool) -> None:
    """Show what is inside FILE, a TFLite or ONNX file (of anybody's) or a checkpoint.

    Inputs and outputs, operators with their multiply-adds, which of them compute in integers and which in floats,
    bytes of weights, and what XNNPACK takes of a TFLite file. docs/inspect.md explains the words.
    """
    import json

    from rich.console import Console

    from edge_deeplab.inspection.opening import inspect_file
    from edge_deeplab.inspection.tables import summary_tables

    # Seconds where PyTorch must be imported; on standard error, and only where somebody watches.
    with Console(stderr=True).status(f"looking into {file.name}"):
        summary = inspect_file(file)
    if not as_json:
        Console().print(summary_tables(summary, quantization=quantization))
        return
    values = summary.to_dict()
    if not quantization:
        del values["quantized"]
    click.echo(json.dumps(values, indent=2, ensure_ascii=False))
