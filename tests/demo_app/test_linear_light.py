"""sRGB and linear light."""

from __future__ import annotations

import numpy as np
import pytest

from demo_app.linear_light import LINEAR_TO_SRGB, LINEAR_TOP, SRGB_TO_LINEAR, encode


def test_every_code_survives_the_round_trip() -> None:
    codes = np.arange(256, dtype=np.uint8)
    assert np.array_equal(encode(SRGB_TO_LINEAR[codes], np.empty(256, np.uint8)), codes)


# IEC 61966-2-1 by hand: 0.04045 is where the straight part ends; half the light of white is code 188.
@pytest.mark.parametrize(("code", "light"), [(0, 0.0), (10, 10 / 255 / 12.92), (255, 1.0), (188, 0.5029)])
def test_values_of_the_standard(code: int, light: float) -> None:
    assert SRGB_TO_LINEAR[code] / LINEAR_TOP == pytest.approx(light, abs=1e-4)


def test_half_the_light_of_white_is_code_188() -> None:
    assert LINEAR_TO_SRGB[LINEAR_TOP // 2] == 188
