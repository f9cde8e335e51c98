"""``edge-deeplab``: finds the command's module, and turns every failure into one line and an exit status.

Exit status: 0 done, 1 refused or failed, 2 a usage error, 130 interrupted (128 + SIGINT, as shells count).
"""

from __future__ import annotations

import errno
import importlib
import os
import re
import sys
import traceback
from collections.abc import Sequence

import click

from edge_deeplab import __version__
from edge_deeplab.errors import EdgeDeeplabError, MissingExtraError

# Command to the sentence of `--help`, in the order of the trip. The module has the command's name (but where that is a
# word of Python), and is imported only when the command runs, so that --help loads nothing heavy.
COMMANDS = {
    "train": "Train a network on photos with masks.",
    "import": "Make a checkpoint of a DeepLab of Google's code or of torchvision.",
    "doubts": "Find where labels lack a part of a person, and leave that out of training.",
    "evaluate": "Measure a checkpoint or a converted file on photos with masks.",
    "quantize": "Prepare a checkpoint for int8, and write it with its ranges.",
    "convert": "Convert a checkpoint to TFLite, Core ML or ONNX, and prove parity.",
    "inspect": "Show what is inside a checkpoint or a model file: integers or floats, costs, ranges.",
    "doctor": "Say what the clients of a model file refuse, get wrong or run slowly, and what helps.",
    "sensitivity": "Show which layers of a checkpoint int8 hurts, and what to do about it.",
    "parity": "Run the same images through several model files and compare.",
    "benchmark": "Measure how long model files take, ours and anybody's, in turns.",
    "models": "List the models that come with edge-deeplab, with their scores.",
    "release": "Write a folder with every file of a checkpoint, proof and checksums, or refuse.",
    "bundle": "Write a folder that an app takes: files, source code, contract, golden pairs.",
    "portrait": "Blur or replace the background of photos and videos.",
    "demo": "Show a camera or a film as a live portrait, in a window.",
    "web": "Write the live portrait as a web page that runs in the browser alone.",
}
_MODULES = {"import": "import_model"}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"edge_deeplab.cli.{_MODULES.get(cmd_name, cmd_name)}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="edge-deeplab")
def cli() -> None:
    """Person segmentation from training to the phone.

    With EDGE_DEEPLAB_DEBUG=1 in the environment, a failure shows its traceback.
    """


def main() -> None:
    """The console script."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line; whatever goes wrong is one line on standard error.

    Args:
        arguments: the words behind ``edge-deeplab``.

    Returns:
        The exit status.
    """
    try:
        # Not click's standalone mode: it prints usage errors on four lines and gives an interruption status 1.
        status = cli.main(list(arguments), prog_name="edge-deeplab", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "edge-deeplab"
        return _fail(f"{error.format_message()} See: {command} --help", status=error.exit_code)
    except click.ClickException as error:
        return _fail(error.format_message(), status=error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted", status=130)
    except EdgeDeeplabError as error:
        return _fail(str(error))
    except ImportError as error:
        return _fail(_import_error(error))
    except OSError as error:
        return _fail(_system_error(error))
    except Exception as error:
        if _says_that_memory_is_full(error):
            return _fail("the memory is full: close other programs, or give it less at once or smaller pictures")
        return _fail(
            f"a bug of edge-deeplab, please report it with what EDGE_DEEPLAB_DEBUG=1 shows: "
            f"{type(error).__name__}: {' '.join(str(error).split())}"
        )
    return status if isinstance(status, int) else 0


def _fail(message: str, *, status: int = 1) -> int:
    if os.environ.get("EDGE_DEEPLAB_DEBUG") == "1":
        traceback.print_exc()
    click.echo(f"edge-deeplab: {message}", err=True)
    return status


def _import_error(error: ImportError) -> str:
    """The sentence with the extra that would bring the module, from the package's own metadata."""
    from importlib import metadata

    module = (error.name or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError):
        return f"{module or 'a package'} cannot be loaded ({' '.join(str(error).split())}): install it again"
    for requirement in metadata.requires("edge-deeplab") or []:  # such as: torch>=2.13; extra == "train"
        found = re.match(r"([\w.-]+).*extra == ['\"](\w+)['\"]", requirement)
        if found and found[1].lower().replace("-", "_") == module.lower():
            return str(MissingExtraError(module, found[2], "this command"))
    return f"the package {module!r} is not installed: install edge-deeplab again"


def _says_that_memory_is_full(error: Exception) -> bool:
    """Told by words, because the packages that have their own way of saying it are not to be imported for it."""
    words = ("OutOfMemoryError", "Insufficient memory", "can't allocate memory")  # torch on GPUs, OpenCV, torch on CPUs
    return isinstance(error, MemoryError) or any(word in f"{type(error).__name__}: {error}" for word in words)


def _system_error(error: OSError) -> str:
    place = error.filename2 or error.filename  # of a copy, the second is where it goes
    reason = error.strerror or str(error)
    if error.errno == errno.ENOSPC:
        reason = "the disk is full: free some space or write elsewhere (temporary files go to TMPDIR)"
    return f"{place}: {reason}" if place else reason


if __name__ == "__main__":
    main()
