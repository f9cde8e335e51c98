from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from edge_deeplab.evaluation.tolerances import TOLERANCES, Tolerance, markdown
from edge_deeplab.spec import Target

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/evaluation.md"


@pytest.mark.parametrize("target", Target.all(), ids=str)
def test_every_target_has_a_row_with_a_reason_for_every_number(target: Target) -> None:
    tolerance = TOLERANCES[target]
    for field in fields(Tolerance):
        assert len(getattr(tolerance, field.name).reason.split()) >= 5


@pytest.mark.parametrize(("target", "bound"), [("onnx", 1e-4), ("tflite-float32", 1e-4), ("tflite-float16", 1e-2)])
def test_float_files_are_held_to_what_was_promised(target: str, bound: float) -> None:
    tolerance = TOLERANCES[Target.parse(target)]
    assert tolerance.max_error.bound == bound
    assert tolerance.mask_agreement.bound == 0.999


def test_no_quantized_file_may_lose_more_than_half_a_point() -> None:
    for tolerance in TOLERANCES.values():
        assert tolerance.iou_drop.bound is not None
        assert tolerance.iou_drop.bound <= 0.005


def test_the_document_shows_this_table() -> None:
    text = DOCUMENT.read_text()
    shown = text.partition("<!-- tolerances -->\n")[2].partition("<!-- end of tolerances -->")[0]
    assert shown == markdown(), "put what edge_deeplab.evaluation.tolerances.markdown() gives into docs/evaluation.md"
