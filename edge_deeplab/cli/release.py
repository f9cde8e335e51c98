"""``edge-deeplab release``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_deeplab.cli.model_path import CHECKPOINT
from edge_deeplab.weights import shipped_checkpoint

if TYPE_CHECKING:
    from edge_deeplab.artifact import Artifact
    from edge_deeplab.evaluation.parity import ParityReport

_CHECKSUMS, _VERSIONS = "SHA256SUMS", "versions.json"


@click.command()
@click.argument("checkpoint", type=CHECKPOINT, default=shipped_checkpoint)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder to write; it must not be there yet."
)
@click.option("--data", type=click.Path(path_type=Path), help="Photos with masks to compare on; else bundled photos.")
@click.option("--split", help="Split of --data, such as test.")
@click.option(
    "--target",
    "targets",
    multiple=True,
    default=("all",),
    show_default=True,
    help="As for convert. May be given several times.",
)
@click.option(
    "--ranges",
    "ranges_file",
    type=click.Path(path_type=Path),
    help="Quantization ranges; CHECKPOINT.ranges.json beside the checkpoint if it is not given.",
)
@click.option("--threads", type=click.IntRange(min=1), help="Threads of every runtime; 1.")
@click.option("--workers", type=click.IntRange(min=1), help="Images that go through at once; one for each core.")
def command(
    checkpoint: Path,
    out: Path,
    data: Path | None,
    split: str | None,
    targets: tuple[str, ...],
    ranges_file: Path | None,
    threads: int | None,
    workers: int | None,
) -> None:
    """Write a folder with everything that is handed on of CHECKPOINT, or refuse.

    CHECKPOINT is a file, or the name of a shipped model: portrait if it is not given.
    Every target in each of its variants, sidecars, the parity report, the card, the ranges, versions and checksums.
    Exit status 1 if a file is further off than its tolerance allows, or something is missing: there is no OUT then,
    and where files were compared, the report lies in OUT.refused.
    """
    from rich.console import Console

    from edge_deeplab.cli.comparison import Candidate, compare_files, with_parity
    from edge_deeplab.cli.conversion import REQUIRED, convert_files, parse_targets, prepared_ranges, variants
    from edge_deeplab.cli.release_card import card_of, card_path, completed
    from edge_deeplab.errors import ParityError
    from edge_deeplab.evaluation.report import PAGE, write_report
    from edge_deeplab.extras import require_extra
    from edge_deeplab.files import checksums, new_folder, write_bytes, write_json
    from edge_deeplab.quantization.ranges import ranges_path, save_ranges

    outputs = [(target, io) for target in parse_targets(targets) for io in variants(target)]
    require_extra("convert", "a release", *REQUIRED)

    from edge_deeplab.models.loading import load_network

    network, loaded = load_network(checkpoint)
    card = card_of(checkpoint, loaded)
    ranges = prepared_ranges(checkpoint, loaded, [target for target, _ in outputs], ranges_file)
    with new_folder(out) as folder:
        released = folder / checkpoint.name
        write_bytes(released, checkpoint.read_bytes())
        if ranges is not None:
            save_ranges(ranges_path(released), ranges)
        artifacts = convert_files(released, network, loaded, outputs, folder, ranges)
        candidates = [Candidate(artifact.path, artifact.target) for artifact in artifacts]
        compared = compare_files(released, candidates, data=data, split=split, threads=threads, workers=workers)
        report = compared.report
        if not report.passed:
            refused = out.with_name(f"{out.name}.refused")
            _, _, page = write_report(report, compared.exhibits, refused)
            raise ParityError(f"nothing was released, see {page}: {'; '.join(report.failures)}")
        write_report(report, compared.exhibits, folder)
        for artifact in with_parity(artifacts, report):
            artifact.write_sidecar()
        write_json(folder / _VERSIONS, _versions(artifacts, report))
        completed(card, report, folder).write(card_path(released))
        # The page bears the day, and the rest is the same bytes for the same input: so is this list without it.
        write_bytes(folder / _CHECKSUMS, checksums(folder, without={PAGE}).encode())
    Console().print(f"{out} written: {len(artifacts)} model files, all of them within their tolerance", soft_wrap=True)


def _versions(artifacts: Sequence[Artifact], report: ParityReport) -> dict[str, Any]:
    """What made the files and what executed them."""
    import platform

    tools = {name: version for artifact in artifacts for name, version in artifact.tools.items()}
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "tools": dict(sorted(tools.items())),
        "runtimes": list(dict.fromkeys([report.runtime, *(row.runtime for row in report.rows)])),
    }
