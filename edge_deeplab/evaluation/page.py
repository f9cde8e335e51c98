"""A comparison as one HTML page for people: everything is inside, nothing is fetched, no script runs."""

from __future__ import annotations

import base64
import datetime
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge_deeplab.data.sample import IGNORE
from edge_deeplab.errors import MissingExtraError
from edge_deeplab.evaluation.drawing import MISSED
from edge_deeplab.evaluation.exhibits import Exhibit
from edge_deeplab.evaluation.labels import ClassMap
from edge_deeplab.evaluation.metrics import agreement, class_map
from edge_deeplab.evaluation.parity import ParityReport, ParityRow
from edge_deeplab.evaluation.parity_images import ParityImage
from edge_deeplab.evaluation.tables import least_alike
from edge_deeplab.evaluation.tolerances import TOLERANCES, Tolerance
from edge_deeplab.evaluation.verdict import Accuracy, IouDrop, violations
from edge_deeplab.image import Rgb, resize_area
from edge_deeplab.terminal import megabytes

_TEMPLATE = "parity.html.jinja"
_SIDE = 256  # of a photo, in pixels: enough to see who is on it
_ROOM = 2_500_000  # bytes for all pictures: a page to be sent by mail
_LOWEST, _HIGHEST = 192, 512  # of a mask on the page, in CSS pixels; between them a pixel of the mask is one
_BACKGROUND, _PERSON, _MISSING, _ADDED, _IGNORED = range(5)
# Persons in grey, not white, so that one coloured pixel at their edge stands out on either side. Sky blue is Okabe and
# Ito's (2008), as drawing's colours are, and brighter than their blue, which is lost on the dark.
_ADDED_COLOUR = (86, 180, 233)
_PALETTE = ((24, 24, 28), (128, 128, 134), MISSED, _ADDED_COLOUR, (70, 50, 90))
# What the colour of missing means, for masks of one class and of several.
_MISSING_PERSON, _MISSING_CLASS = (
    "the reference has a person there",
    "the reference has a class there, and the artifact not the same",
)
_HEADINGS = {
    "max_error": "max error",
    "mean_error": "mean error",
    "mask_agreement": "masks agree",
    "reference_iou": "IoU to reference",
    "iou_drop": "IoU drop, worst source",
}
_AT_LEAST = frozenset({"mask_agreement", "reference_iou"})


@dataclass(frozen=True)
class _Cell:
    """A number in the table: how it is written, what is demanded of it and why, and whether it fails that."""

    text: str
    limit: str = ""
    reason: str = ""
    failed: bool = False


@dataclass(frozen=True)
class _Picture:
    """A picture with its words; ``source`` is a data URI."""

    source: str
    name: str
    note: str
    pixelated: bool


@dataclass(frozen=True)
class _Demand:
    """The demands on some targets: (heading, limit, reason) each."""

    targets: tuple[str, ...]
    criteria: tuple[tuple[str, str, str], ...]


def parity_page(
    report: ParityReport, exhibits: Sequence[Exhibit], *, day: datetime.date, versions: Mapping[str, str]
) -> str:
    """Make the page: the verdict, the table with its tolerances, the pictures, who executed what.

    Args:
        report: the comparison.
        exhibits: its pictures.
        day: when.
        versions: package to version, of what took part beside the runtimes.

    Returns:
        HTML5. Names and sentences are escaped.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise MissingExtraError("jinja2", "convert", "the parity page") from error
    environment = Environment(
        loader=PackageLoader("edge_deeplab.evaluation"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template(_TEMPLATE).render(
        report=report,
        day=day.isoformat(),
        versions=versions,
        reference=[_Cell(megabytes(report.size)), *[_Cell("")] * 4, *_accuracy_cells(report.accuracy, None, None)],
        rows=[(row, _cells(row)) for row in report.rows],
        least_alike=least_alike(report, [row.name for row in report.rows]),
        failing=sum(not row.passed for row in report.rows),
        demands=_demands(report.rows),
        groups=_groups(report, exhibits),
        height=_height(exhibits),
        colours={"missing": _css(MISSED), "added": _css(_ADDED_COLOUR)},
        missing=_MISSING_CLASS if any(shown.expected.shape[2] > 1 for shown in exhibits) else _MISSING_PERSON,
    )


def _cells(row: ParityRow) -> list[_Cell]:
    """The numbers of an artifact, in the order of the template's headings."""
    tolerance = TOLERANCES[row.target]
    failing = violations(tolerance, row.agreement, row.drop)

    def judged(name: str, text: str) -> _Cell:
        limit = getattr(tolerance, name)
        return _Cell(text, _limit(tolerance, name), limit.reason, failed=name in failing)

    drop = judged("iou_drop", f"{row.drop.worst:+z.4f} {row.drop.worst_source}".strip()) if row.drop else None
    return [
        _Cell(megabytes(row.size)),
        judged("max_error", f"{row.agreement.max_error:.2e}"),
        judged("mean_error", f"{row.agreement.mean_error:.2e}"),
        judged("mask_agreement", f"{row.agreement.mask_agreement:.3%}"),
        judged("reference_iou", f"{row.agreement.reference_iou:.4f}"),
        *_accuracy_cells(row.accuracy, row, drop),
    ]


