"""``edge-deeplab import``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from edge_deeplab.importing.layers import SourceDeepLab
    from edge_deeplab.importing.parity import ImportParity
    from edge_deeplab.models.deeplab import DeepLab

_CHECKPOINT = ".safetensors"


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help=f"The checkpoint, ending in {_CHECKPOINT}.")
@click.option(
    "--classes",
    help="Names of the classes, with commas between. Not needed for the 21 of Pascal VOC; 2 are background and person.",
)
@click.option(
    "--parity/--no-parity", default=True, show_default=True, help="Compare each layer with TensorFlow's on a photo."
)
def command(file: Path, out: Path, classes: str | None, parity: bool) -> None:
    """Make a checkpoint of FILE, a DeepLab that research/deeplab's export_model.py wrote.

    FILE is a frozen graph (.pb), or a tarball with a frozen_inference_graph.pb in it (.tar.gz, .tgz, .tar): DeepLabV3
    with MobileNetV2 of any width, without atrous branches. It is read without TensorFlow. TensorFlow then runs it on a
    photo, and each layer must give what ours does, or nothing is written.
    """
    from edge_deeplab.errors import SpecError
    from edge_deeplab.extras import require_extra

    if out.suffix != _CHECKPOINT:
        raise SpecError(f"{out} is no name for a checkpoint: it must end in {_CHECKPOINT}")
    require_extra("train", "importing a model", "torch", "safetensors")
    if parity:
        require_extra("convert", "comparing with the frozen graph (--no-parity does without)", "tensorflow")

    from rich.console import Console

    from edge_deeplab.files import make_folder, sha256
    from edge_deeplab.importing.class_names import class_names
    from edge_deeplab.importing.frozen_deeplab import graph_bytes, read_frozen_deeplab
    from edge_deeplab.importing.network import build_imported, network_spec
    from edge_deeplab.models.loading import save_state
    from edge_deeplab.spec import ModelSpec

    content = graph_bytes(file)
    found = read_frozen_deeplab(content, str(file))
    network_of_file = network_spec(found)
    names = class_names(network_of_file.num_classes, classes)
    spec = ModelSpec(network_of_file, height=found.height, width=found.width, classes=names)
    network = build_imported(found, network_of_file)
    make_folder(out.parent)

    console = Console()
    notes: dict[str, Any] = {"file": file.name, "sha256": sha256(file)}
    if parity:
        with Console(stderr=True).status("TensorFlow runs the frozen graph"):
            compared = _compare(content, found, network)
        compared.require(str(file))
        notes["parity"] = {"worst_layer": compared.worst.name, "difference": compared.worst.greatest}
        console.print(
            f"{len(compared.layers)} layers are TensorFlow's: {compared.worst.name} differs most, by "
            f"{compared.worst.greatest:.1e} of its greatest value; {compared.same_class:.2%} of the pixels keep their "
            "class",
            soft_wrap=True,
        )
    save_state(out, spec, network.state_dict(), notes={"imported": notes})
    console.print(
        f"{out} written: MobileNetV2 {network_of_file.width_multiplier} with DeepLabV3, output stride "
        f"{network_of_file.output_stride}, {spec.height}x{spec.width}, classes {', '.join(names)}",
        soft_wrap=True,
    )


def _compare(content: bytes, found: SourceDeepLab, network: DeepLab) -> ImportParity:
    from converters.frozen_graph import run_frozen_graph
    from edge_deeplab.data.bundled import bundled_portrait
    from edge_deeplab.image import resize_area
    from edge_deeplab.importing.parity import compare_layers, compared_tensors

    photo = resize_area(bundled_portrait(), found.height, found.width)
    return compare_layers(network, found, run_frozen_graph(content, photo, compared_tensors(found)))
