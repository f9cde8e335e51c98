"""``edge-deeplab web``."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import click

from edge_deeplab.cli.model_path import model_option


@click.command()
@model_option
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write; it must not be there yet.")
@click.option("--serve", is_flag=True, help="Serve the site on this machine until Ctrl-C.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="For --serve; 0: any.")
def command(model: Path, out: Path | None, serve: bool, port: int) -> int:
    """Write the live portrait as a static web site, or serve it.

    Camera, photo or video become a portrait in the browser, by LiteRT.js in WebAssembly; no picture leaves the machine.
    npm fetches LiteRT.js once; the site itself asks nobody else for anything. A server that sends the headers
    Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp gives it threads.

    --serve without --out makes the site in a temporary folder. Exit status: 130 for Ctrl-C, 143 for SIGTERM.
    """
    import tempfile
    import time

    from demo_app.live.stopping import StopSignals
    from demo_app.web.server import serving
    from demo_app.web.site import write_site

    if out is None and not serve:
        raise click.UsageError("Give --out FOLDER, --serve, or both.")
    with ExitStack() as stack:
        folder = out or Path(stack.enter_context(tempfile.TemporaryDirectory())) / "site"
        write_site(model, folder)
        if out is not None:
            click.echo(f"{out} written")
        if not serve:
            return 0
        address = stack.enter_context(serving(folder, port))
        stop = stack.enter_context(StopSignals())
        click.echo(f"{address} until Ctrl-C")
        while stop.received is None:
            time.sleep(0.1)
    return 128 + stop.received
