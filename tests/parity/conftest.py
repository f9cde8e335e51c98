"""The small network as every file that a command writes, made once, and the judge that all of them meet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from calibration.collect import collect_ranges
from calibration.images import open_calibration
from edge_deeplab.artifact import Artifact
from edge_deeplab.checkpoint import load_checkpoint
from edge_deeplab.cli.conversion import convert_files, variants
from edge_deeplab.evaluation.parity import Contender, ParityRow, compare
from edge_deeplab.evaluation.parity_images import ParityImages, parity_images
from edge_deeplab.files import size
from edge_deeplab.models.deeplab import DeepLab
from edge_deeplab.quantization.ranges import QuantRanges
from edge_deeplab.runtime.opening import open_session
from edge_deeplab.spec import IoType, ModelSpec, Target

Judge = Callable[[Path, Target], ParityRow]


@pytest.fixture(scope="session")
def observed(small_checkpoint: Path, small_network: DeepLab, small_spec: ModelSpec, made_persons: Path) -> QuantRanges:
    """The small network's ranges, seen on persons of the kind that it knows."""
    images, digest = open_calibration(made_persons, 32), load_checkpoint(small_checkpoint).sha256
    return collect_ranges(small_network, small_spec, images, checkpoint_sha256=digest)


@pytest.fixture(scope="session")
def converted(
    small_checkpoint: Path,
    small_network: DeepLab,
    observed: QuantRanges,
    tmp_path_factory: pytest.TempPathFactory,
) -> Mapping[tuple[Target, IoType], Artifact]:
    """Every target in every variant, by the function behind ``convert`` and ``release``: a minute of one core."""
    outputs = [(target, io) for target in Target.all() for io in variants(target)]
    folder = tmp_path_factory.mktemp("every_target")
    loaded = load_checkpoint(small_checkpoint)
    artifacts = convert_files(small_checkpoint, small_network, loaded, outputs, folder, observed)
    return dict(zip(outputs, artifacts, strict=True))


@pytest.fixture(scope="session")
def persons(made_persons: Path, small_spec: ModelSpec) -> ParityImages:
    """40 made persons with their true masks. On fewer, the rounding of int8 alone moves the mean IoU by its budget."""
    return parity_images(made_persons, None, small_spec.classes)


@pytest.fixture(scope="session")
def judge(small_checkpoint: Path, persons: ParityImages) -> Iterator[Judge]:
    """Hold a file against the checkpoint in PyTorch, by the one table of tolerances."""
    with open_session(small_checkpoint, threads=1) as session:
        reference = Contender("the checkpoint", session, size(small_checkpoint))

        def judge(path: Path, target: Target) -> ParityRow:
            with open_session(path, threads=1) as opened:
                candidate = Contender(path.name, opened, size(path), target)
                (row,) = compare(reference, [candidate], persons).rows
            return row

        yield judge
