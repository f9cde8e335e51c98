"""The small network as Core ML packages, read back by coremltools' own loader and by this file's few lines."""

from __future__ import annotations

import copy
import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from calibration.collect import collect_ranges
from calibration.images import bundled_calibration
from converters import coreml
from converters.check import made_pictures
from converters.coreml_check import check_package, stored_network
from converters.coreml_recipe import DeploymentTarget, Recipe
from converters.coreml_rounding import halves, input_moments, neighbours, second_moments
from converters.coreml_weights import Storage, corrected_bias, input_means, require_float16, storages
from converters.palette import Palette
from edge_deeplab.artifact import load_artifact
from edge_deeplab.checkpoint import load_checkpoint, save_checkpoint
from edge_deeplab.errors import ConversionError, MissingExtraError, OutputError, RangesError, SpecError
from edge_deeplab.files import sha256
from edge_deeplab.models.deeplab import DeepLab, build_network
from edge_deeplab.quantization.bias_correction import mean_loss
from edge_deeplab.quantization.graph import QuantizationGraph, quantization_graph
from edge_deeplab.quantization.integers import layer_integers
from edge_deeplab.quantization.ranges import QuantRanges, save_ranges
from edge_deeplab.runtime.coreml.protobuf import messages
from edge_deeplab.runtime.opening import open_session
from edge_deeplab.spec import IoType, ModelSpec, Precision
from edge_deeplab.weights import shipped_checkpoint

pytestmark = pytest.mark.convert

FLOAT32, FLOAT16, INT8 = (Recipe.of(name) for name in (Precision.FLOAT32, Precision.FLOAT16, Precision.INT8))
PALETTE6, PALETTE4 = Recipe.of(Precision.PALETTIZED6), Recipe.of(Precision.PALETTIZED4)
W8A8, MASK = Recipe.of(Precision.W8A8), Recipe.of(Precision.FLOAT16, DeploymentTarget.IOS16, IoType.IMAGE)
RECIPES = (FLOAT32, FLOAT16, INT8, PALETTE6, PALETTE4, W8A8, MASK)


def named(recipe: Recipe) -> str:
    return f"{recipe.precision}-{recipe.io}"


@pytest.fixture(scope="module")
def ranges(small_network: DeepLab, small_spec: ModelSpec, small_checkpoint: Path) -> QuantRanges:
    images, digest = bundled_calibration(), sha256(small_checkpoint)
    return collect_ranges(small_network, small_spec, images, checkpoint_sha256=digest)


@pytest.fixture(scope="module")
def network(small_network: DeepLab) -> QuantizationGraph:
    return quantization_graph(small_network, 1)


@pytest.fixture(scope="module")
def packages(small_checkpoint: Path, ranges: QuantRanges) -> Iterator[Mapping[Recipe, Path]]:
    """Every recipe, by one run of coremltools."""
    with coreml.packages(small_checkpoint, RECIPES, ranges) as made:
        yield made


@pytest.fixture
def package(packages: Mapping[Recipe, Path], tmp_path: Path) -> Any:
    """A copy of a recipe's package, to be spoilt."""
    return lambda recipe: Path(shutil.copytree(packages[recipe], tmp_path / "copy.mlpackage"))


