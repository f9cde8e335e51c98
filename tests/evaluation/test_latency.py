"""Latency: statistics with known answers, clocks that tick as the test says, and real files in real processes."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_deeplab.artifact import load_artifact
from edge_deeplab.errors import ModelFileError
from edge_deeplab.evaluation.latency.clock import Clocks, Timing, timed
from edge_deeplab.evaluation.latency.contestant import Contestant
from edge_deeplab.evaluation.latency.report import distinct_names, measure_latency
from edge_deeplab.evaluation.latency.rounds import orders, take_turns
from edge_deeplab.evaluation.latency.statistics import Ratio, Spread, paired_ratio, spread
from edge_deeplab.weights import shipped_model


class TestStatistics:
    def test_a_spread_that_can_be_read_off(self) -> None:
        shuffled = np.random.default_rng(0).permutation(np.arange(1.0, 102.0))
        assert spread(shuffled) == Spread(median=51.0, p95=96.0, minimum=1.0)

    def test_a_ratio_is_taken_within_each_round(self) -> None:
        """The ratio of the medians would be 1.5, and that of the means 2.9."""
        assert paired_ratio(np.array([5.0, 15.0, 300.0]), np.array([1.0, 10.0, 100.0])).median == 3.0

    def test_what_slows_a_whole_round_down_changes_nothing(self) -> None:
        slower = np.random.default_rng(1).uniform(1, 30, 50)
        assert paired_ratio(3.0 * slower, 2.0 * slower) == Ratio(1.5, 1.5, 1.5)

    def test_the_interval_of_two_rounds_is_both_of_them(self) -> None:
        """Of the four ways to draw from two, one gives only the lower and one only the higher ratio."""
        assert paired_ratio(np.array([1.0, 3.0]), np.array([1.0, 1.0])) == Ratio(2.0, 1.0, 3.0)

    def test_the_interval_holds_the_true_median_as_often_as_it_says(self) -> None:
        random = np.random.default_rng(2)
        held = 0
        for _ in range(200):
            ratio = paired_ratio(random.lognormal(np.log(1.7), 0.2, 40), np.ones(40))
            held += ratio.low <= 1.7 <= ratio.high
        assert 0.90 * 200 <= held < 200

    def test_the_same_times_give_the_same_interval(self) -> None:
        times = np.random.default_rng(3).uniform(1, 2, (2, 30))
        assert paired_ratio(*times) == paired_ratio(*times)


class TestTurns:
    def test_every_round_has_everybody_once(self) -> None:
        drawn = orders(5, 200, seed=0)
        assert np.array_equal(np.sort(drawn, axis=1), np.tile(np.arange(5), (200, 1)))

    def test_nobody_always_follows_the_same_other(self) -> None:
        drawn = orders(4, 200, seed=0)
        followed = {tuple(pair) for row in drawn for pair in itertools.pairwise(row.tolist())}
        assert len(followed) == 4 * 3

    def test_the_seed_decides(self) -> None:
        assert np.array_equal(orders(4, 50, seed=7), orders(4, 50, seed=7))
        assert not np.array_equal(orders(4, 50, seed=7), orders(4, 50, seed=8))

    def test_everybody_s_times_stay_its_own_and_the_warm_up_does_not_count(self) -> None:
        calls: list[int] = []
        told: list[tuple[int, int]] = []

        def model(number: int) -> Timing:
            calls.append(number)
            return Timing(wall=100 * number + calls.count(number), processor=-number)

        timings = take_turns(
            [lambda: model(0), lambda: model(1), lambda: model(2)],
            warm_up=2,
            runs=3,
            seed=5,
            progress=lambda done, total: told.append((done, total)),
        )
        assert timings.wall.tolist() == [[3, 103, 203], [4, 104, 204], [5, 105, 205]]
        assert timings.processor.tolist() == [[0, -1, -2]] * 3
        assert calls == orders(3, 5, seed=5).ravel().tolist()
        assert told == [(n, 5) for n in range(1, 6)]

    def test_a_run_lies_between_two_looks_at_each_clock(self) -> None:
        wall, processor = [10.0], [3.0]

        def work() -> None:
            wall[0] += 1.25
            processor[0] += 0.5

        assert timed(work, Clocks(lambda: wall[0], lambda: processor[0])) == Timing(wall=1.25, processor=0.5)


def test_memory_that_was_freed_before_hides_nothing() -> None:
    """30 MB lie free in the heap when 20 MB are taken; one that takes 60 MB and frees them has its peak seen."""
    code = """
