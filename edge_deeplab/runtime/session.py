"""What every runtime offers: one image in, probabilities out."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray


class Session(Protocol):
    """An opened model. A context manager; created once, its buffers are reused.

    Attributes:
        height: rows of the network's input.
        width: columns of the network's input.
        classes: a name for each output channel.
        runtime: who executes it, with version ("LiteRT 2.1.0, XNNPACK, 2 threads").
    """

    @property
    def height(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def runtime(self) -> str: ...

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Run the network once.

        Args:
            pixels: RGB, uint8, exactly (height, width, 3), 0..255; the session converts them to what
                its file wants ([0, 1], int8, ...).

        Returns:
            float32, (rows, columns, classes), probabilities in [0, 1], at the network's own output size.
            The array is fresh: the caller may keep it.

        Raises:
            ImageError: pixels of another shape or type.
        """
        ...

    def close(self) -> None:
        """Free what the runtime holds. Calling it twice does nothing."""
        ...

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