@dataclass
class Written:
    """A package as this file reads it: no line is shared with what the converter checks it by."""

    package: Path

    def __post_init__(self) -> None:
        (self.place,) = self.package.rglob("*.mlmodel")
        self.model = messages().Model_pb2.Model()
        self.model.ParseFromString(self.place.read_bytes())
        (function,) = self.model.mlProgram.functions.values()
        (block,) = function.block_specializations.values()
        self.operations = list(block.operations)
        self.blob = (self.package / "Data/com.apple.CoreML/weights/weight.bin").read_bytes()
        self.constants = {op.outputs[0].name: op for op in self.operations if op.type == "const"}

    def of(self, kind: str) -> list[Any]:
        return [op for op in self.operations if op.type == kind]

    def count(self) -> Counter[str]:
        return Counter(op.type for op in self.operations if op.type != "const")

    def array(self, value: Any, dtype: Any) -> np.ndarray:
        shape = [dimension.constant.size for dimension in value.type.tensorType.dimensions]
        count = int(np.prod(shape, dtype=int))
        if value.WhichOneof("value") == "blobFileValue":
            start = int.from_bytes(self.blob[value.blobFileValue.offset + 16 :][:8], "little")
            return np.frombuffer(self.blob, dtype, count, start).reshape(shape)
        tensor = value.immediateValue.tensor
        values = getattr(tensor, tensor.WhichOneof("value")).values
        return (np.frombuffer(values, dtype) if isinstance(values, bytes) else np.array(values, dtype)).reshape(shape)

    def parameter(self, op: Any, name: str, dtype: Any) -> Any:
        """A constant input of an operator; None if it has none of that name."""
        if name not in op.inputs:
            return None
        return self.array(self.constants[op.inputs[name].arguments[0].name].attributes["val"], dtype)

    def stored(self, conv: Any) -> Any:
        """The operator that gives a convolution's weights."""
        name = conv.inputs["weight"].arguments[0].name
        return next(op for op in self.operations if op.outputs[0].name == name)

    def save(self) -> None:
        self.place.write_bytes(self.model.SerializeToString())


@pytest.mark.parametrize("recipe", RECIPES, ids=named)
def test_a_package_passes_every_check_and_gives_pytorchs_probabilities(
    recipe: Recipe,
    packages: Mapping[Recipe, Path],
    ranges: QuantRanges,
    small_checkpoint: Path,
    small_spec: ModelSpec,
    tmp_path: Path,
) -> None:
    out = tmp_path / "small.mlpackage"
    artifact = coreml.convert(small_checkpoint, out, recipe, ranges, package=packages[recipe])
    artifact.write_sidecar()
    assert load_artifact(out) == artifact
    assert (artifact.spec, artifact.target, artifact.io) == (small_spec, recipe.target, recipe.io)
    assert artifact.tools["coremltools"] == "9.0"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.mlpackage", "small.mlpackage.json"]
    with open_session(small_checkpoint) as reference, open_session(out) as session:
        pictures = made_pictures(96, 96, count=5)[3:]
        errors = [np.abs(session.run(picture) - reference.run(picture)) for picture in pictures]
    assert np.mean(errors) < {Precision.FLOAT32: 1e-5, Precision.FLOAT16: 3e-3}.get(recipe.precision, 0.02)
    if recipe is FLOAT32:
        assert np.max(errors) < 1e-4


@pytest.mark.parametrize("recipe", RECIPES, ids=named)
def test_it_says_what_it_takes_gives_and_is(recipe: Recipe, packages: Mapping[Recipe, Path]) -> None:
    written = Written(packages[recipe])
    description, metadata = written.model.description, written.model.description.metadata
    assert written.model.specificationVersion == {"iOS15": 6, "iOS16": 7, "iOS17": 8}[recipe.deployment_target]
    (image,), (result,) = description.input, description.output
    kind = image.type.imageType
    assert (image.name, kind.width, kind.height, kind.colorSpace) == ("image", 96, 96, 20)  # 20: RGB
    (scaling,) = [op for op in written.of("mul") if op.inputs["x"].arguments[0].name == "image"]
    assert written.parameter(scaling, "y", np.float32) == np.float32(1 / 255)
    if recipe is MASK:
        assert (result.name, result.type.imageType.colorSpace, result.type.imageType.width) == ("mask", 10, 96)
    else:
        assert result.name == "probability"
        assert list(result.type.multiArrayType.shape) == [1, 1, 96, 96]
        assert result.type.multiArrayType.dataType == 65568  # FLOAT32
    assert metadata.license == "Apache-2.0"
    assert metadata.author
    assert metadata.versionString
    assert "person" in metadata.shortDescription
    assert "person" in result.shortDescription
    assert "96 x 96" in image.shortDescription
    assert metadata.userDefined["com.apple.coreml.model.preview.type"] == "imageSegmenter"
    preview = json.loads(metadata.userDefined["com.apple.coreml.model.preview.params"])
    assert preview["labels"] == ["background", "person"]
    assert len(set(preview["colors"])) == 2
    text = json.dumps(dict(metadata.userDefined))
    assert "date" not in text
    assert "+" not in text  # a build's own name


