"""The card of what is handed on: the one beside the checkpoint, or one made from what the checkpoint says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge_deeplab.artifact import Artifact
from edge_deeplab.checkpoint import Checkpoint
from edge_deeplab.errors import ModelFileError
from edge_deeplab.evaluation.parity import ParityReport
from edge_deeplab.evaluation.scores import Scores
from edge_deeplab.files import sha256
from edge_deeplab.spec import Fusion, ModelSpec, NetworkSpec
from edge_deeplab.weights import shipped_card, shipped_names
from edge_deeplab.weights.card import Card, Score, load_card

_UNKNOWN = "Not stated."


def card_path(checkpoint: Path) -> Path:
    """Where a checkpoint's card lies: ``portrait.json`` beside ``portrait.safetensors``."""
    return checkpoint.with_suffix(".json")


def card_of(checkpoint: Path, loaded: Checkpoint) -> Card:
    """The card beside a checkpoint; without one, a card from the checkpoint's notes.

    Args:
        checkpoint: its file.
        loaded: what is in it.

    Raises:
        ModelFileError: the card beside it cannot be read, or is of another checkpoint.
    """
    path = card_path(checkpoint)
    if path.exists():
        card = load_card(path)
        if card.files.get(checkpoint.name) != loaded.sha256:
            raise ModelFileError(f"{path} is not the card of {checkpoint} (the hash differs): correct it, or remove it")
        return card
    return _bare_card(checkpoint.stem, loaded.spec, loaded.notes)


def card_of_converted(artifact: Artifact) -> Card:
    """The card of the shipped model that a file was converted from; of another model, one that says little."""
    for name in shipped_names():
        card = shipped_card(name)
        if artifact.checkpoint_sha256 in card.files.values():
            return card
    return _bare_card(artifact.path.stem, artifact.spec, {})


def named_card(path: Path, checkpoint_sha256: str) -> Card:
    """A card that was named.

    Raises:
        ModelFileError: it cannot be read, or is of another checkpoint.
    """
    card = load_card(path)
    if checkpoint_sha256 not in card.files.values():
        raise ModelFileError(
            f"{path} is the card of another checkpoint (the hash differs): name the right one, or none"
        )
    return card


def _bare_card(name: str, spec: ModelSpec, notes: Mapping[str, Any]) -> Card:
    seed = notes.get("seed")
    return Card(
        name=name,
        summary=_summary(spec),
        intended_use=_UNKNOWN,
        terms=_UNKNOWN,
        files={},
        parent_sha256=None,
        training_data=(),
        recipe_name=None,
        recipe_sha256=None,
        recipe=dict(notes),
        seed=seed if isinstance(seed, int) and seed >= 0 else None,
        conditions={},
        scores=(),
        sizes=(),
        robustness=(),
        latency=None,
        known_failures=(),
    )


def completed(card: Card, report: ParityReport, folder: Path) -> Card:
    """The card with the files of a release; with the scores that were measured, if it has none yet.

    Args:
        card: what :func:`card_of` gave.
        report: the comparison of the release.
        folder: where the release lies.
    """
    names = (report.reference, *(row.name for row in report.rows))
    return replace(card, files={name: sha256(folder / name) for name in names}, scores=card.scores or _scores(report))


def _summary(spec: ModelSpec) -> str:
    network = spec.network
    return (
        f"{_version(network)} with {network.backbone_words}, output stride {network.output_stride}, "
        f"{spec.height}x{spec.width} pixels, classes: {', '.join(spec.classes)}."
    )


def _version(network: NetworkSpec) -> str:
    """V1's large field of view is one summed branch, V2's pyramid several; V3+ has a decoder."""
    if network.aspp_fusion is Fusion.SUMMED:
        return "DeepLabV1" if len(network.atrous_rates) == 1 else "DeepLabV2"
    return "DeepLabV3+" if network.decoder else "DeepLabV3"


def _scores(report: ParityReport) -> tuple[Score, ...]:
    """The reference's scores and those of the first file with integer activations, for each source.

    None where the true masks are not known. A file of int8 weights alone is no int8 model.
    """
    if report.accuracy is None:
        return ()
    int8 = next((row.accuracy for row in report.rows if row.target.integer_activations), None)
    return tuple(
        Score(source, scores.images, card_metrics(scores), card_metrics(int8.sources[source]) if int8 else {})
        for source, scores in report.accuracy.sources.items()
    )


def card_metrics(scores: Scores) -> dict[str, float]:
    """What a card says of one source's pictures, rounded to a hundredth of a point."""
    values = {
        "person_iou": scores.person_iou,
        "boundary_f": scores.boundary_f,
        "false_person_rate": scores.false_person,
    }
    return {name: round(value, 4) for name, value in values.items() if value is not None}
