"""The progress bar of the commands that go through pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import TaskID


@contextmanager
def image_progress(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show a bar on standard error while pictures are done; it goes away at the end.

    Args:
        what: the words before the bar.

    Yields:
        the function to call with (pictures done, pictures in all, None: unknown).
    """
    with stage_progress() as progress:
        yield lambda done, total: progress(what, done, total)


@contextmanager
def stage_progress() -> Iterator[Callable[[str, int, int | None], None]]:
    """Show a bar on standard error for work in several stages, one after the other; it goes away at the end.

    Yields:
        the function to call with (words before the bar, steps done, steps in all, None: unknown).
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    # Disabled where nobody watches: rich would leave an empty line in a log.
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        stages: dict[str, TaskID] = {}

        def progress(what: str, done: int, total: int | None) -> None:
            if what not in stages:
                for task in stages.values():
                    bar.update(task, visible=False)
                stages[what] = bar.add_task(what, total=total)
            bar.update(stages[what], completed=done, total=total, visible=True)

        yield progress
