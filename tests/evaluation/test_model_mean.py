"""benchmarks/model_mean.py: the mean of several models' masks, scored beside each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from edge_deeplab.checkpoint import load_checkpoint, save_checkpoint
from edge_deeplab.data.bundled import bundled_portrait
from edge_deeplab.errors import SpecError
from edge_deeplab.image import resize_area, resize_map
from edge_deeplab.runtime.opening import open_session
from edge_deeplab.weights import shipped_model


@pytest.fixture
def model_mean(script: Callable[[str, str], ModuleType]) -> ModuleType:
    return script("benchmarks", "model_mean")


def test_it_is_the_mean_of_what_they_say_on_the_pixels_of_the_largest(
    model_mean: ModuleType, small_checkpoint: Path
) -> None:
    with open_session(small_checkpoint) as small, open_session(shipped_model()) as large:
        pixels = resize_area(bundled_portrait(), large.height, large.width)
        with model_mean.MeanSession([small, large]) as both:
            found = both.run(pixels)
            assert (both.height, both.width, both.classes) == (large.height, large.width, ("person",))
        first, second = small.run(resize_area(pixels, small.height, small.width)), large.run(pixels)
    first = resize_map(first[:, :, 0], large.height, large.width)[:, :, None]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, (first + second) / 2, atol=1e-6)
    assert np.abs(first - second).max() > 0.05


def test_models_of_other_classes_have_no_mean(model_mean: ModuleType, small_checkpoint: Path, tmp_path: Path) -> None:
    known = load_checkpoint(small_checkpoint)
    cats = tmp_path / "cats.safetensors"
    save_checkpoint(cats, replace(known.spec, classes=("cat",)), known.weights)
    with (
        open_session(shipped_model()) as one,
        open_session(cats) as other,
        pytest.raises(SpecError, match="one model knows cat, and another person"),
    ):
        model_mean.MeanSession([one, other])


def test_each_and_the_mean_get_a_row(
    model_mean: ModuleType, tested_persons: Path, small_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model_mean.main([str(tested_persons), str(small_checkpoint), str(small_checkpoint), "--split", "test"])
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()][-3:]
    assert rows[-1][0] == "mean"
    assert rows[-1][1:] == rows[-2][1:]  # the mean of one and the same is that one
    with pytest.raises(SystemExit, match="there is no model file"):
        model_mean.main([str(tested_persons), "gone.tflite"])
