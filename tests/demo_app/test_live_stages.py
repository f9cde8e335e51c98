"""The pipeline cut into stages makes the portraits of the demo, so that what is timed is what is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pytest

from demo_app.aperture import DEFAULT_F_NUMBER
from demo_app.live.controls import Mode
from demo_app.live.effects import Effects
from demo_app.live.governor import Quality
from demo_app.live.inference import Matting
from demo_app.live.stages import StagedPortrait
from demo_app.sources.scene import SceneSource
from demo_app.temporal.smoothing import MatteSmoother
from edge_deeplab.runtime.opening import open_session
from edge_deeplab.segmenter import Segmenter
from edge_deeplab.weights import shipped_model

Result = TypeVar("Result")


@pytest.mark.parametrize("quality", Quality)
def test_the_stages_together_give_the_demo_s_portraits_to_the_bit(quality: Quality) -> None:
    names: list[str] = []

    def clock(stage: str, work: Callable[[], Result], /) -> Result:
        names.append(stage)
        return work()

    with open_session(shipped_model()) as one, open_session(shipped_model()) as other:
        staged = StagedPortrait(one, 360, 640, quality)
        segmenter = Segmenter(other)
        matting = Matting(segmenter.coarse, MatteSmoother(), lambda: 1, segmenter.shrunk)
        effect = Effects()(Mode.BLUR, DEFAULT_F_NUMBER, quality)
        for frame in SceneSource(640, 360, frames=4):
            alpha, _ = matting(frame.rgb)
            expected = effect.compose(frame.rgb, alpha)
            portrait = staged(frame.rgb, clock)
            assert np.array_equal(portrait, expected)
            assert not np.array_equal(portrait, frame.rgb)
    assert names == ["resize", "network", "smooth", "matte", "blur", "mix"] * 4
