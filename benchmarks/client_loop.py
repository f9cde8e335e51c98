"""What every client's script does around its client: SCRIPT MODEL MODE PICTURES MASKS

It needs numpy and nothing of this project, so that it runs in the clients' own environment. PICTURES is a .npz of RGB
uint8 HxWx3 arrays. MASKS is written: for each picture its masks, HxW, as NAME.KIND; "confidence" is the person's
probability in float32, "category" the class in uint8, where a client gives one. Standard output has the client's
version and the median milliseconds of a picture as JSON, or "refused" with what the client says.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

Masks = dict[str, np.ndarray]
"""Kind of mask to mask."""

Segment = Callable[[np.ndarray], Masks]
Opened = Callable[[Path, str], AbstractContextManager[Segment]]


def serve(
    version: str,
    modes: Sequence[str],
    opened: Opened,
    refusals: tuple[type[Exception], ...] = (ValueError, RuntimeError),
) -> None:
    """Read the arguments, segment every picture, write the masks.

    Args:
        version: the client's.
        modes: in which it can run.
        opened: gives what segments a picture, for a file and a mode.
        refusals: what the client raises on a file that it does not take.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("mode", choices=modes)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("masks", type=Path)
    arguments = parser.parse_args()
    masks: Masks = {}
    times = []
    try:
        with opened(arguments.model, arguments.mode) as segment, np.load(arguments.pictures) as pictures:
            for name in pictures.files:
                picture = pictures[name]
                start = time.perf_counter()
                found = segment(picture)
                times.append(1000.0 * (time.perf_counter() - start))
                masks |= {f"{name}.{kind}": mask for kind, mask in found.items()}
    except refusals as error:
        print(json.dumps({"version": version, "refused": " ".join(str(error).split())}))
        return
    np.savez(arguments.masks, **masks)
    print(json.dumps({"version": version, "milliseconds": statistics.median(times)}))
