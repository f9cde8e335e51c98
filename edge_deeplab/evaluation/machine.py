"""Where and with what a result was measured: goes into every JSON beside it."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Sequence
from pathlib import Path

from edge_deeplab.runtime.versions import versions


def describe_machine(packages: Sequence[str] = ()) -> dict[str, object]:
    """The processor, the Python, the versions of edge-deeplab and of ``packages``, and the day (UTC).

    Names no host and no user. A package that is not installed is left out.
    """
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    installed = versions(*packages)
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "processor": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": installed.pop("python"),
        "packages": installed,
    }
