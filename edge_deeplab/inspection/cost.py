"""What a model's network costs, at its own size and at the papers': the plain count, and the one of their tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from edge_deeplab.artifact import read_sidecar, sidecar_path
from edge_deeplab.checkpoint import load_checkpoint
from edge_deeplab.errors import ModelFileError
from edge_deeplab.models.cost import count_cost
from edge_deeplab.models.deeplab import build_network
from edge_deeplab.spec import ModelSpec

_PAPER_SIZE = 513
_PAPER_SCALES = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)  # Chen et al. 2018, section 4
_OUTPUT_STRIDES = (8, 16, 32)


@dataclass(frozen=True)
class CostRow:
    """The multiply-adds of one way to run a network.

    Attributes:
        output_stride: the network's own, or another for the same weights.
        height: rows of the image.
        width: columns of the image.
        images: "1", or "6 scales" or "6 scales, 2 flips", all of whose costs are added.
        multiply_adds: of the convolutions.
        space_to_batch: with what space-to-batch adds to atrous convolutions: the count that comes out as in the papers'
            tables (:func:`edge_deeplab.models.cost.count_cost`).
    """

    output_stride: int
    height: int
    width: int
    images: str
    multiply_adds: int
    space_to_batch: int


def model_spec(path: Path) -> ModelSpec:
    """The specification of a checkpoint, or of a converted file by its sidecar.

    Raises:
        ModelFileError: there is no sidecar: the layers are not known to be ours.
        CheckpointError: a checkpoint that cannot be read.
    """
    if path.suffix.lower() == ".safetensors":
        return load_checkpoint(path).spec
    if not sidecar_path(path).exists():
        raise ModelFileError(
            f"{path} has no sidecar that says which network it is: give a checkpoint, or a file with its sidecar "
            "beside it; without --cost its operators are counted"
        )
    return read_sidecar(path).spec


def cost_rows(spec: ModelSpec) -> tuple[CostRow, ...]:
    """The network at its own size, and at 513x513 with every output stride, scales and flips. Only shapes are run."""
    own = spec.network.output_stride
    paper = (_PAPER_SIZE, _PAPER_SIZE)
    return (
        _row(spec, own, (spec.height, spec.width)),
        *(_row(spec, stride, paper) for stride in _OUTPUT_STRIDES),
        *_scaled(spec, own),
    )


def _scaled(spec: ModelSpec, output_stride: int) -> Iterator[CostRow]:
    # 513 is 512 + 1, and scale s makes 512 s + 1 of it.
    sizes = [int((_PAPER_SIZE - 1) * scale) + 1 for scale in _PAPER_SCALES]
    parts = [_row(spec, output_stride, (size, size)) for size in sizes]
    counts = sum(part.multiply_adds for part in parts), sum(part.space_to_batch for part in parts)
    for flips, words in ((1, f"{len(sizes)} scales"), (2, f"{len(sizes)} scales, 2 flips")):
        yield CostRow(output_stride, _PAPER_SIZE, _PAPER_SIZE, words, flips * counts[0], flips * counts[1])


def _row(spec: ModelSpec, output_stride: int, size: tuple[int, int]) -> CostRow:
    with torch.device("meta"):
        network = build_network(replace(spec.network, output_stride=output_stride))
    plain, padded = (count_cost(network, *size, space_to_batch=batch).multiply_adds for batch in (False, True))
    return CostRow(output_stride, *size, "1", plain, padded)
