"""How far a converted file may be from its checkpoint: one table, with the reason for every number.

A float file is judged by its probabilities, pixel by pixel. A quantized one is not: one rounding that falls the other
way can move a pixel on the hair line by a third, and does no harm; it is judged by the mean error, by its masks, and
by the accuracy that it loses. A number here is changed because the reason beside it was wrong, never because a file
did not pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType

from edge_deeplab.spec import Format, Precision, Target


@dataclass(frozen=True)
class Limit:
    """A bound and why it is there. The bound None: the number is reported, and nothing is demanded of it."""

    bound: float | None
    reason: str


@dataclass(frozen=True)
class Tolerance:
    """What is demanded of an artifact against the reference, on the same images.

    Attributes:
        max_error: the greatest difference of a probability, over all pixels, classes and images; at most this.
        mean_error: the mean difference of the probabilities; at most this.
        mask_agreement: the fraction of pixels, at the network's size, on which the masks decide alike; at least this.
        reference_iou: IoU of the masks against the reference's, over the pixels of all images together; at least this.
        iou_drop: the person IoU lost against true masks (mean over images, at their own size), in the worst source of
            images; at most this. A gain always passes.
    """

    max_error: Limit
    mean_error: Limit
    mask_agreement: Limit
    reference_iou: Limit
    iou_drop: Limit


_FLOAT32 = Tolerance(
    max_error=Limit(
        1e-4,
        "the same arithmetic in another order: folding BatchNorm and summing differently moves a probability by about "
        "4e-5, and a half-pixel shift, a wrong padding or swapped channels move it by far more",
    ),
    mean_error=Limit(1e-5, "rounding has no direction, so that the mean stays far below the greatest error"),
    mask_agreement=Limit(0.999, "only pixels within 1e-4 of the threshold may change sides, and hardly any lies there"),
    reference_iou=Limit(0.999, "one pixel in a thousand of the person's, on the same reasoning"),
    iou_drop=Limit(0.001, "a tenth of a point is below what can be told apart between two annotators (0.96 IoU)"),
)

_FLOAT16 = Tolerance(
    max_error=Limit(
        1e-2,
        "weights keep 11 bits: a relative error of 5e-4 in each, which adds up over some sixty layers before the "
        "sigmoid's slope of at most 1/4",
    ),
    mean_error=Limit(1e-3, "most pixels are sure (close to 0 or 1), where the sigmoid is flat"),
    mask_agreement=Limit(0.999, "only pixels within 1e-2 of the threshold may change sides: a line within the edge"),
    reference_iou=Limit(0.995, "one pixel in a thousand of the picture is up to five of the person, who may be small"),
    iou_drop=Limit(0.001, "as float32: half precision must be free"),
)

_DYNAMIC = Tolerance(
    max_error=Limit(None, "8-bit activations round single pixels at an uncertain edge by any amount, unseen in a mask"),
    mean_error=Limit(
        0.005, "half of what int8 may lose: the weights are as coarse, but each image brings its own activation ranges"
    ),
    mask_agreement=Limit(0.995, "half of what int8 may lose, as above"),
    reference_iou=Limit(0.985, "half of what int8 may lose, as above"),
    iou_drop=Limit(0.003, "a file that is no faster than int8 has no excuse to be as inaccurate"),
)

_INT8 = Tolerance(
    max_error=Limit(None, "8-bit activations round single pixels at an uncertain edge by any amount, unseen in a mask"),
    mean_error=Limit(
        0.01, "2.5 of the matte's 256 steps, on average, of which rounding the output itself takes a quarter of one"
    ),
    mask_agreement=Limit(
        0.99, "a mask's edge is about 3 % of the pixels at 256x256, one pixel wide on either side: a third may move"
    ),
    reference_iou=Limit(
        0.97, "two annotators agree at 0.957: a quantized mask must be closer to its parent than one person to another"
    ),
    iou_drop=Limit(0.005, "half a point per source: the project's budget for quantization after training"),
)

_COREML_FLOAT16 = Tolerance(
    max_error=Limit(
        3e-2,
        "all weights keep 11 bits here, where the TFLite file leaves a fifth of them in float32, and activations may "
        "be rounded to as many: three times its bound",
    ),
    mean_error=Limit(1e-3, "most pixels are sure (close to 0 or 1), where the sigmoid is flat"),
    mask_agreement=Limit(0.999, "only pixels within 3e-2 of the threshold may change sides: a line within the edge"),
    reference_iou=Limit(0.995, "one pixel in a thousand of the picture is up to five of the person, who may be small"),
    iou_drop=Limit(0.001, "as float32: half precision must be free"),
)

_COREML_WEIGHTS = replace(
    _INT8,
    max_error=Limit(
        None, "weights of 4 to 8 bits move single pixels at an uncertain edge by any amount, unseen in a mask"
    ),
    mean_error=Limit(
        0.01, "the budget of int8: who takes weights of few bits for the size of the file accepts what int8 costs"
    ),
)

TOLERANCES: Mapping[Target, Tolerance] = MappingProxyType(
    {
        Target(Format.ONNX, Precision.FLOAT32): _FLOAT32,
        Target(Format.TFLITE, Precision.FLOAT32): _FLOAT32,
        Target(Format.TFLITE, Precision.FLOAT16): _FLOAT16,
        Target(Format.TFLITE, Precision.DYNAMIC): _DYNAMIC,
        Target(Format.TFLITE, Precision.INT8): _INT8,
        Target(Format.ONNX, Precision.INT8): _INT8,
        Target(Format.COREML, Precision.FLOAT32): _FLOAT32,
        Target(Format.COREML, Precision.FLOAT16): _COREML_FLOAT16,
        Target(Format.COREML, Precision.INT8): _COREML_WEIGHTS,
        Target(Format.COREML, Precision.PALETTIZED6): _COREML_WEIGHTS,
        Target(Format.COREML, Precision.PALETTIZED4): _COREML_WEIGHTS,
        Target(Format.COREML, Precision.W8A8): _INT8,
    }
)
"""The one table: every target has its row."""

_HEADINGS = {
    "max_error": "max error",
    "mean_error": "mean error",
    "mask_agreement": "mask agreement",
    "reference_iou": "IoU against the reference",
    "iou_drop": "IoU drop",
}
_AT_LEAST = frozenset({"mask_agreement", "reference_iou"})


def markdown() -> str:
    """The table and its reasons in Markdown, as docs/evaluation.md shows them (a test keeps the two equal)."""
    names = [field.name for field in fields(Tolerance)]
    lines = [
        f"| target | {' | '.join(_HEADINGS[name] for name in names)} |",
        f"|---{'|---' * len(names)}|",
    ]
    for target, tolerance in TOLERANCES.items():
        cells = [_cell(name, getattr(tolerance, name)) for name in names]
        lines.append(f"| {target} | {' | '.join(cells)} |")
    for tolerance in dict.fromkeys(TOLERANCES.values()):
        targets = [str(target) for target, other in TOLERANCES.items() if other is tolerance]
        lines += ["", f"**{', '.join(targets)}**", ""]
        lines += [f"- {_HEADINGS[name]}: {getattr(tolerance, name).reason}" for name in names]
    return "\n".join(lines) + "\n"


def _cell(name: str, limit: Limit) -> str:
    if limit.bound is None:
        return "reported only"
    return f"{'≥' if name in _AT_LEAST else '≤'} {limit.bound:g}"
