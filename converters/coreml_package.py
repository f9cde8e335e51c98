"""A converted program as a package: what it says about itself, and the same bytes for the same network."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

from converters.coreml_recipe import INPUT, Recipe
from edge_deeplab import __version__
from edge_deeplab.files import sha256
from edge_deeplab.spec import ModelSpec, Precision

_DATE = "com.github.apple.coremltools.conversion_date"
_SOURCE = "com.github.apple.coremltools.source"
_PREVIEW_TYPE = "com.apple.coreml.model.preview.type"
_PREVIEW_PARAMETERS = "com.apple.coreml.model.preview.params"
_BACKGROUND = ("background", "#000000")
_COLOURS = ("#00c8ff", "#ff7d00", "#6fdc00", "#d400ff", "#ffd500", "#ff0055", "#0055ff", "#00ffa2")

_SAID = {
    Precision.FLOAT32: "float32",
    Precision.FLOAT16: "float16",
    Precision.INT8: "int8 weights, one scale an output channel, float16 activations",
    Precision.PALETTIZED6: "weights in palettes of 64 values, float16 activations",
    Precision.PALETTIZED4: "weights in palettes of 16 values, float16 activations",
    Precision.W8A8: "int8 weights and activations",
}


def save_package(model: Any, path: Path, spec: ModelSpec, recipe: Recipe) -> None:
    """Write a package with its metadata.

    Args:
        model: a ``coremltools.models.MLModel``.
        path: a folder that does not exist yet, ending in .mlpackage.
        spec: the network.
        recipe: what the program was made to.
    """
    model.save(str(path))
    (place,) = path.rglob("*.mlmodel")
    program = model.get_spec()
    _describe(program.description, spec, recipe)
    # Protobuf writes maps in any order unless it is asked not to.
    place.write_bytes(program.SerializeToString(deterministic=True))
    _name_items(path)


def _describe(description: Any, spec: ModelSpec, recipe: Recipe) -> None:
    size = f"{spec.height} x {spec.width}"
    classes = ", ".join(spec.classes)
    metadata = description.metadata
    metadata.author = "edge-deeplab"
    metadata.license = "Apache-2.0"
    metadata.versionString = __version__
    metadata.shortDescription = (
        f"DeepLab segmentation of {classes} ({_SAID[recipe.precision]}). "
        "An RGB image in, the probability of each pixel out; stretch the frame to the input's size."
    )
    described = {INPUT: f"RGB image, {size} pixels; 0..255, which the program itself divides by 255."}
    described[recipe.output] = (
        f"Grey image, {size} pixels: probability * 255 of {classes}."
        if recipe.grey
        else f"Probability of {classes} for each pixel, in [0, 1]: 1 x {len(spec.classes)} x {size}."
    )
    for feature in (*description.input, *description.output):
        feature.shortDescription = described[feature.name]
    custom = metadata.userDefined
    del custom[_DATE]
    custom[_SOURCE] = custom[_SOURCE].partition("+")[0]  # "torch==2.15.0+cu132": not the build's name
    custom[_PREVIEW_TYPE] = "imageSegmenter"
    custom[_PREVIEW_PARAMETERS] = json.dumps(_preview(spec))


def _preview(spec: ModelSpec) -> dict[str, list[str]]:
    """A name and a colour for each class; one class is told from the background that it leaves."""
    named = [(name, _COLOURS[index % len(_COLOURS)]) for index, name in enumerate(spec.classes)]
    if len(named) == 1:
        named.insert(0, _BACKGROUND)
    return {"labels": [name for name, _ in named], "colors": [colour for _, colour in named]}


def _name_items(path: Path) -> None:
    """Give the manifest's items, which coremltools numbers at random, names made of their content."""
    place = path / "Manifest.json"
    manifest = json.loads(place.read_text())
    data, renamed = path / "Data", {}
    for old, entry in manifest["itemInfoEntries"].items():
        content = f"{entry['path']} {sha256(data / entry['path'])}"
        renamed[old] = str(uuid.uuid5(uuid.NAMESPACE_URL, content)).upper()
    entries = {renamed[old]: entry for old, entry in manifest["itemInfoEntries"].items()}
    manifest["itemInfoEntries"] = dict(sorted(entries.items(), key=lambda item: item[1]["path"]))
    manifest["rootModelIdentifier"] = renamed[manifest["rootModelIdentifier"]]
    place.write_text(json.dumps(manifest, indent=4) + "\n")
