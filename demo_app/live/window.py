"""The window: OpenCV's own, with a slider, keys and the mouse."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2

from demo_app.live.controls import F_NUMBERS, Command, Controls, nearest_stop, place_divider, press
from demo_app.live.overlay import Overlay, Status
from demo_app.live.screen import require_screen
from demo_app.live.view import View
from demo_app.matte import Alpha
from edge_deeplab.errors import DisplayError
from edge_deeplab.image import Rgb

_SLIDER = "blur"
_LARGEST = (1280, 720)

# What waitKeyEx gives for keys that are no characters: X11 keysyms, Windows and macOS in turn.
_NAMED_KEYS = {
    27: "escape",
    **dict.fromkeys((65361, 2424832, 63234), "left"),
    **dict.fromkeys((65362, 2490368, 63232), "up"),
    **dict.fromkeys((65363, 2555904, 63235), "right"),
    **dict.fromkeys((65364, 2621440, 63233), "down"),
    **dict.fromkeys((65451,), "+"),  # of the number block
    **dict.fromkeys((65453,), "-"),
}


class Window:
    """A :class:`~demo_app.live.display.Display` on the screen; it opens with the first frame, at the frame's size.

    Args:
        title: of the window.

    Raises:
        DisplayError: from ``__enter__``: there is no screen, or this OpenCV has no windows.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._view, self._overlay = View(), Overlay()
        self._open = self._fitted = False
        self._full_screen = False
        self._size = (1, 1)
        self._keys: list[str] = []
        self._pumped = False  # since the last poll
        self._slider: int | None = None
        self._slid_to: int | None = None
        self._width = 1
        self._dragged_to: float | None = None

    def show(self, frame: Rgb, portrait: Rgb, alpha: Alpha, controls: Controls, status: Status) -> None:
        """As :class:`~demo_app.live.display.Display` says."""
        picture = self._view(frame, portrait, alpha, controls)
        self._overlay(picture, controls, status)
        if not self._open:
            self._make(frame.shape[1], frame.shape[0])
        self._follow(controls)
        self._width = frame.shape[1]
        cv2.imshow(self._title, picture)
        self._pump()
        if not self._fitted:
            self._fit()

    def poll(self, controls: Controls) -> tuple[Controls, list[Command]]:
        """As :class:`~demo_app.live.display.Display` says; closing the window asks to quit."""
        commands = []
        if self._open:
            if not self._pumped:
                self._pump()
            self._pumped = False
            if cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1:
                commands.append(Command.QUIT)
        for key in self._keys:
            controls, command = press(controls, key)
            if command is not None:
                commands.append(command)
        self._keys.clear()
        if self._slid_to is not None:
            controls, self._slid_to = replace(controls, f_number=F_NUMBERS[self._slid_to]), None
        if self._dragged_to is not None:
            controls, self._dragged_to = place_divider(controls, self._dragged_to), None
        return controls, commands

    def __enter__(self) -> Self:
        require_screen()
        _quieten_qt()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._open:
            self._open = False
            cv2.destroyAllWindows()
            cv2.waitKey(1)  # which lets the window system do it

    def _make(self, width: int, height: int) -> None:
        flags = cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL
        try:
            cv2.namedWindow(self._title, flags)
        except cv2.error as error:
            raise DisplayError(
                "this OpenCV cannot open windows: pip install opencv-python in place of opencv-python-headless, "
                "or use --no-window"
            ) from error
        self._open = True
        share = min(1.0, _LARGEST[0] / width, _LARGEST[1] / height)
        self._size = (round(width * share), round(height * share))
        cv2.resizeWindow(self._title, *self._size)
        cv2.createTrackbar(_SLIDER, self._title, 0, len(F_NUMBERS) - 1, self._on_slider)
        cv2.setMouseCallback(self._title, self._on_mouse)

    def _fit(self) -> None:
        """Once it is shown: give the window the height that the slider takes from the picture."""
        self._fitted = True
        width, height = self._size
        missing = height - cv2.getWindowImageRect(self._title)[3]
        if 0 < missing < height:
            cv2.resizeWindow(self._title, width, height + missing)

    def _follow(self, controls: Controls) -> None:
        """Bring the slider and the window to what the keys have set."""
        position = len(F_NUMBERS) - 1 - nearest_stop(controls.f_number)
        if position != self._slider:
            self._slider = position
            cv2.setTrackbarPos(_SLIDER, self._title, position)
        if controls.full_screen != self._full_screen:
            self._full_screen = controls.full_screen
            state = cv2.WINDOW_FULLSCREEN if controls.full_screen else cv2.WINDOW_NORMAL
            cv2.setWindowProperty(self._title, cv2.WND_PROP_FULLSCREEN, state)

    def _pump(self) -> None:
        """Let the window system draw, and note what the person does. It waits for a millisecond or so."""
        self._pumped = True
        code = cv2.waitKeyEx(1)
        if code in _NAMED_KEYS:
            self._keys.append(_NAMED_KEYS[code])
        elif 32 <= code & 0xFFFF < 127:
            self._keys.append(chr(code & 0xFFFF))

    def _on_slider(self, position: int) -> None:
        if position != self._slider:  # not by our own hand
            self._slider = position
            self._slid_to = len(F_NUMBERS) - 1 - position

    def _on_mouse(self, event: int, x: int, y: int, flags: int, parameter: object) -> None:
        if flags & cv2.EVENT_FLAG_LBUTTON:
            self._dragged_to = x / self._width


def _quieten_qt() -> None:
    """Give Qt the folder of fonts that the wheel does not bring, or it complains of it at each start."""
    fonts = Path("/usr/share/fonts")
    if fonts.is_dir():
        os.environ.setdefault("QT_QPA_FONTDIR", str(fonts))
