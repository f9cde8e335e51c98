"""The file of compare_models.py: written after each model, and gone on from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from comparison_measuring import Record, identity
from peer_list import Contestant, Peers

from edge_deeplab.errors import OutputError
from edge_deeplab.files import write_json


def measured_before(path: Path | None, conditions: Mapping[str, Any]) -> tuple[list[Record], dict[str, Any] | None]:
    """The records and the latencies of an earlier run.

    Raises:
        OutputError: the file is none of ours, or was measured under other conditions.
    """
    if path is None or not path.exists():
        return [], None
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
        found, models, latency = before["conditions"], before["models"], before["latency"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{path} is no earlier result that could be continued: give another --json") from error
    changed = [key for key in conditions if found.get(key) != conditions[key]]
    if changed:
        raise OutputError(f"{path} was measured with another {' and '.join(changed)}: give another --json")
    return models, latency


class Results:
    """The records, in the order of the models that are asked for, and behind them those that are not.

    Args:
        path: the file that is written after each change; None: none.
        conditions: see :func:`look_through`.
        peers: for those that are left out.
    """

    def __init__(self, path: Path | None, conditions: Mapping[str, Any], peers: Peers | None) -> None:
        self._path, self._conditions = path, conditions
        self._left_out = [{"name": one.name, "reason": one.reason} for one in peers.left_out] if peers else []
        self._records, self._latency = measured_before(path, conditions)

    def of(self, contestant: Contestant) -> Record | None:
        """What was measured of a model, under its present name."""
        wanted = identity(contestant)
        record = next((record for record in self._records if record["identity"] == wanted), None)
        return None if record is None else record | {"name": contestant.name}

    def keep(self, records: Sequence[Record]) -> None:
        """Put records first; those of the same names and models go."""
        names = {record["name"] for record in records}
        identities = [record["identity"] for record in records]
        others = [one for one in self._records if one["name"] not in names and one["identity"] not in identities]
        self._records = [*records, *others]
        self._write()

    def keep_latency(self, latency: dict[str, Any]) -> None:
        """In place of the latencies of before: times of different runs are not compared."""
        self._latency = latency
        self._write()

    def _write(self) -> None:
        if self._path is not None:
            write_json(
                self._path,
                {
                    "conditions": self._conditions,
                    "latency": self._latency,
                    "left_out": self._left_out,
                    "models": self._records,
                },
            )
