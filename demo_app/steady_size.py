"""A film has one size from its first frame to its last."""

from __future__ import annotations

from demo_app.frame import Frame
from edge_deeplab.errors import SourceError


def check_size(frame: Frame, width: int, height: int) -> None:
    """See that a frame has the size of those before it: encoders leave others out without a word, or stretch them.

    Raises:
        SourceError: it has not.
    """
    rows, columns = frame.rgb.shape[:2]
    if (columns, rows) != (width, height):
        raise SourceError(
            f"{frame.name} changes its size from {width}x{height} to {columns}x{rows} in the middle: "
            "what was written is kept; cut it there"
        )
