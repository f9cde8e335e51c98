from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from converters.worker import run_worker
from edge_deeplab.errors import ConversionError


def run(folder: Path, code: str, *arguments: str, timeout: float = 60) -> None:
    (folder / "job.py").write_text(code)  # `python -m` finds modules in its working directory
    run_worker("job", arguments, folder=folder, environment={"COLOUR": "blue"}, timeout=timeout)


def kept_log(message: str) -> str:
    (path,) = re.findall(r"its log is (\S+)", message)
    text = Path(path).read_text()
    Path(path).unlink()
    return text


def test_a_worker_has_its_arguments_its_environment_and_its_folder(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, "import os, sys; print('talk'); open(sys.argv[1], 'w').write(os.environ['COLOUR'])", "out.txt")
    assert (tmp_path / "out.txt").read_text() == "blue"
    assert capfd.readouterr() == ("", "")


def test_a_failure_quotes_the_last_lines_and_keeps_the_whole_log(tmp_path: Path) -> None:
    code = """
import sys
print("KeyError: 'no such operator'")
for i in range(99):
    print("INFO: line", i)
print("W0000 00:00 absl")
sys.exit(3)
"""
    with pytest.raises(ConversionError, match=r"job failed with status 3: KeyError: 'no such operator'; ") as caught:
        run(tmp_path, code)
    assert "INFO" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "INFO: line 42" in kept_log(str(caught.value))


def test_a_crash_of_native_code_is_a_sentence_too(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="job was killed by signal 11: it said nothing") as caught:
        run(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    kept_log(str(caught.value))


def test_a_worker_that_hangs_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="job was stopped after 1 seconds") as caught:
        run(tmp_path, "import time; print('before', flush=True); time.sleep(600)", timeout=1)
    kept_log(str(caught.value))


def test_interrupting_the_caller_kills_the_worker(tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(
        "import os, pathlib, time\npathlib.Path('pid').write_text(str(os.getpid()))\ntime.sleep(600)"
    )
    caller = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import pathlib, sys; from converters.worker import run_worker\n"
            "run_worker('job', [], folder=pathlib.Path(sys.argv[1]), environment={}, timeout=600)",
            str(tmp_path),
        ],
        stderr=subprocess.DEVNULL,
    )
    pid = tmp_path / "pid"
    wait_until(lambda: pid.exists() and pid.read_text() != "")
    worker = int(pid.read_text())
    caller.send_signal(signal.SIGINT)
    assert caller.wait(60) != 0
    wait_until(lambda: not alive(worker))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