from edge_deeplab.evaluation.latency.memory import forget_peak, peak_memory
blocks = [bytes(1000) for _ in range(30_000)]
del blocks[:-1]
bare = forget_peak()
if bare is not None:
    blocks += [bytes(1000) for _ in range(20_000)]
    print(peak_memory() - bare)
    large = b"." * 60_000_000
    del large
    print(peak_memory() - bare)
    print(peak_memory() - forget_peak())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    if not done.stdout:
        pytest.skip("only Linux with glibc tells it")
    small, large, again = map(int, done.stdout.split())
    assert 19e6 < small < 30e6
    assert 78e6 < large < 90e6
    assert again > 55e6


@pytest.fixture
def somebodys(tmp_path: Path) -> Path:
    """The shipped file without its sidecar."""
    return Path(shutil.copy(shipped_model(), tmp_path / "somebody.tflite"))


@pytest.fixture(scope="module")
def shipped() -> Iterator[Contestant]:
    with Contestant(shipped_model(), name="shipped", threads=2) as contestant:
        yield contestant


class TestContestant:
    def test_it_runs_the_file_with_the_threads_that_were_asked_for(self, shipped: Contestant) -> None:
        spec = load_artifact(shipped_model()).spec
        assert (shipped.height, shipped.width, shipped.reasons) == (spec.height, spec.width, ())
        assert "XNNPACK, 2 threads" in shipped.runtime
        timing = shipped.run()
        assert timing.wall > 0
        assert timing.processor > 0

    def test_its_memory_is_above_what_the_weights_take(self, shipped: Contestant) -> None:
        memory = shipped.memory()
        assert memory is None or shipped_model().stat().st_size < memory < 100e6

    def test_a_runtime_that_dies_is_a_sentence(self, somebodys: Path) -> None:
        before = set(multiprocessing.active_children())
        with Contestant(somebodys, name="a", threads=1) as contestant:
            assert contestant.reasons[0].startswith("takes RGB")
            (process,) = set(multiprocessing.active_children()) - before
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
            with pytest.raises(ModelFileError, match=r"somebody\.tflite cannot be run: .* died \(SIGKILL\)"):
                contestant.run()
        assert not set(multiprocessing.active_children()) - before

    def test_a_bug_keeps_its_traceback(self, somebodys: Path) -> None:
        nonsense: Any = "no overrides"
        with pytest.raises(RuntimeError, match=r"(?s)Traceback.*AttributeError"):
            Contestant(somebodys, name="a", threads=1, overrides=nonsense)


def test_two_files_in_turns(shipped: Contestant, somebodys: Path) -> None:
    with Contestant(somebodys, name="theirs", threads=1) as contestant:
        report = measure_latency([shipped, contestant], against=somebodys, threads=1, warm_up=1, runs=4, seed=0)
    ours, theirs = report.files
    assert (ours.name, theirs.name, report.against) == ("shipped", "theirs", "theirs")
    assert ours.sha256 == theirs.sha256
    assert ours.execution is not None
    assert ours.execution.delegation is not None
    assert ours.execution.delegation.partitions == 1
    for times in (ours.wall, ours.processor):
        assert len(times.milliseconds) == 4
        assert times.spread == spread(np.array(times.milliseconds))
        assert times.ratio is not None
        assert times.ratio.low <= times.ratio.median <= times.ratio.high
    assert ours.wall.ratio == paired_ratio(np.array(ours.wall.milliseconds), np.array(theirs.wall.milliseconds))
    assert (theirs.wall.ratio, theirs.processor.ratio) == (None, None)


def test_files_of_one_name_keep_their_folders() -> None:
    paths = [Path("a/model.onnx"), Path("b/model.onnx"), Path("b/other.onnx")]
    assert distinct_names(paths) == [str(paths[0]), str(paths[1]), "other.onnx"]
