"""A camera for other programs."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

from demo_app.frame import Frame
from demo_app.steady_size import check_size
from edge_deeplab.errors import OutputError
from edge_deeplab.extras import require_extra

if TYPE_CHECKING:
    import pyvirtualcam

_CURE_ON_LINUX = "load the kernel module v4l2loopback (sudo modprobe v4l2loopback exclusive_caps=1)"
_CURE_ELSEWHERE = "install OBS Studio, and start and stop its virtual camera once"


class VirtualCameraSink:
    """A camera that video calls can choose: v4l2loopback on Linux, the one of OBS on macOS and Windows.

    It is opened with the first frame, whose size it takes. Frames are sent when they come, not at ``fps``.

    Args:
        fps: frames a second that it announces.
        device: ``/dev/video7``, or the camera's name; None: the first that is free.

    Raises:
        MissingExtraError: pyvirtualcam is not installed.
        OutputError: from the first ``write``: there is no such device, or another program writes to it.
        SourceError: from ``write``: a frame of another size.
    """

    def __init__(self, fps: float, device: str | None = None) -> None:
        require_extra("virtual-camera", "a virtual camera", "pyvirtualcam")
        self._fps = fps
        self._device = device
        self._camera: pyvirtualcam.Camera | None = None

    def write(self, frame: Frame) -> None:
        if self._camera is None:
            self._camera = self._open(width=frame.rgb.shape[1], height=frame.rgb.shape[0])
        check_size(frame, self._camera.width, self._camera.height)
        self._camera.send(frame.rgb)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._camera is not None:
            self._camera.close()

    def _open(self, width: int, height: int) -> pyvirtualcam.Camera:
        import pyvirtualcam

        try:
            return pyvirtualcam.Camera(width, height, self._fps, device=self._device)
        except RuntimeError as error:
            which = "no virtual camera" if self._device is None else f"no free virtual camera {self._device}"
            cure = _CURE_ON_LINUX if sys.platform == "linux" else _CURE_ELSEWHERE
            raise OutputError(f"there is {which} for frames of {width}x{height}: {cure}") from error
