"""The stages of the live pipeline, timed with one model or several on the same frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_deeplab.evaluation.latency.stages import StageLatency
    from edge_deeplab.runtime.foreign.adaptation import Overrides

HEIGHT, WIDTH = 720, 1280


def live_stages(
    models: Sequence[tuple[str, Path]],
    overrides: Overrides,
    *,
    against: str | None,
    threads: int,
    warm_up: int,
    runs: int,
    seed: int,
) -> list[StageLatency]:
    """Take the same film through the pipeline of each model, in both qualities and in turns.

    The film is the demo's made scene, one frame a round. All runs in this process, on one thread but for the network.

    Args:
        models: (name, file), names all different.
        overrides: what is known of those from elsewhere.
        against: name of the model whose processor time all are compared with; None: no comparison.
        threads: of the networks.
        warm_up: frames that do not count.
        runs: frames that count.
        seed: of the order within a round.

    Returns:
        For each quality all models, in the order in which they were given.

    Raises:
        ModelFileError: a file cannot be opened, or knows no person.
    """
    from demo_app.live.garbage import settled_heap
    from demo_app.live.governor import Quality
    from demo_app.live.stages import StagedPortrait
    from demo_app.sources.scene import SceneSource
    from edge_deeplab.cli.progress import image_progress
    from edge_deeplab.evaluation.latency.stages import stage_latency, time_stages
    from edge_deeplab.runtime.opening import from_elsewhere, open_any_session

    with ExitStack() as stack:
        stack.enter_context(_one_opencv_thread())
        ways: dict[tuple[Quality, str], StagedPortrait] = {}
        for quality in Quality:
            for name, path in models:
                # Opened for each way: a session's buffers are its own.
                told = overrides if from_elsewhere(path) else None
                session = stack.enter_context(open_any_session(path, threads=threads, overrides=told))
                ways[quality, name] = StagedPortrait(session, HEIGHT, WIDTH, quality)
        progress = stack.enter_context(image_progress("live pipeline"))
        stack.enter_context(settled_heap())
        times = time_stages(
            list(ways.values()),
            (frame.rgb for frame in SceneSource(WIDTH, HEIGHT)),
            rounds=runs,
            warm_up=warm_up,
            seed=seed,
            progress=progress,
        )
    of_way = dict(zip(ways, times, strict=True))
    return [
        stage_latency(name, quality.value, mine, of_way[quality, against] if against not in (None, name) else None)
        for (quality, name), mine in of_way.items()
    ]


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    """As in the demo, where each thread has a core's worth of work."""
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
