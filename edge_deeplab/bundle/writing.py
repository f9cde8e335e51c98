"""The folder around the model files: contract, golden pairs, sources, guide, checker, checksums."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from importlib import resources
from pathlib import Path

from edge_deeplab import __version__
from edge_deeplab.artifact import Artifact
from edge_deeplab.bundle.contract import VERSION, Contract, Tensor
from edge_deeplab.bundle.describe import describe, own_resize_tolerance
from edge_deeplab.bundle.golden import write_goldens
from edge_deeplab.bundle.rendering import render
from edge_deeplab.bundle.sources import require_plain_names, sources
from edge_deeplab.files import checksums, write_bytes
from edge_deeplab.runtime.opening import open_session
from edge_deeplab.weights.card import Card

MODELS = "models"
"""The folder in a bundle where the model files lie."""

CHECKER, GUIDE, CHECKSUMS = "check.py", "README.md", "SHA256SUMS"


def write_bundle(folder: Path, artifacts: Sequence[Artifact], card: Card) -> Contract:
    """Write everything around model files that lie in a folder.

    Args:
        folder: the bundle, a folder of its own; the caller makes it whole or not at all
            (:func:`edge_deeplab.files.new_folder`).
        artifacts: its files, in ``folder/models``, with their sidecars; all of one spec.
        card: the model's.

    Returns:
        The contract.

    Raises:
        ModelFileError: a file cannot be opened, or is not of the contract.
        SpecError: a name or a label that cannot stand in an app's source.
        MissingExtraError: jinja2, or coremltools for a Core ML package, is not installed.
        OutputError: the place cannot be written to.
    """
    require_plain_names([artifact.path.name for artifact in artifacts])
    with ExitStack() as stack:
        sessions = {
            artifact.path.relative_to(folder).as_posix(): stack.enter_context(open_session(artifact.path, threads=1))
            for artifact in artifacts
        }
        models = tuple(
            describe(artifact, folder, session.runtime)
            for artifact, session in zip(artifacts, sessions.values(), strict=True)
        )
        goldens = write_goldens(folder, sessions)
    contract = Contract(VERSION, f"edge-deeplab {__version__}", models, goldens, own_resize_tolerance())
    contract.write(folder)
    written = sources(contract)
    for source in written:
        write_bytes(folder / source.path, source.text.encode())
    guide = render(
        f"{GUIDE}.jinja",
        card=card,
        contract=contract,
        words=_words,
        labels=", ".join(models[0].output.labels),
        android=[source.path for source in written if source.path.startswith("android/")],
        ios=[source.path for source in written if source.path.startswith("ios/")],
        runtimes=" and ".join(dict.fromkeys(model.runtime for model in models)),
    )
    write_bytes(folder / GUIDE, guide.encode())
    write_bytes(folder / CHECKER, (resources.files("edge_deeplab.bundle") / "reference_checker.py").read_bytes())
    write_bytes(folder / CHECKSUMS, checksums(folder).encode())
    return contract


def _words(tensor: Tensor) -> str:
    """ "uint8 1x256x256x3 (NHWC)"."""
    return f"{tensor.type} {'x'.join(map(str, tensor.shape))} ({tensor.layout})"
