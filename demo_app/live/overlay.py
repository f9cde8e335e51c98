"""Help, statistics, the recording sign and short notices, laid over what the window shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from demo_app.live.controls import HELP, Controls
from demo_app.live.panel import Panel, line_panel, table_panel, text_size
from demo_app.live.view import Bgr


@dataclass(frozen=True)
class Status:
    """What there is to say beside the picture.

    Attributes:
        statistics: (name, text) for the panel of statistics; shown when the controls ask for it.
        notice: a short sentence that goes away by itself; empty for none.
        recorded_seconds: how long the recording is so far; None: there is none.
    """

    statistics: Sequence[tuple[str, str]] = ()
    notice: str = ""
    recorded_seconds: float | None = None


class Overlay:
    """Lays panels over pictures, and sets the type of each again only when its text changes."""

    def __init__(self) -> None:
        self._set: dict[str, tuple[object, Panel]] = {}

    def __call__(self, picture: Bgr, controls: Controls, status: Status) -> None:
        """Draw on a picture, BGR, uint8, HxWx3, in place."""
        size = text_size(len(picture))
        margin = size // 2
        if controls.statistics:
            rows = tuple(status.statistics)
            panel = self._panel("statistics", (rows, size), lambda: table_panel("", rows, size))
            panel.lay_over(picture, margin=margin)
        if controls.help:
            panel = self._panel("help", size, lambda: table_panel("Keys", HELP, size))
            panel.lay_over(picture, bottom=True, margin=margin)
        if status.recorded_seconds is not None:
            minutes, seconds = divmod(int(status.recorded_seconds), 60)
            text = f"REC {minutes}:{seconds:02}"
            panel = self._panel("recording", (text, size), lambda: line_panel(text, size, red_dot=True))
            panel.lay_over(picture, right=True, margin=margin)
        if status.notice:
            notice = status.notice
            panel = self._panel("notice", (notice, size), lambda: line_panel(notice, size))
            panel.lay_over(picture, right=True, bottom=True, margin=margin)

    def _panel(self, name: str, text: object, make: Callable[[], Panel]) -> Panel:
        found = self._set.get(name)
        if found is None or found[0] != text:
            found = self._set[name] = (text, make())
        return found[1]