def test_every_convolution_is_stored_as_its_target_promises(
    packages: Mapping[Recipe, Path], network: QuantizationGraph
) -> None:
    convs = [network.conv(layer) for layer in network.convolutions]
    counts = {recipe: Written(packages[recipe]).count() for recipe in RECIPES}
    for recipe in (FLOAT32, FLOAT16, MASK):
        assert not [kind for kind in counts[recipe] if kind.startswith("constexpr") or "quantize" in kind]
    for recipe in (INT8, W8A8):
        assert counts[recipe]["constexpr_affine_dequantize"] == counts[recipe]["conv"] == len(convs)
    weights = sum(conv.weight.numel() for conv in convs)
    dense = [conv.weight.numel() / weights for conv in convs if conv.groups == 1]
    for recipe in (PALETTE6, PALETTE4):
        tables = [
            op for conv in Written(packages[recipe]).of("conv") for op in [Written(packages[recipe]).stored(conv)]
        ]
        kinds = Counter(op.type for op in tables)
        assert kinds["constexpr_lut_to_dense"] == sum(share >= 0.015 for share in dense) > 10
        assert kinds["constexpr_lut_to_dense"] + kinds["constexpr_affine_dequantize"] == len(convs)
    assert counts[W8A8]["quantize"] == counts[W8A8]["dequantize"] == len(network.points)


def test_w8a8_holds_the_very_numbers_of_the_ranges(
    packages: Mapping[Recipe, Path], network: QuantizationGraph, ranges: QuantRanges
) -> None:
    written = Written(packages[W8A8])
    for kind in ("quantize", "dequantize"):
        found = []
        for op in written.of(kind):
            zero_point = written.parameter(op, "zero_point", np.int8)
            found.append(
                (written.parameter(op, "scale", np.float32).item(), 0 if zero_point is None else int(zero_point))
            )
        wanted = [ranges.activation(point.name).affine for point in network.points]
        assert found == [(affine.scale, affine.zero_point) for affine in wanted]
    for conv, layer in zip(written.of("conv"), network.convolutions, strict=True):
        integers, scales, bias, steps = layer_integers(network, ranges, layer)
        stored = written.stored(conv).attributes
        np.testing.assert_array_equal(written.array(stored["quantized_data"], np.int8), integers)
        np.testing.assert_array_equal(written.array(stored["scale"], np.float32), scales)
        np.testing.assert_array_equal(
            written.parameter(conv, "bias", np.float32), (bias.astype(np.float64) * steps).astype(np.float32)
        )


def test_float16_gives_back_in_the_biases_what_its_weights_take_off(
    packages: Mapping[Recipe, Path], network: QuantizationGraph, small_spec: ModelSpec
) -> None:
    means, held = input_means(network, small_spec), stored_network(packages[FLOAT16], network, FLOAT16)
    moments, matters = input_moments(network, small_spec), 0
    for layer in network.convolutions:
        conv, stored = network.conv(layer), held.get_submodule(layer.module)
        weights, bias, rounded, found = (
            value.detach().numpy() for value in (conv.weight, conv.bias, stored.weight, stored.bias)
        )
        chosen = halves(conv, moments[layer.name], means[layer.name])
        np.testing.assert_array_equal(rounded, chosen.astype(np.float32))
        loss = mean_loss(weights, rounded, means[layer.name], conv.groups)
        np.testing.assert_allclose(found, bias + loss, rtol=2**-11, atol=1e-7, err_msg=layer.name)
        matters += int((np.abs(loss) > 2**-10 * np.abs(bias) + 1e-7).sum())
    assert matters > 10  # channels whose bias would be another one without


KINDS = {
    "depthwise": lambda: nn.Conv2d(16, 16, 3, groups=16, padding=1),
    "large depthwise": lambda: nn.Conv2d(16, 16, 5, groups=16, padding=2, stride=2),
    "pointwise": lambda: nn.Conv2d(40, 24, 1),
    "first": lambda: nn.Conv2d(3, 8, 3, padding=1, stride=2),
    "atrous": lambda: nn.Conv2d(6, 8, 3, padding=2, dilation=2),
    "grouped": lambda: nn.Conv2d(16, 8, 3, groups=4, padding=1),
}


