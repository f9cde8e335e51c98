"""The README promises only what there is: its numbers are the card's, its commands and its code run."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from edge_deeplab.cli import main as entry
from edge_deeplab.files import sha256
from edge_deeplab.weights import FOLDER, shipped_card, shipped_names

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
PHOTO = ROOT / "edge_deeplab" / "data" / "bundled" / "eileen_collins.jpg"
COMMAND_LINES = re.findall(r"^edge-deeplab (.+?)(?:\s+#.*)?$", README, flags=re.MULTILINE)


def test_the_numbers_are_those_of_the_cards() -> None:
    script = ROOT / "docs" / "update_readme.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_cards_name_the_files_that_are_shipped() -> None:
    cards = {f"{name}.json": shipped_card(name) for name in shipped_names()}
    shipped = {
        path.name: sha256(path)
        for path in FOLDER.iterdir()
        if path.is_file() and path.suffix not in {".py", ".pyc"} and path.name not in cards
    }
    assert shipped == {file: value for card in cards.values() for file, value in card.files.items()}
    for card in cards.values():
        assert {path.partition(".")[0] for path in card.files} == {card.name}
        assert card.training_data
        assert all(data.terms for data in card.training_data)
        assert card.known_failures


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_its_command_lines_are_understood(line: str) -> None:
    name, *words = line.split()
    command = entry.cli.get_command(click.Context(entry.cli), name)
    assert command is not None
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("-")} <= known


def test_its_python_runs(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    shutil.copy(PHOTO, tmp_path / "photo.jpg")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "portrait.jpg").stat().st_size > 10_000
