"""PyTorch to Core ML: packages (.mlpackage) with an ML Program inside, made on any machine."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from converters.check import check_against_checkpoint
from converters.coreml_check import check_package, stored_network
from converters.coreml_execution_check import check_execution
from converters.coreml_recipe import Recipe
from converters.coreml_weights import require_float16
from converters.worker import run_worker
from edge_deeplab.artifact import Artifact
from edge_deeplab.errors import RangesError
from edge_deeplab.extras import require_extra
from edge_deeplab.files import atomic_folder, sha256
from edge_deeplab.models.loading import load_network
from edge_deeplab.quantization.graph import quantization_graph
from edge_deeplab.quantization.ranges import QuantRanges, save_ranges
from edge_deeplab.quantization.simulate import simulate
from edge_deeplab.runtime.coreml.reference_session import CoremlReferenceSession
from edge_deeplab.runtime.versions import versions
from edge_deeplab.spec import Precision

TOOLS = ("torch", "coremltools", "numpy", "protobuf")

_ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "-1",  # weights are only moved about
    "PYTHONHASHSEED": "0",  # the order of sets may show in the names of tensors
}
_GREY_STEP = 1 / 255  # of a grey image
_TIMEOUT = 900.0  # seconds; 10 for coremltools' start and 5 for each package are usual on two cores


def convert(
    checkpoint: Path, out: Path, recipe: Recipe, ranges: QuantRanges | None = None, *, package: Path | None = None
) -> Artifact:
    """Convert a checkpoint to a Core ML package: an RGB image in, probabilities out.

    Args:
        checkpoint: the .safetensors file.
        out: the .mlpackage folder to write; replaced only by one that passed every check.
        recipe: what to make.
        ranges: of this checkpoint; W8A8 needs them, and nothing else looks at them.
        package: what :func:`packages` gave for this recipe; None: made here. It is copied.

    Returns:
        The artifact; its sidecar is not written yet.

    Raises:
        CheckpointError: as :func:`edge_deeplab.models.loading.load_network`.
        SpecError: a grey image of several classes.
        RangesError: W8A8 without ranges, or with those of another checkpoint or network.
        ConversionError: the converter failed, its package is not what was asked for, or float16 cannot hold a weight.
        OutputError: the place cannot be written to.
        MissingExtraError: coremltools is not installed.
    """
    if package is None:
        with packages(checkpoint, [recipe], ranges) as made:
            return convert(checkpoint, out, recipe, ranges, package=made[recipe])
    network, loaded = load_network(checkpoint)
    used = _used_ranges(recipe, ranges, loaded.sha256)
    graph = quantization_graph(network, loaded.spec.network.num_classes)
    with atomic_folder(out) as temporary:
        shutil.copytree(package, temporary, dirs_exist_ok=True)
        check_package(temporary, graph, loaded.spec, recipe, used)
        with CoremlReferenceSession(temporary, classes=loaded.spec.classes) as session:
            rounding = _GREY_STEP / 2 if recipe.grey else 0
            check_against_checkpoint(session, checkpoint, recipe.target, rounding=rounding)
            held = stored_network(temporary, graph, recipe) if used is None else simulate(graph, used)
            check_execution(session, held, integers=used is not None, rounding=rounding)
        digest = sha256(temporary)
    return Artifact(
        path=out,
        spec=loaded.spec,
        target=recipe.target,
        io=recipe.io,
        sha256=digest,
        checkpoint_sha256=loaded.sha256,
        tools=versions(*TOOLS),
    )


@contextmanager
def packages(
    checkpoint: Path, recipes: Sequence[Recipe], ranges: QuantRanges | None = None
) -> Iterator[Mapping[Recipe, Path]]:
    """Convert a checkpoint by one run of coremltools, in a process of its own.

    Args:
        checkpoint: the .safetensors file.
        recipes: what to make of it.
        ranges: of this checkpoint; for W8A8 only.

    Yields:
        A package for each recipe, in a temporary folder; not yet checked. The same checkpoint, ranges and versions give
        the same bytes.

    Raises:
        as :func:`convert`.
    """
    require_extra("convert", "conversion to Core ML", "coremltools")
    network, loaded = load_network(checkpoint)
    used = None
    for recipe in recipes:
        recipe.require_spec(loaded.spec)
        used = _used_ranges(recipe, ranges, loaded.sha256) or used
    graph = quantization_graph(network, loaded.spec.network.num_classes)
    if used is not None:
        graph.require(used)
    if any(recipe.half_precision for recipe in recipes):
        require_float16(graph)
    with tempfile.TemporaryDirectory(prefix="edge-deeplab-") as name:
        folder = Path(name)
        made = {recipe: folder / f"{index}.mlpackage" for index, recipe in enumerate(recipes)}
        if used is not None:
            save_ranges(folder / "ranges.json", used)
        job = {
            "checkpoint": str(checkpoint.resolve()),
            "ranges": None if used is None else str(folder / "ranges.json"),
            "packages": [
                {
                    "path": str(path),
                    "precision": recipe.precision,
                    "deployment_target": recipe.deployment_target,
                    "io": recipe.io,
                }
                for recipe, path in made.items()
            ],
        }
        (folder / "job.json").write_text(json.dumps(job))
        run_worker(
            "converters.coreml_worker",
            [str(folder / "job.json")],
            folder=folder,
            environment=_ENVIRONMENT,
            timeout=_TIMEOUT,
        )
        yield made


def _used_ranges(recipe: Recipe, ranges: QuantRanges | None, checkpoint_sha256: str) -> QuantRanges | None:
    """The ranges if the recipe needs them, else None. Raises: RangesError."""
    if recipe.precision is not Precision.W8A8:
        return None
    if ranges is None:
        raise RangesError(f"{recipe.target} needs quantization ranges: calibrate the checkpoint first")
    ranges.require_checkpoint(checkpoint_sha256)
    return ranges
