"""What is left out on a slow machine, decided from the frames that are missing, without flapping.

Two things can be had cheaper: the picture (a Gaussian in place of lens discs, no refinement of the edge), and the matte
(the network on every second or third frame). As long as the frames come at their rate, nothing is left out, however
long the stages take: where all cores are busy, a stage's time is mostly waiting for the others. When they do not, the
governor predicts from the stages how long a frame would take under every plan, and takes the best one that fits the
budget. Latency needs no rule of its own: where no frame waits for a slower stage, it is the sum of the stages' times.

What it cannot measure under the plan in force it remembers from the last time, as a ratio, so that a machine that
became faster is believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

CORES = 2
"""Processors that are counted on where nobody says how many there are: what runs on three threads shares them."""


class Quality(Enum):
    """How the picture is made."""

    FULL = "full"
    FAST = "fast"


@dataclass(frozen=True)
class Plan:
    """What is done for a frame.

    Attributes:
        quality: of the picture.
        interval: the network runs on every n-th frame.
    """

    quality: Quality
    interval: int


PLANS = (
    Plan(Quality.FULL, 1),
    Plan(Quality.FULL, 2),
    Plan(Quality.FAST, 1),
    Plan(Quality.FULL, 3),
    Plan(Quality.FAST, 2),
    Plan(Quality.FAST, 3),
)
"""From the best to the cheapest."""

# A plan is left for a cheaper one when the time from one shown frame to the next is this many budgets, and frames are
# missing or the stages say why; for a better one when that would take less than this share of the budget.
_MISSED, _COMFORT = 1.1, 0.85

# This share of the frames is missing where they are dropped: the rate above, said as a share.
_DROPPED = 1.0 - 1.0 / _MISSED

# A gap counts for so many budgets at most: a camera that is plugged in again is no slow machine.
_LONGEST_GAP = 2.0

# Seconds for which a plan must be too much before it is left, and is kept before a better one. The latter doubles, up
# to the limit, whenever a better plan turned out to be too much: a machine at the edge would go to and fro for ever.
_DWELL_DOWN, _DWELL_UP, _DWELL_UP_LIMIT = 1.0, 3.0, 60.0

# Frames that the measures are smoothed over, and that must be seen under a plan before it is judged.
_MEMORY, _LEAST_FRAMES = 12.0, 8

# Until both have been measured: the picture costs this share in fast quality, and a frame between this share of a mask.
_FAST_SHARE, _BETWEEN_SHARE = 0.5, 0.25


class Governor:
    """Told what the frames cost, says what to do with the next ones. Reads no clock and starts no thread.

    Args:
        budget: seconds there are for a frame: 1 / frames a second.
        cores: processors that the stages share.

    Attributes:
        plan: the plan in force.
    """

    def __init__(self, budget: float, cores: int = CORES) -> None:
        self._budget = budget
        self._cores = cores
        self.plan = PLANS[0]
        self._capture: float | None = None
        self._mask: float | None = None
        self._between: float | None = None
        self._show: float | None = None
        self._fast_share = _FAST_SHARE
        self._full_before: float | None = None  # what the picture cost when full quality was given up
        self._gap: float | None = None
        self._dropped = 0.0
        self._decided_at: float | None = None
        self._frames = 0
        self._since: float | None = None
        self._too_much_since: float | None = None
        self._dwell_up = _DWELL_UP
        self._rose_at: float | None = None

    def note(self, *, capture: float, matte: float, by_network: bool, show: float, dropped: int = 0) -> None:
        """What one frame cost under the plan in force, in seconds.

        Args:
            capture: reading it, processor time: a camera's frame is mostly waited for.
            matte: its matte.
            by_network: the matte was made by the network, not between two.
            show: composing, drawing and showing it.
            dropped: frames between this one and the last one shown that nobody saw.
        """
        self._frames += 1
        self._capture = _smoothed(self._capture, capture)
        if by_network:
            self._mask = _smoothed(self._mask, matte)
        else:
            self._between = _smoothed(self._between, matte)
        self._show = _smoothed(self._show, show)
        self._dropped = _smoothed(self._dropped, dropped / (dropped + 1))

    def decide(self, now: float) -> Plan:
        """The plan from now on; asked after every frame.

        Args:
            now: seconds of a clock that only goes forward, when the frame was shown.
        """
        if self._decided_at is not None:
            self._gap = _smoothed(self._gap, min(now - self._decided_at, _LONGEST_GAP * self._budget))
        self._decided_at = now
        if self._since is None:
            self._since = now
        if self._frames < _LEAST_FRAMES or self._mask is None:
            return self.plan
        self._learn()
        index, period = PLANS.index(self.plan), self._period(self.plan)
        if not self._misses_frames(period):
            self._too_much_since = None
            if now - self._since >= self._dwell_up:
                better = (plan for plan in PLANS[:index] if self._period(plan) <= _COMFORT * self._budget)
                if (plan := next(better, None)) is not None:
                    self._change(plan, now)
        elif self._too_much_since is None:
            self._too_much_since = now
        elif now - self._too_much_since >= _DWELL_DOWN and index + 1 < len(PLANS):
            # Where the plan in force should have fitted, nothing that takes as long will.
            limit = min(self._budget, _COMFORT * period)
            self._change(next((plan for plan in PLANS[index + 1 :] if self._period(plan) <= limit), PLANS[-1]), now)
        return self.plan

    def _misses_frames(self, period: float) -> bool:
        """Whether fewer frames are shown than come. A camera that gives less than it said alone is no reason."""
        too_slow = self._gap is not None and self._gap > _MISSED * self._budget
        return too_slow and (period > self._budget or self._dropped > _DROPPED)

    def _change(self, plan: Plan, now: float) -> None:
        if PLANS.index(plan) < PLANS.index(self.plan):
            self._rose_at = now
        elif self._rose_at is not None and now - self._rose_at < 2.0 * self._dwell_up:
            self._dwell_up = min(2.0 * self._dwell_up, _DWELL_UP_LIMIT)
        else:
            self._dwell_up = _DWELL_UP
        if plan.quality is not self.plan.quality:
            self._full_before = self._show if plan.quality is Quality.FAST else None
            self._show = None
        self.plan, self._since, self._frames = plan, now, 0
        self._gap, self._dropped, self._too_much_since = None, 0.0, None

    def _learn(self) -> None:
        """Once after full quality was given up: what share of its cost the fast one has."""
        if self._full_before is not None and self._show is not None:
            self._fast_share = min(1.0, self._show / self._full_before)
            self._full_before = None

    def _period(self, plan: Plan) -> float:
        """Seconds from one frame to the next: its slowest thread, or all threads together on all cores."""
        mask, show, capture = self._mask or 0.0, self._show or 0.0, self._capture or 0.0
        between = _BETWEEN_SHARE * mask if self._between is None else min(self._between, mask)
        matte = (mask + (plan.interval - 1) * between) / plan.interval
        if plan.quality is not self.plan.quality:
            show = show * self._fast_share if plan.quality is Quality.FAST else show / self._fast_share
        return max(matte, show, (capture + matte + show) / self._cores)


def _smoothed(before: float | None, value: float) -> float:
    return value if before is None else before + (value - before) / _MEMORY
