"""What Android says of its Neural Networks API, whoever calls it."""

from __future__ import annotations

from edge_deeplab.doctor.finding import Client, Effect, Finding

RELEASES = {27: "8.1", 28: "9", 29: "10", 30: "11"}
"""API level to the release of Android, as far as NNAPI changed with it."""


def nnapi_deprecated(client: Client) -> Finding:
    """Android's NNAPI Migration Guide: it was "introduced in Android 8.1" "and deprecated in Android 15"."""
    return Finding(
        "deprecated",
        client,
        Effect.NOTE,
        (),
        "Android has deprecated NNAPI in Android 15",
        "run new apps on the CPU, the GPU, or an NPU by its maker's own library",
    )
