"""What ends a film early and is no fault of the film."""

from __future__ import annotations

from edge_deeplab.errors import SourceError


def is_worth_keeping(frames: int, error: BaseException | None) -> bool:
    """Whether to keep a film of so many frames whose writing ended with this error, or with none.

    Ctrl-C and a source that broke do it no harm. After any other error nobody knows what is in it.
    """
    return frames > 0 and (error is None or isinstance(error, KeyboardInterrupt | SourceError))