def _seen(conv: nn.Conv2d, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The moments and the means of these inputs of a convolution, NCHW."""
    x = torch.from_numpy(inputs)
    total, count = second_moments(conv.double(), x)
    conv.float()
    return (total / count).numpy(), inputs.mean((0, 2, 3))


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 2**32 - 1), size=st.sampled_from([1e-6, 1e-2, 1.0, 30.0]))
@settings(max_examples=5, deadline=None)
def test_float16_changes_the_output_less_than_the_nearest_weights_do(kind: str, seed: int, size: float) -> None:
    """On inputs that go up and down together, as pixels do. Each weight is one of its two neighbours in float16."""
    random = np.random.default_rng(seed)
    conv = KINDS[kind]()
    weights = (random.standard_normal(conv.weight.shape) * size).astype(np.float32)
    weights[0], weights[1].ravel()[0] = 0, 0.5  # what is exact stays
    bias = (random.standard_normal(len(weights)) * size).astype(np.float32)
    conv.weight, conv.bias = nn.Parameter(torch.from_numpy(weights)), nn.Parameter(torch.from_numpy(bias))
    shared, own = random.standard_normal((2, 1, 5, 5)), random.standard_normal((2, conv.in_channels, 5, 5))
    inputs = functional.interpolate(torch.from_numpy(1.0 + shared + 0.2 * own), (24, 24), mode="bilinear").numpy()
    moments, means = _seen(conv, inputs)

    found, (nearest, other) = halves(conv, moments, means), neighbours(weights)
    assert found.dtype == np.float16
    assert ((found == nearest) | (found == other)).all()
    assert (found[nearest == weights] == nearest[nearest == weights]).all()

    def squared_error(rounded: np.ndarray) -> np.ndarray:
        stored = copy.deepcopy(conv).double()
        stored_bias = corrected_bias(conv, rounded.astype(np.float32), means).astype(np.float16)
        stored.weight = nn.Parameter(torch.from_numpy(rounded.astype(np.float64)))
        stored.bias = nn.Parameter(torch.from_numpy(stored_bias.astype(np.float64)))
        with torch.no_grad():
            change = stored(torch.from_numpy(inputs)) - copy.deepcopy(conv).double()(torch.from_numpy(inputs))
        return (change**2).mean((0, 2, 3)).numpy()

    lost, before = squared_error(found), squared_error(nearest)
    if size < 1e-5:  # below float16's normal numbers the bias has one step, which may be all that there is to lose
        assert lost.sum() <= 1.01 * before.sum()
    else:
        assert lost.sum() < 0.9 * before.sum()  # 0.1 to 0.75 seen


def test_without_moments_weights_are_the_nearest() -> None:
    conv = nn.Conv2d(3, 5, 3)
    np.testing.assert_array_equal(halves(conv, None, np.zeros(3)), conv.weight.detach().numpy().astype(np.float16))
    nearest, other = neighbours(np.array([65504.0, 65519.0, -65510.0, 1.0, 0.1, -0.1], np.float32))
    assert nearest[:4].tolist() == other[:4].tolist() == [65504.0, 65504.0, -65504.0, 1.0]  # infinity is no neighbour
    assert other[4] < 0.1 < nearest[4] or nearest[4] < 0.1 < other[4]
    assert (nearest[5], other[5]) == (-nearest[4], -other[4])


@pytest.mark.parametrize("last_bottleneck", [True, False])
def test_which_of_the_shipped_models_layers_have_tables_of_16(last_bottleneck: bool) -> None:
    """The large ones, but for the backbone's last where it is there: the largest of all, it does too much harm."""
    shipped = load_checkpoint(shipped_checkpoint()).spec.network
    network = build_network(replace(shipped, last_bottleneck=last_bottleneck)).eval()
    graph = quantization_graph(network, 1)
    forms = storages(graph, PALETTE4)
    large = ["14.expand", "14.project", "15.expand", "15.project"]
    found = [name for name, form in forms.items() if form is Storage.PALETTE4]
    # In the smaller network one more has a twentieth of all weights.
    large = [*large, "16.expand"] if last_bottleneck else ["13.project", *large]
    assert found == [f"backbone.blocks.{block}" for block in large]
    if last_bottleneck:
        assert forms["backbone.blocks.16.project"] is Storage.PALETTE6
        assert storages(graph, PALETTE6)["backbone.blocks.16.project"] is Storage.PALETTE6


def test_a_second_run_gives_the_same_bytes(
    packages: Mapping[Recipe, Path], small_checkpoint: Path, ranges: QuantRanges, tmp_path: Path
) -> None:
    """In a process with other hashes and another number of threads, and without the other recipes before it."""
    chosen = (PALETTE4, W8A8)
    save_ranges(tmp_path / "ranges.json", ranges)
    made = [
        {
            "path": str(tmp_path / f"{recipe.precision}.mlpackage"),
            "precision": recipe.precision,
            "deployment_target": recipe.deployment_target,
            "io": recipe.io,
        }
        for recipe in chosen
    ]
    job = {"checkpoint": str(small_checkpoint), "ranges": str(tmp_path / "ranges.json"), "packages": made}
    (tmp_path / "job.json").write_text(json.dumps(job))
    command = [sys.executable, "-m", "converters.coreml_worker", str(tmp_path / "job.json")]
    environment = {**os.environ, "PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "2"}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    for recipe, entry in zip(chosen, made, strict=True):
        again, before = Path(entry["path"]), packages[recipe]
        for path in sorted(path.relative_to(before) for path in before.rglob("*") if path.is_file()):
            assert (again / path).read_bytes() == (before / path).read_bytes(), path
        assert sha256(again) == sha256(before)


def scale(written: Written, factor: float) -> None:
    (op,) = [op for op in written.of("mul") if op.inputs["x"].arguments[0].name == "image"]
    written.constants[op.inputs["y"].arguments[0].name].attributes["val"].immediateValue.tensor.floats.values[0] *= (
        factor
    )


def smaller(written: Written) -> None:
    """The first convolution as a resize, which only a network of several scales may begin with."""
    written.of("conv")[0].type = "resize"


def bordered(written: Written) -> None:
    written.of("conv")[0].type = "pad"


def blue_first(written: Written) -> None:
    written.model.description.input[0].type.imageType.colorSpace = 30


def other_size(written: Written) -> None:
    written.model.description.input[0].type.imageType.width = 64


def zero_point(written: Written) -> None:
    for op in written.of("quantize")[5:]:
        if "zero_point" in op.inputs:
            constant = written.constants[op.inputs["zero_point"].arguments[0].name]
            constant.attributes["val"].immediateValue.tensor.bytes.values = b"\x07"
            return


def pair_scale(written: Written) -> None:
    op = written.of("dequantize")[9]
    values = (
        written.constants[op.inputs["scale"].arguments[0].name].attributes["val"].immediateValue.tensor.floats.values
    )
    values[0] = float(np.nextafter(np.float32(values[0]), np.float32(1)))


def float_island(written: Written) -> None:
    """The first sum reads what it adds before it was rounded."""
    writers = {op.outputs[0].name: op for op in written.operations}
    op = written.of("add")[0]
    pair = writers[op.inputs["x"].arguments[0].name]
    before = writers[pair.inputs["input"].arguments[0].name].inputs["input"].arguments[0].name
    op.inputs["x"].arguments[0].name = before


def swapped_layers(written: Written) -> None:
    a, b = (written.stored(conv) for conv in written.of("conv")[3:5])
    a.outputs[0].name, b.outputs[0].name = b.outputs[0].name, a.outputs[0].name


def one_weight(written: Written) -> None:
    """The last byte of the largest stored tensor."""
    conv = max(written.of("conv"), key=lambda conv: len(written.stored(conv).SerializeToString()))
    stored = written.stored(conv)
    value = stored.attributes["quantized_data" if "quantized_data" in stored.attributes else "val"]
    start = int.from_bytes(written.blob[value.blobFileValue.offset + 16 :][:8], "little")
    place = written.package / "Data/com.apple.CoreML/weights/weight.bin"
    spoilt = bytearray(written.blob)
    spoilt[start + 1] ^= 0x40
    place.write_bytes(spoilt)


def older(written: Written) -> None:
    written.model.specificationVersion -= 1


@pytest.mark.parametrize(
    ("recipe", "fault", "message"),
    [
        (FLOAT32, lambda written: scale(written, 255 / 256), "multiplies its pixels by"),
        (FLOAT16, lambda written: scale(written, 1 + 2**-20), "multiplies its pixels by"),
        (FLOAT32, smaller, "does more to its pixels"),
        (FLOAT32, bordered, "does more to its pixels"),
        (FLOAT32, blue_first, "instead of one RGB image"),
        (FLOAT32, other_size, "instead of one RGB image"),
        (FLOAT32, older, "specification version 5"),
        (FLOAT32, one_weight, "weights or biases of"),
        (FLOAT16, one_weight, "weights or biases of"),
        (INT8, one_weight, "weights or biases of"),
        (W8A8, one_weight, "weights or biases of"),
        (W8A8, swapped_layers, "weights|have another form"),
        (W8A8, zero_point, "was written with scale and zero point"),
        (W8A8, pair_scale, "was written with scale and zero point"),
        (W8A8, float_island, "computes in float"),
    ],
)
def test_a_fault_in_the_written_files_is_found(
    recipe: Recipe,
    fault: Any,
    message: str,
    package: Any,
    network: QuantizationGraph,
    small_spec: ModelSpec,
    ranges: QuantRanges,
) -> None:
    used = ranges if recipe is W8A8 else None
    copy = package(recipe)
    check_package(copy, network, small_spec, recipe, used)
    written = Written(copy)
    fault(written)
    written.save()
    with pytest.raises(ConversionError, match=message):
        check_package(copy, network, small_spec, recipe, used)


@pytest.mark.parametrize(
    ("made", "asked", "message"),
    [
        (FLOAT16, INT8, "specification version"),
        (FLOAT16, Recipe.of(Precision.INT8, DeploymentTarget.IOS16), "specification version"),
        (MASK, INT8, "output 'mask'"),
        (INT8, PALETTE6, "are stored as constexpr_affine_dequantize instead of constexpr_lut_to_dense"),
        (PALETTE6, PALETTE4, "another form than 4-bit palette"),
        (INT8, Recipe.of(Precision.FLOAT16, DeploymentTarget.IOS16), "instead of const"),
    ],
    ids=str,
)
def test_a_package_is_not_taken_for_another(
    made: Recipe,
    asked: Recipe,
    message: str,
    packages: Mapping[Recipe, Path],
    network: QuantizationGraph,
    small_spec: ModelSpec,
) -> None:
    with pytest.raises(ConversionError, match=message):
        check_package(packages[made], network, small_spec, asked, None)


def test_a_package_of_another_checkpoint_is_refused_and_the_old_one_stays(
    packages: Mapping[Recipe, Path], small_checkpoint: Path, tmp_path: Path
) -> None:
    loaded = load_checkpoint(small_checkpoint)
    weights = {name: value.copy() for name, value in loaded.weights.items()}
    weights["classifier.bias"] += 0.1
    other = tmp_path / "other.safetensors"
    save_checkpoint(other, loaded.spec, weights)
    out = tmp_path / "out" / "model.mlpackage"
    out.mkdir(parents=True)
    (out / "old").write_bytes(b"the old one")
    with pytest.raises(ConversionError, match="weights or biases of classifier"):
        coreml.convert(other, out, FLOAT32, package=packages[FLOAT32])
    assert [path.name for path in out.iterdir()] == ["old"]
    assert list(out.parent.iterdir()) == [out]
    coreml.convert(small_checkpoint, out, FLOAT32, package=packages[FLOAT32])
    assert sorted(path.name for path in out.iterdir()) == ["Data", "Manifest.json"]
    assert list(out.parent.iterdir()) == [out]


def test_a_file_in_the_way_of_a_package_stays(
    packages: Mapping[Recipe, Path], small_checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / "model.mlpackage"
    out.write_bytes(b"a file")
    with pytest.raises(OutputError, match="in each other's way"):
        coreml.convert(small_checkpoint, out, FLOAT32, package=packages[FLOAT32])
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"a file"]


@pytest.mark.parametrize(
    ("precision", "target", "message"),
    [
        (Precision.W8A8, DeploymentTarget.IOS16, "coreml-w8a8 needs the deployment target iOS17 or newer, not iOS16"),
        (Precision.INT8, DeploymentTarget.IOS15, "coreml-int8 needs the deployment target iOS16 or newer"),
        (Precision.PALETTIZED4, DeploymentTarget.IOS15, "coreml-palettized4 needs the deployment target iOS16"),
        (Precision.DYNAMIC, None, "no Core ML target of precision dynamic"),
    ],
)
def test_a_system_that_is_too_old_is_refused(
    precision: Precision, target: DeploymentTarget | None, message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        Recipe.of(precision, target)


def test_what_needs_ranges_wants_those_of_this_checkpoint(
    small_checkpoint: Path, ranges: QuantRanges, tmp_path: Path
) -> None:
    out = tmp_path / "model.mlpackage"
    with pytest.raises(RangesError, match="coreml-w8a8 needs quantization ranges"):
        coreml.convert(small_checkpoint, out, W8A8)
    with pytest.raises(RangesError, match="belong to the checkpoint 000000000000"):
        coreml.convert(small_checkpoint, out, W8A8, replace(ranges, checkpoint_sha256="0" * 64))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("recipe", [FLOAT16, INT8, PALETTE6], ids=named)
def test_a_network_beyond_float16_is_refused(recipe: Recipe, small_checkpoint: Path, tmp_path: Path) -> None:
    known, broken = load_checkpoint(small_checkpoint), tmp_path / "broken.safetensors"
    depthwise = next(name for name in known.weights if name.endswith("depthwise.conv.weight"))
    save_checkpoint(broken, known.spec, {**known.weights, depthwise: known.weights[depthwise] * np.float32(1e9)})
    with pytest.raises(
        ConversionError, match=r"has a weight of size \d.* float16 ends at 65504: convert to coreml-float32"
    ):
        coreml.convert(broken, tmp_path / "out.mlpackage", recipe)
    assert list(tmp_path.iterdir()) == [broken]


@pytest.mark.parametrize("kind", ["weight", "bias"])
@pytest.mark.parametrize(("value", "fits"), [(65504.0, True), (-65505.0, False), (math.nan, False)])
def test_float16_ends_at_65504(kind: str, value: float, fits: bool, network: QuantizationGraph) -> None:
    changed = copy.deepcopy(network)
    layer = changed.convolutions[3]
    with torch.no_grad():
        changed.conv(layer).get_parameter(kind).flatten()[2] = value
    with (
        nullcontext() if fits else pytest.raises(ConversionError, match=f"{re.escape(layer.name)} has a {kind} of size")
    ):
        require_float16(changed)


def test_a_grey_image_holds_one_class(small_spec: ModelSpec) -> None:
    three = ModelSpec(replace(small_spec.network, num_classes=3), 96, 96, ("sky", "person", "dog"))
    with pytest.raises(SpecError, match="a grey image holds one class, and the network has 3"):
        MASK.require_spec(three)
    with pytest.raises(SpecError, match="a grey image rounds to 1/255"):
        Recipe.of(Precision.FLOAT32, io=IoType.IMAGE)


def test_missing_coremltools_is_named(small_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_deeplab.extras.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"'coremltools'.* pip install 'edge-deeplab\[convert\]'"):
        coreml.convert(small_checkpoint, tmp_path / "model.mlpackage", FLOAT32)


def test_indices_are_packed_with_the_lowest_bit_first() -> None:
    # 6 bits: 1, 2, 3 -> bits 100000 010000 110000 -> bytes 0b10000001, 0b00110000, 0b00000000 (filled up)
    packed = Palette(np.zeros(64, np.float16), np.array([1, 2, 3], np.uint8), 6).packed()
    assert packed.tolist() == [0b10000001, 0b00110000, 0b00]
    assert Palette(np.zeros(16, np.float16), np.array([[1, 15], [2, 0]], np.uint8), 4).packed().tolist() == [0xF1, 0x02]
