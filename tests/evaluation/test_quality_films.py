"""The made films of portrait_quality: their alpha is the person and nothing else, and errors are found."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import cv2
import numpy as np
import pytest

from edge_deeplab.data.bundled import bundled_portrait
from edge_deeplab.evaluation.metrics import iou
from edge_deeplab.runtime.opening import open_session
from edge_deeplab.segmenter import Segmenter
from edge_deeplab.weights import shipped_model

Script = Callable[[str, str], ModuleType]


@pytest.fixture
def films(script: Script) -> ModuleType:
    return script("benchmarks", "quality_films")


class TestThePerson:
    def test_is_what_the_shipped_network_finds(self, films: ModuleType) -> None:
        alpha = films.person_alpha()
        with open_session(shipped_model(), threads=1) as session:
            found = Segmenter(session).coarse(bundled_portrait())
        rows, columns = alpha.shape
        found = cv2.resize(found, (512, 512), interpolation=cv2.INTER_LINEAR)[:rows, :columns]
        assert iou(found > 0.5, alpha > 0.5) > 0.95

    def test_is_one_piece_without_the_flag_beside_it(self, films: ModuleType) -> None:
        alpha = films.person_alpha()
        sizes = cv2.connectedComponentsWithStats((alpha > 0.02).astype(np.uint8))[2][1:, cv2.CC_STAT_AREA]
        assert sizes.sum() - sizes.max() < 5  # two stray pixels
        red, green, blue = bundled_portrait()[: alpha.shape[0], :100].transpose(2, 0, 1).astype(np.int64)
        flag = (red > 90) & (green < 30) & (blue < 60)  # the suit is orange: more green
        assert flag.sum() > 3000
        assert alpha[:, :100][flag].mean() < 0.01

    def test_stands_on_the_lower_border_of_a_frame(self, films: ModuleType) -> None:
        cutout = films.person(180, 320)
        assert cutout.colour.shape == (180, 320, 3)
        assert cutout.alpha[-1].max() == 1.0
        assert cutout.alpha[: round(0.15 * 180)].max() == 0.0
        across = np.flatnonzero(cutout.alpha.max(axis=0) > 0.5)
        assert across[0] > 60
        assert across[-1] < 260


class TestTheMeasures:
    """Of what a network would be that gives the truth, and of one that is some pixels off."""

    def test_the_truth_is_nearly_without_error_and_a_mask_beside_it_is_not(
        self, script: Script, films: ModuleType
    ) -> None:
        quality = script("benchmarks", "portrait_quality")
        ours = script("benchmarks", "quality_methods").methods()["ours"]
        scenes = films.play(films.person(films.HEIGHT, films.WIDTH), films.shots(films.WIDTH)["talks"][:12], seed=0)
        small = [cv2.resize(scene.alpha, (256, 256), interpolation=cv2.INTER_AREA) for scene in scenes]
        true = quality.one_film(ours, "talks", scenes, small)
        beside = quality.one_film(ours, "talks", scenes, [np.roll(mask, 4, axis=1) for mask in small])
        assert true["edge MSE"] < 0.02
        assert true["halo"] > 36
        assert true["MAE, talks"] < 0.003
        assert beside["edge MSE"] > 3 * true["edge MSE"]
        assert beside["halo"] < true["halo"] - 3
        assert beside["MAE, talks"] > 3 * true["MAE, talks"]
