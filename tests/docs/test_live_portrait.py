"""docs/live-portrait.md shows what was measured, and its keys are those of the window."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click

from demo_app.live.controls import HELP
from edge_deeplab.cli import main as entry

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "live-portrait.md").read_text()


def test_the_tables_are_those_of_the_measurements() -> None:
    script = DOCS / "update_live_portrait.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_key_of_the_help_is_explained() -> None:
    (keys,) = re.findall(r"\| key \|.*?\n\n", PAGE, flags=re.DOTALL)
    explained = set(re.findall(r"`(\S+?)`", keys))
    assert {key for keys, _ in HELP for key in keys.split()} - {"?"} <= explained


def test_its_options_exist() -> None:
    commands = [entry.cli.get_command(click.Context(entry.cli), name) for name in ("demo", "portrait", "evaluate")]
    known = {option for command in commands if command for parameter in command.params for option in parameter.opts}
    of_scripts = {"--json", "--peer", "--film", "--sequence", "--picture", "--against", "--memory", "--data", "--video"}
    assert set(re.findall(r"--[a-z-]+[a-z]", PAGE)) - of_scripts <= known
