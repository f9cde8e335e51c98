"""``edge-deeplab doctor``."""

from __future__ import annotations

from pathlib import Path

import click

from edge_deeplab.cli.model_path import MODEL
from edge_deeplab.doctor.finding import Client


@click.command()
@click.argument("files", metavar="FILE...", type=MODEL, nargs=-1, required=True)
@click.option(
    "--client",
    "clients",
    type=click.Choice([str(client) for client in Client if client is not Client.ANY]),
    multiple=True,
    help="Only what concerns this client; may be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON instead of text: a list, one entry for each file.")
def command(files: tuple[Path, ...], clients: tuple[str, ...], as_json: bool) -> int:
    """Say what the clients of FILE, a .tflite, an .onnx or a .mlpackage of anybody's, will trip over.

    A client is what runs the file in an app. Each finding names what in the file it is about, and what helps. The exit
    status is 1 if a client refuses a file or silently shows something else.
    """
    import json

    from rich.console import Console

    from edge_deeplab.doctor.examination import examine
    from edge_deeplab.doctor.tables import examination_text

    wanted = [Client(client) for client in clients]
    examinations = []
    for file in files:
        with Console(stderr=True).status(f"examining {file.name}"):
            examination = examine(file)
        examinations.append(examination.of(wanted) if wanted else examination)
    if as_json:
        click.echo(json.dumps([each.to_dict() for each in examinations], indent=2, ensure_ascii=False))
    else:
        for examination in examinations:
            Console().print(examination_text(examination))
    return int(any(examination.failed for examination in examinations))
