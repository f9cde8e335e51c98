"""Where quantization-aware training starts: the ranges that post-training quantization would choose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from calibration.collect import collect_ranges
from calibration.images import DEFAULT_COUNT, spread_photos
from edge_deeplab.checkpoint import Checkpoint
from edge_deeplab.data.sample import SegmentationDataset
from edge_deeplab.errors import CheckpointError
from edge_deeplab.files import make_folder
from edge_deeplab.models.deeplab import DeepLab
from edge_deeplab.quantization.ranges import QuantRanges, load_ranges, save_ranges

START = "start.ranges.json"


def starting_ranges(
    network: DeepLab,
    parent: Checkpoint,
    train_data: SegmentationDataset,
    out: Path,
    *,
    resume: bool,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> QuantRanges:
    """Observe photos of the training data, and keep the ranges in ``out/start.ranges.json`` for a run that resumes.

    Args:
        network: the float network.
        parent: the checkpoint that it came from.
        train_data: 128 of its photos are observed, or all where there are fewer.
        out: folder of the run.
        resume: take those that are kept there instead.
        progress: called with the photos done so far, and how many there are.

    Raises:
        CheckpointError: ``resume``, and there are none.
        RangesError: those that are kept belong to another parent, or none can be observed.
        CalibrationError: all photos are the same.
        OutputError: ``out`` cannot be written to.
    """
    kept = out / START
    if resume:
        if not kept.is_file():
            raise CheckpointError(f"{out} holds no quantization-aware run to resume: leave out --resume to start anew")
        ranges = load_ranges(kept)
        ranges.require_checkpoint(parent.sha256)
        return ranges
    photos = spread_photos(train_data, min(DEFAULT_COUNT, len(train_data)))
    ranges = collect_ranges(
        network,
        parent.spec,
        photos,
        checkpoint_sha256=parent.sha256,
        progress=lambda done: progress(done, len(photos)),
    )
    make_folder(out)
    save_ranges(kept, ranges)
    return ranges
