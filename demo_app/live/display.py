"""Where the pictures are shown, and where the keys come from."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from demo_app.live.controls import Command, Controls
from demo_app.live.overlay import Status
from demo_app.matte import Alpha
from demo_app.nothing_to_close import NothingToClose
from edge_deeplab.image import Rgb


class Display(Protocol):
    """A context manager, used by the main thread alone: window systems ask for it."""

    def show(self, frame: Rgb, portrait: Rgb, alpha: Alpha, controls: Controls, status: Status) -> None:
        """Show one frame; it is on the screen when this returns. Its pixels may be overwritten afterwards."""
        ...

    def poll(self, controls: Controls) -> tuple[Controls, list[Command]]:
        """The controls after what the person did since the last call, and what is to be done once. Does not wait."""
        ...

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class NoDisplay(NothingToClose):
    """Nothing is shown, and nobody presses a key: for servers, measurements and virtual cameras."""

    def show(self, frame: Rgb, portrait: Rgb, alpha: Alpha, controls: Controls, status: Status) -> None:
        return None

    def poll(self, controls: Controls) -> tuple[Controls, list[Command]]:
        return controls, []
