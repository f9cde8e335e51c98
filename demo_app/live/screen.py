"""Whether there is a screen to open a window on, asked before Qt is: without one, it ends the process by abort()."""

from __future__ import annotations

import ctypes
import os
import sys

from edge_deeplab.errors import DisplayError

_INSTEAD = "run it on a desktop, or use --no-window"


def require_screen() -> None:
    """See that the X server that DISPLAY names lets us in; nothing to ask on macOS and Windows.

    OpenCV's wheels for Linux bring Qt with its X11 plugin only. The plugin and this function use the system's libxcb.

    Raises:
        DisplayError: there is none, or it refuses.
    """
    if not sys.platform.startswith("linux"):
        return
    display = os.environ.get("DISPLAY", "")
    if not display:
        raise DisplayError(f"there is no screen for the window, DISPLAY is not set: {_INSTEAD}")
    try:
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError as error:
        raise DisplayError(
            f"a window needs the library libxcb.so.1: install libxcb1, or use --no-window ({error})"
        ) from error
    xcb.xcb_connect.restype = ctypes.c_void_p
    xcb.xcb_connection_has_error.argtypes = xcb.xcb_disconnect.argtypes = [ctypes.c_void_p]
    connection = xcb.xcb_connect(None, None)
    refused = xcb.xcb_connection_has_error(connection)
    xcb.xcb_disconnect(connection)
    if refused:
        raise DisplayError(f"the screen DISPLAY={display} cannot be opened (no X server, or it refuses): {_INSTEAD}")
