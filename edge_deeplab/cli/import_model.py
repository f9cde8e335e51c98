"""``edge-deeplab import``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from edge_deeplab.cli.options import refuse_options

if TYPE_CHECKING:
    from edge_deeplab.models.deeplab import DeepLab
    from edge_deeplab.spec import NetworkSpec

_CHECKPOINT, _TFLITE = ".safetensors", ".tflite"
_STATISTICS_IMAGES = 4
_STATISTICS_SIDE = 257  # of the DeepLabs' sizes the smallest that sees a whole person


class _Imported(NamedTuple):
    network: DeepLab
    spec: NetworkSpec
    height: int
    width: int
    comparison: str
    notes: dict[str, Any]


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help=f"The checkpoint, ending in {_CHECKPOINT}.")
@click.option(
    "--classes",
    help="Names of the classes, with commas between. Not needed for the 21 of Pascal VOC; 2 are background and person.",
)
@click.option(
    "--parity/--no-parity",
    default=True,
    show_default=True,
    help="Compare with what TensorFlow, LiteRT or torchvision makes of FILE, on a photo.",
)
@click.option(
    "--init-range",
    type=(float, float),
    help=f"What a {_TFLITE} file takes for black and white, where it does not say so: 0 1, -1 1 or 0 255.",
)
@click.pass_context
def command(
    context: click.Context,
    file: Path,
    out: Path,
    classes: str | None,
    parity: bool,
    init_range: tuple[float, float] | None,
) -> None:
    """Make a checkpoint of FILE, a DeepLab of Google's code or of torchvision.

    FILE is a frozen graph of research/deeplab (.pb), a tarball with a frozen_inference_graph.pb in it (.tar.gz, .tgz,
    .tar), or a .tflite file, quantized or not: DeepLabV3 with MobileNetV2 of any width, without atrous branches. Or
    the state dict (.pth, .pt, .safetensors) of torchvision's deeplabv3_resnet50, deeplabv3_resnet101 or
    deeplabv3_mobilenet_v3_large, with any number of classes.

    A frozen graph is read without TensorFlow. TensorFlow then runs it on a photo, and each layer must give what ours
    does, or nothing is written. The weights of a quantized file are as exact as its integers: a start for training.
    """
    from edge_deeplab.errors import OutputError, SpecError
    from edge_deeplab.extras import require_extra

    if out.suffix != _CHECKPOINT:
        raise SpecError(f"{out} is no name for a checkpoint: it must end in {_CHECKPOINT}")
    if out.exists() and file.exists() and out.samefile(file):
        raise OutputError(f"{out} is the input itself, and would be overwritten: choose another name")
    suffix = file.suffix.lower()
    if suffix != _TFLITE:
        refuse_options(context, ["init_range"], f"goes with a {_TFLITE} file: of others it is known")
    require_extra("train", "importing a model", "torch", "safetensors")

    from rich.console import Console

    from edge_deeplab.files import make_folder, sha256
    from edge_deeplab.importing.class_names import class_names
    from edge_deeplab.importing.torchvision_deeplab import SUFFIXES
    from edge_deeplab.models.loading import save_state
    from edge_deeplab.spec import ModelSpec

    with Console(stderr=True).status(f"reading {file.name}"):
        if suffix == _TFLITE:
            done = _tflite(file, init_range, parity)
        elif suffix in SUFFIXES:
            done = _torchvision(file, parity)
        else:
            done = _frozen_graph(file, parity)
    names = class_names(done.spec.num_classes, classes)
    spec = ModelSpec(done.spec, height=done.height, width=done.width, classes=names)
    make_folder(out.parent)
    notes = {"imported": {"file": file.name, "sha256": sha256(file)} | done.notes}
    save_state(out, spec, done.network.state_dict(), notes=notes)
    console = Console()
    if done.comparison:
        console.print(done.comparison, soft_wrap=True)
    console.print(
        f"{out} written: {done.spec.backbone_words} with DeepLabV3, output stride "
        f"{done.spec.output_stride}, {spec.height}x{spec.width}, classes {', '.join(names)}",
        soft_wrap=True,
    )


def _frozen_graph(file: Path, parity: bool) -> _Imported:
    from edge_deeplab.importing.frozen_deeplab import graph_bytes, read_frozen_deeplab
    from edge_deeplab.importing.network import build_imported, network_spec

    content = graph_bytes(file)
    found = read_frozen_deeplab(content, str(file))
    spec = network_spec(found)
    network = build_imported(found, spec)
    if not parity:
        return _Imported(network, spec, found.height, found.width, "", {})

    from converters.frozen_graph import run_frozen_graph
    from edge_deeplab.data.bundled import bundled_portrait
    from edge_deeplab.image import resize_area
    from edge_deeplab.importing.parity import compare_layers, compared_tensors

    photo = resize_area(bundled_portrait(), found.height, found.width)
    compared = compare_layers(network, found, run_frozen_graph(content, photo, compared_tensors(found)))
    compared.require(str(file))
    sentence = (
        f"{len(compared.layers)} layers are TensorFlow's: {compared.worst.name} differs most, by "
        f"{compared.worst.greatest:.1e} of its greatest value; {compared.same_class:.2%} of the pixels keep their class"
    )
    notes = {"worst_layer": compared.worst.name, "difference": compared.worst.greatest, "same": compared.same_class}
    return _Imported(network, spec, found.height, found.width, sentence, notes)


def _tflite(file: Path, init_range: tuple[float, float] | None, parity: bool) -> _Imported:
    import torch

    from edge_deeplab.data.bundled import bundled_images
    from edge_deeplab.image import resize_area
    from edge_deeplab.importing.tflite_deeplab import build_folded, fed, read_tflite_deeplab
    from edge_deeplab.runtime.foreign.adaptation import InputRange

    found = read_tflite_deeplab(file, None if init_range is None else InputRange.uniform(*init_range))
    photos = [image for _, image in bundled_images()[:_STATISTICS_IMAGES]]
    pixels = [torch.from_numpy(resize_area(photo, _STATISTICS_SIDE, _STATISTICS_SIDE)) for photo in photos]
    network = build_folded(found, torch.stack(pixels).permute(0, 3, 1, 2) / 255)
    if not parity:
        return _Imported(network, found.spec, found.height, found.width, "", {})

    from converters.tflite_probe import tensor_values
    from edge_deeplab.importing.parity import same_classes

    photo = resize_area(photos[0], found.height, found.width)
    logits = tensor_values(file.read_bytes(), fed(photo, found))[found.logits]
    same = same_classes(network, photo, logits, str(file))
    sentence = f"{same:.1%} of the pixels have the class that LiteRT gives them"
    return _Imported(network, found.spec, found.height, found.width, sentence, {"same": same})


def _torchvision(file: Path, parity: bool) -> _Imported:
    from edge_deeplab.importing.torchvision_deeplab import (
        SIDE,
        build_torchvision,
        compare_with_torchvision,
        read_torchvision_deeplab,
    )
    from edge_deeplab.models.pretrained import fold_normalization

    found = read_torchvision_deeplab(file)
    network = build_torchvision(found)
    sentence, notes = "", {}
    if parity:
        from edge_deeplab.data.bundled import bundled_portrait
        from edge_deeplab.image import resize_area

        compared = compare_with_torchvision(network, found, resize_area(bundled_portrait(), SIDE, SIDE))
        compared.require(str(file))
        sentence = (
            f"the scores are those of torchvision's {found.name}, but for {compared.worst.greatest:.1e} of the "
            f"greatest; {compared.same_class:.2%} of the pixels keep their class"
        )
        notes = {"difference": compared.worst.greatest, "same": compared.same_class}
    fold_normalization(network.backbone)
    return _Imported(network, found.spec, SIDE, SIDE, sentence, notes)
