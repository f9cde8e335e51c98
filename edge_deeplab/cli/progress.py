"""The progress bar of the commands that go through pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def image_progress(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show a bar on standard error while pictures are done; it goes away at the end.

    Args:
        what: the words before the bar.

    Yields:
        the function to call with (pictures done, pictures in all, None: unknown).
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    # Disabled where nobody watches: rich would leave an empty line in a log.
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
