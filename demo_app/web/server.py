"""A web server for trying the page on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from edge_deeplab.errors import PageError

HOST = "127.0.0.1"

ISOLATION = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
"""With these headers a page is isolated, and may share memory between threads
(https://web.dev/articles/coop-coep): any other server should send them too."""


class _Handler(SimpleHTTPRequestHandler):
    # The system's own table may lack them, and WebAssembly is compiled while it arrives only under its own type.
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {
        ".js": "text/javascript",
        ".wasm": "application/wasm",
        ".tflite": "application/octet-stream",
    }

    def __init__(self, *arguments: Any, sent: Mapping[str, str], **options: Any) -> None:
        self._sent = sent
        super().__init__(*arguments, **options)  # which answers the request

    def end_headers(self) -> None:
        for name, value in self._sent.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the page tells what is wrong."""


@contextmanager
def serving(folder: Path, port: int, *, headers: Mapping[str, str] = ISOLATION) -> Iterator[str]:
    """Serve a folder to this machine alone, in a thread, while the context lasts.

    Args:
        folder: the site.
        port: to listen on; 0: any that is free.
        headers: sent with every file, beside Cache-Control; an ordinary server has none of isolation.

    Yields:
        The address of the page.

    Raises:
        PageError: the port is taken.
    """
    sent = {"Cache-Control": "no-cache", **headers}
    try:
        server = ThreadingHTTPServer((HOST, port), partial(_Handler, directory=str(folder), sent=sent))
    except OSError as error:
        raise PageError(f"port {port} cannot be served ({error.strerror}): choose another with --port") from error
    with server:
        thread = Thread(target=server.serve_forever, name="web server")
        thread.start()
        try:
            yield f"http://localhost:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()
