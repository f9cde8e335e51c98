"""benchmarks/disturbed.py: every disturbance on a split that models are chosen by."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from edge_deeplab.data.opening import open_dataset
from edge_deeplab.data.subset import Subset
from edge_deeplab.evaluation.disturbances import DISTURBANCES, DisturbedDataset
from edge_deeplab.evaluation.evaluate import evaluate
from edge_deeplab.runtime.opening import open_session
from edge_deeplab.weights import shipped_model


@pytest.fixture
def disturbed(script: Callable[[str, str], ModuleType]) -> ModuleType:
    return script("benchmarks", "disturbed")


def test_each_disturbance_has_the_row_that_evaluate_gives(
    disturbed: ModuleType, tested_persons: Path, small_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = [small_checkpoint, shipped_model("portrait-fast")]
    disturbed.main([str(tested_persons), *map(str, models), "--split", "test", "--every", "3"])
    lines = [line.strip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    photos = Subset(open_dataset(tested_persons, split="test"), (0, 3))
    expected = []
    for model in models:
        expected.append(f"{model.name}, 2 photos of test".split())
        with open_session(model) as session:
            for name, seen in [
                ("as it is", photos),
                *((each.name, DisturbedDataset(photos, each)) for each in DISTURBANCES),
            ]:
                total = evaluate(session, seen).total
                expected.append([*name.split(), f"{total.person_iou:.4f}", f"{total.boundary_f:.4f}"])
    rows = [line.split() for line in lines if not line.startswith(("disturbance", "─"))]
    assert rows == expected
    assert len({row[-2] for row in rows}) > len(DISTURBANCES)


def test_what_cannot_be_used_is_said(
    disturbed: ModuleType, tested_persons: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="there is no model file"):
        disturbed.main([str(tested_persons), "gone.tflite"])
    with pytest.raises(SystemExit):
        disturbed.main([str(tested_persons), "gone.tflite", "--every", "0"])
    assert "every Nth photo, from 1" in capsys.readouterr().err
