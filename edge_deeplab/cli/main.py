"""``edge-deeplab``: finds the command's module, and turns every error of ours into one line."""

from __future__ import annotations

import importlib
import sys

import click

from edge_deeplab import __version__
from edge_deeplab.errors import EdgeDeeplabError

# Command to the sentence of `--help`, in the order of the trip. The module has the command's name, and is imported
# only when the command runs, so that --help loads nothing heavy.
COMMANDS = {
    "train": "Train a network on photos with masks.",
    "evaluate": "Measure a checkpoint or a converted file on photos with masks.",
    "convert": "Convert a checkpoint to ONNX or TFLite, and prove parity.",
    "parity": "Run the same images through several model files and compare.",
    "portrait": "Blur the background of a photo, a folder, a video or a camera.",
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"edge_deeplab.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="edge-deeplab")
def cli() -> None:
    """Person segmentation from training to the phone."""


def main() -> None:
    """Run the command line; an error of ours is one line on standard error and exit status 1."""
    try:
        cli(prog_name="edge-deeplab")
    except EdgeDeeplabError as error:
        click.echo(f"edge-deeplab: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
