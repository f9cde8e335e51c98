"""How long ``edge-deeplab --help`` and each ``COMMAND --help`` take: python benchmarks/startup.py

The budget is 0.3 s (median of the runs). Writes startup.json beside this file; exit status 1 above the budget.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from edge_deeplab.cli.main import COMMANDS
from edge_deeplab.evaluation.machine import describe_machine

BUDGET_S = 0.3
RUNS = 11


def median_seconds(words: list[str]) -> float:
    """Wall time of the installed script, as a user waits for it."""
    script = str(Path(sys.executable).with_name("edge-deeplab"))
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run([script, *words], check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def main() -> int:
    """Measure, print, write; the exit status."""
    results = {}
    for words in (["--help"], *([command, "--help"] for command in COMMANDS)):
        results[" ".join(words)] = round(median_seconds(words), 3)
        print(f"{results[' '.join(words)]:.3f} s  edge-deeplab {' '.join(words)}")
    report = {"machine": describe_machine(["click", "rich"]), "runs": RUNS, "budget_s": BUDGET_S, "median_s": results}
    Path(__file__).with_suffix(".json").write_text(json.dumps(report, indent=2) + "\n")
    return int(max(results.values()) > BUDGET_S)


if __name__ == "__main__":
    sys.exit(main())
