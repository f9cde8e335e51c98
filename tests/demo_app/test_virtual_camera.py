"""Without a device and without the package: each is one sentence with its cure."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from demo_app.frame import Frame
from demo_app.sinks.virtual_camera import VirtualCameraSink
from edge_deeplab.errors import MissingExtraError, OutputError


def test_a_missing_device_is_one_sentence_with_the_cure(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyvirtualcam", reason="the extra virtual-camera is not installed")
    frame = Frame(np.zeros((64, 96, 3), np.uint8), "film")
    with VirtualCameraSink(25.0, "/dev/video-gone") as sink, pytest.raises(OutputError) as refused:
        sink.write(frame)
    line = str(refused.value)
    assert "no free virtual camera /dev/video-gone" in line
    assert ("modprobe v4l2loopback" if sys.platform == "linux" else "OBS Studio") in line
    assert "\n" not in line
    assert capfd.readouterr() == ("", "")


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)  # as Python marks a module that cannot be imported
    with pytest.raises(MissingExtraError, match=r"edge-deeplab\[virtual-camera\]"):
        VirtualCameraSink(25.0)
