"""How fast the demo runs: over the last frames, in memory that does not grow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_LONG, _SHORT = 4096, 120


@dataclass(frozen=True)
class Latency:
    """From capture to display, in milliseconds: its median, and what 95 of 100 frames stay under."""

    p50: float
    p95: float


class Statistics:
    """Notes every frame that was shown.

    Attributes:
        shown: frames so far.
    """

    def __init__(self) -> None:
        self.shown = 0
        self._latency = np.zeros(_LONG)
        self._shown_at = np.zeros(_LONG)
        self._stages: dict[str, float] = {}

    def note(self, *, captured_at: float, shown_at: float) -> None:
        """One frame: when it was captured and when it was shown, in seconds of one clock."""
        slot = self.shown % _LONG
        self._latency[slot] = shown_at - captured_at
        self._shown_at[slot] = shown_at
        self.shown += 1

    def note_stages(self, **seconds: float) -> None:
        """What stages cost for this frame; each is smoothed over about 20 frames."""
        for name, value in seconds.items():
            before = self._stages.setdefault(name, value)
            self._stages[name] = before + (value - before) / 20.0

    @property
    def stage_ms(self) -> dict[str, float]:
        """Milliseconds of each stage that was noted, smoothed."""
        return {name: 1000.0 * value for name, value in self._stages.items()}

    def fps(self) -> float:
        """Frames a second over the last 120 that were shown."""
        count = min(self.shown, _SHORT)
        if count < 2:
            return 0.0
        first, last = (self._shown_at[index % _LONG] for index in (self.shown - count, self.shown - 1))
        return float((count - 1) / max(last - first, 1e-9))

    def latency(self, last: int = _SHORT) -> Latency:
        """Over the last frames: 120 unless told, at most 4,096. Zeros where none was shown."""
        count = min(self.shown, last, _LONG)
        if count == 0:
            return Latency(0.0, 0.0)
        values = self._latency[np.arange(self.shown - count, self.shown) % _LONG]
        p50, p95 = np.percentile(values, (50, 95)) * 1000.0
        return Latency(float(p50), float(p95))

    def latency_of_all(self) -> Latency:
        """Over all frames, or the last 4,096 of them."""
        return self.latency(_LONG)