def _accuracy_cells(accuracy: Accuracy | None, row: ParityRow | None, worst: _Cell | None) -> list[_Cell]:
    """Seven numbers, or none where the true masks are not known; ``row`` is None for the reference."""
    if accuracy is None:
        return []
    drop: IouDrop | None = row.drop if row else None
    total = accuracy.total
    return [
        _Cell(_number(total.person_iou, ".4f")),
        _Cell(_number(drop.total if drop else None, "+z.4f")),
        worst or _Cell(""),
        _Cell(_number(total.boundary_f, ".4f")),
        _Cell(_number(row.boundary_drop if row else None, "+z.4f")),
        _Cell(_number(total.false_person, ".2%")),
        _Cell(_number(row.false_person_rise if row else None, "+z.2%")),
    ]


def _number(value: float | None, style: str) -> str:
    return "" if value is None else format(value, style)


def _limit(tolerance: Tolerance, name: str) -> str:
    bound = getattr(tolerance, name).bound
    if bound is None:
        return "reported only"
    return f"{'≥' if name in _AT_LEAST else '≤'} {bound:g}"


def _demands(rows: Sequence[ParityRow]) -> list[_Demand]:
    """What is demanded of the targets that take part, those with equal demands together."""
    targets = dict.fromkeys(row.target for row in rows)
    return [
        _Demand(
            targets=tuple(str(target) for target in targets if TOLERANCES[target] == tolerance),
            criteria=tuple(
                (_HEADINGS[field.name], _limit(tolerance, field.name), getattr(tolerance, field.name).reason)
                for field in fields(Tolerance)
            ),
        )
        for tolerance in dict.fromkeys(TOLERANCES[target] for target in targets)
    ]


def _groups(report: ParityReport, exhibits: Sequence[Exhibit]) -> list[tuple[ParityImage, list[_Picture]]]:
    """The exhibits with their pictures, as many as the page has room for, and the first one in any case."""
    groups: list[tuple[ParityImage, list[_Picture]]] = []
    room = _ROOM
    for shown in exhibits:
        pictures = _pictures(report, shown)
        room -= sum(len(picture.source) for picture in pictures)
        if groups and room < 0:
            break
        groups.append((shown.image, pictures))
    return groups


def _pictures(report: ParityReport, shown: Exhibit) -> list[_Picture]:
    """Photo, true mask where it is known, the reference's mask, each artifact's with the differences in colour."""
    expected = class_map(shown.expected)
    pictures = [_Picture(_photo(shown.image.rgb), "photo", shown.image.source, pixelated=False)]
    if shown.image.truth is not None:
        pictures.append(_Picture(_drawn(_truth(shown.image.truth)), "true mask", "", pixelated=False))
    pictures.append(_Picture(_drawn(_compared(expected, expected)), report.reference, "reference", pixelated=True))
    for row, output in zip(report.rows, shown.outputs, strict=True):
        mask = class_map(output)
        compared = _compared(mask, expected)
        missing, added = (int(np.count_nonzero(compared == kind)) for kind in (_MISSING, _ADDED))
        note = f"{agreement(mask, expected):.3%} agree"
        if missing or added:
            note += f": {missing} pixels missing, {added} added"
        pictures.append(_Picture(_drawn(compared), row.name, note, pixelated=True))
    return pictures


def _compared(mask: ClassMap, expected: ClassMap) -> NDArray[np.uint8]:
    """A mask in the palette's colours, uint8, HxW: where it lacks something that is expected, where it has more."""
    kinds = np.where(mask > 0, _PERSON, _BACKGROUND)
    differs = mask != expected
    kinds = np.where(differs & (expected > 0), _MISSING, kinds)
    return np.where(differs & (expected == 0), _ADDED, kinds).astype(np.uint8)


def _truth(truth: ClassMap) -> NDArray[np.uint8]:
    kinds = np.where(truth > 0, _PERSON, _BACKGROUND)
    return np.where(truth == IGNORE, _IGNORED, kinds).astype(np.uint8)


def _drawn(kinds: NDArray[np.uint8]) -> str:
    """A picture of at most 512 pixels in the palette's colours, as a data URI; few colours make few bytes."""
    image = Image.fromarray(kinds, mode=None)
    image.putpalette([channel for colour in _PALETTE for channel in colour])
    image.thumbnail((_HIGHEST, _HIGHEST), Image.Resampling.NEAREST)
    return _data_uri(image, "png", optimize=True)


def _photo(rgb: Rgb) -> str:
    rows, columns = rgb.shape[:2]
    scale = min(1.0, _SIDE / max(rows, columns))
    size = max(1, round(rows * scale)), max(1, round(columns * scale))
    return _data_uri(Image.fromarray(resize_area(np.ascontiguousarray(rgb), *size)), "jpeg", quality=85)


def _data_uri(image: Image.Image, kind: str, **options: int) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _height(exhibits: Sequence[Exhibit]) -> int:
    """How high the pictures are shown: as high as the masks, that no pixel is lost, within reason."""
    return min(_HIGHEST, max([_LOWEST, *(shown.expected.shape[0] for shown in exhibits)]))


def _css(colour: tuple[int, int, int]) -> str:
    return f"rgb({', '.join(map(str, colour))})"
