from __future__ import annotations

import os

import pytest

from edge_deeplab.runtime.native_log import without_info_lines, without_standard_error


def test_only_info_lines_are_taken_out(capfd: pytest.CaptureFixture[str]) -> None:
    with without_info_lines():
        os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\nERROR: node 3 failed\n")
        os.write(2, b"no newline at the end")
    os.write(2, b"\nINFO: afterwards\n")
    assert capfd.readouterr().err == "ERROR: node 3 failed\nno newline at the end\nINFO: afterwards\n"


def test_nothing_at_all_is_said_on_request(capfd: pytest.CaptureFixture[str]) -> None:
    with without_standard_error():
        os.write(2, b"WARNING: this version has not been tested\n")
    os.write(2, b"afterwards\n")
    assert capfd.readouterr().err == "afterwards\n"


def test_what_was_said_before_an_error_is_kept(capfd: pytest.CaptureFixture[str]) -> None:
    @without_info_lines()
    def fail() -> None:
        os.write(2, b"ERROR: out of range\n")
        raise ValueError("failed")

    with pytest.raises(ValueError, match="failed"):
        fail()
    assert capfd.readouterr().err == "ERROR: out of range\n"
