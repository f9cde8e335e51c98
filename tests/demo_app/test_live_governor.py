"""The governor on made machines: steady, overloaded, relieved, noisy, and at the very edge."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo_app.live.governor import PLANS, Governor, Plan, Quality

BUDGET = 1 / 30
FULL, FAST, MASK, BETWEEN, READ = 0.008, 0.004, 0.012, 0.003, 0.002  # seconds on a machine of load 1


def play(load: Callable[[float], float], seconds: float, noise: Callable[[int], float] = lambda k: 1.0) -> list:
    """Plays frames on a machine that takes load(now) times as long; the plans as (time, plan), the first at 0."""
    governor, now, count = Governor(BUDGET), 0.0, 0
    plans = [(0.0, governor.plan)]
    while now < seconds:
        plan = governor.plan
        factor = load(now) * noise(count)
        by_network = count % plan.interval == 0
        matte = (MASK if by_network else BETWEEN) * factor
        show = (FULL if plan.quality is Quality.FULL else FAST) * factor
        governor.note(capture=READ * factor, matte=matte, by_network=by_network, show=show)
        now += max(BUDGET, matte, show)
        count += 1
        if governor.decide(now) != plan:
            plans.append((now, governor.plan))
    return plans


def test_a_machine_with_room_leaves_nothing_out() -> None:
    assert play(lambda now: 1.0, 30.0) == [(0.0, Plan(Quality.FULL, 1))]


def test_a_slow_machine_gets_a_cheaper_plan_within_two_seconds_and_keeps_it() -> None:
    plans = play(lambda now: 4.0, 60.0)
    assert len(plans) == 2
    assert plans[1][0] < 2.0
    assert plans[1][1] != PLANS[0]


def test_a_hopeless_machine_gets_the_cheapest_plan() -> None:
    assert play(lambda now: 30.0, 60.0)[-1][1] == PLANS[-1]


def test_a_machine_whose_load_goes_away_gets_everything_back() -> None:
    plans = play(lambda now: 5.0 if 10.0 < now < 25.0 else 1.0, 60.0)
    assert min(PLANS.index(plan) for at, plan in plans if 10.0 < at < 25.0) > 0
    assert plans[-1][1] == PLANS[0]
    assert plans[-1][0] < 40.0


def test_a_slow_network_costs_masks_and_not_the_picture() -> None:
    governor = Governor(BUDGET)
    for count in range(60):
        governor.note(capture=0.002, matte=0.045, by_network=True, show=0.008)
        governor.decide(count * 0.045)
        if governor.plan != PLANS[0]:
            break
    assert governor.plan.quality is Quality.FULL
    assert governor.plan.interval > 1


def test_a_slow_picture_costs_the_picture_and_not_the_masks() -> None:
    governor = Governor(BUDGET)
    for count in range(60):
        governor.note(capture=0.002, matte=0.010, by_network=True, show=0.045)
        governor.decide(count * 0.045)
        if governor.plan != PLANS[0]:
            break
    assert governor.plan == Plan(Quality.FAST, 1)


def test_threads_that_fit_side_by_side_are_no_overload() -> None:
    """Matte and picture together take longer than a frame, but on two cores neither waits for the other."""
    governor = Governor(BUDGET)
    for count in range(300):
        governor.note(capture=0.002, matte=0.030, by_network=True, show=0.028)
        governor.decide(count * BUDGET)
    assert governor.plan == PLANS[0]


def test_threads_that_fit_one_by_one_may_be_too_much_together() -> None:
    """On two cores these take 42.5 ms a frame, whatever each of them takes for itself."""
    governor = Governor(BUDGET)
    for count in range(300):
        governor.note(capture=0.025, matte=0.030, by_network=True, show=0.030)
        governor.decide(count * 0.0425)
    assert governor.plan != PLANS[0]


def test_as_long_as_the_frames_come_nothing_is_left_out() -> None:
    """The same times, but mostly spent waiting for a core that another thread has."""
    governor = Governor(BUDGET)
    for count in range(300):
        governor.note(capture=0.025, matte=0.030, by_network=True, show=0.030)
        governor.decide(count * BUDGET)
    assert governor.plan == PLANS[0]


@pytest.mark.parametrize("stage", [READ, 0.5 * BUDGET])
def test_dropped_frames_are_a_reason_and_a_slow_camera_is_none(stage: float) -> None:
    """Every second frame is missing: thrown away by a machine that looks idle, or never given by the camera."""
    plans = []
    for dropped in (1, 0):
        governor = Governor(BUDGET)
        for count in range(60):
            governor.note(capture=READ, matte=stage, by_network=True, show=stage, dropped=dropped)
            governor.decide(count * 2.0 * BUDGET)
        plans.append(governor.plan)
    assert plans[0] != PLANS[0]
    assert plans[1] == PLANS[0]


@pytest.mark.parametrize("seconds", [0.5, 60.0])
def test_a_stop_is_no_slow_machine(seconds: float) -> None:
    """A window that is dragged, a camera that is plugged in again."""
    governor = Governor(BUDGET)
    for count in range(300):
        stopped = count >= 150
        dropped = round(seconds / BUDGET) if count == 150 else 0
        governor.note(capture=READ, matte=MASK, by_network=True, show=FULL, dropped=dropped)
        assert governor.decide(count * BUDGET + stopped * seconds) == PLANS[0]


@settings(deadline=None, max_examples=40)
@given(
    loads=st.lists(st.floats(min_value=0.3, max_value=12.0), min_size=1, max_size=6),
    noise=st.lists(st.floats(min_value=0.7, max_value=1.4), min_size=1, max_size=50),
)
def test_no_plan_is_left_within_a_second_nor_bettered_within_three(loads: list[float], noise: list[float]) -> None:
    plans = play(lambda now: loads[int(now / 5.0) % len(loads)], 40.0, lambda k: noise[k % len(noise)])
    for (before, old), (after, new) in pairwise(plans):
        better = PLANS.index(new) < PLANS.index(old)
        assert after - before >= (3.0 if better else 1.0) - BUDGET * 12


@pytest.mark.parametrize("load", [1.5, 2.0, 2.5, 2.8, 3.0, 3.5, 4.0, 5.0])
def test_a_steady_load_leads_to_a_steady_plan(load: float) -> None:
    noise = [0.8, 1.2, 0.9, 1.1, 1.0, 1.3, 0.7]
    plans = play(lambda now: load, 120.0, lambda k: noise[k % len(noise)])
    assert len(plans) <= 4


def test_going_to_and_fro_becomes_rare() -> None:
    """The worst there is: a machine that looks idle as soon as little is asked of it, and is not."""
    governor, now, since, returns = Governor(BUDGET), 0.0, 0, []
    while now < 400.0:
        plan = governor.plan
        fast = 0.020 if since < 30 else 0.004
        show = 0.050 if plan.quality is Quality.FULL else fast
        governor.note(capture=0.001, matte=0.004, by_network=True, show=show)
        now, since = now + max(BUDGET, show), since + 1
        if governor.decide(now) != plan:
            since = 0
            if governor.plan == PLANS[0]:
                returns.append(now)
    gaps = [after - before for before, after in pairwise(returns)]
    assert len(gaps) >= 3
    assert gaps[0] < 10.0
    assert min(gaps[-2:]) > 50.0
