"""docs/clients.md shows what was measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_tables_are_those_of_the_measurement() -> None:
    script = ROOT / "docs" / "update_clients.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_client_disagrees() -> None:
    """What the issue asks for: at least 99 % of the pixels on real photos, in every mode and for every file."""
    found = json.loads((ROOT / "benchmarks" / "clients.json").read_text())
    assert {row["mode"] for row in found["clients"]} >= {"IMAGE", "VIDEO", "LIVE_STREAM"}
    for row in found["clients"]:
        assert row["as_they_are"]["mean"] >= 0.99, row
        assert row["network_sized"]["worst"] >= 0.99, row
