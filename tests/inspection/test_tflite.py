"""TFLite files, ours and changed ones: what computes in integers, what it costs, what LiteRT makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch.nn import Conv2d

from converters.tflite_metadata import with_metadata
from edge_deeplab.artifact import Artifact, load_artifact
from edge_deeplab.files import sha256
from edge_deeplab.inspection.summary import ModelSummary
from edge_deeplab.inspection.tflite import summarize_tflite
from edge_deeplab.inspection.verdict import Kind
from edge_deeplab.models.cost import count_cost
from edge_deeplab.models.deeplab import DeepLab
from edge_deeplab.models.loading import load_network
from edge_deeplab.quantization.affine import Affine
from edge_deeplab.quantization.ranges import load_ranges, ranges_path
from edge_deeplab.runtime.litert import Delegation
from edge_deeplab.spec import Format, IoType, ModelSpec, Precision, Target
from edge_deeplab.weights import shipped_card, shipped_checkpoint, shipped_model

from .conftest import flex_sigmoid, float_ends, float_island, second_graph, wrong_zero_point

Edited = Callable[[Callable[[Any], None]], Path]
PEERS = Path(__file__).resolve().parents[2] / "../shared/peers"


@pytest.fixture(scope="module")
def shipped() -> ModelSummary:
    return summarize_tflite(shipped_model())


def test_the_shipped_file_is_integer_throughout(shipped: ModelSummary, shipped_operators: list[str]) -> None:
    assert shipped.kind is Kind.INTEGER
    assert shipped.verdict == (
        f"integer throughout: {len(shipped_operators) - 2} of {len(shipped_operators)} operators compute in int8; "
        "the others are 2 QUANTIZE at the ends"
    )
    assert shipped.sidecar is not None
    assert (shipped.sidecar.target, shipped.sidecar.fits, shipped.sidecar.broken_promise) == ("tflite-int8", True, "")
    assert shipped.execution is not None
    assert shipped.execution.delegation == Delegation(
        partitions=1, delegated=len(shipped_operators) - 2, left=("QUANTIZE", "QUANTIZE")
    )
    (image,), (output,) = shipped.inputs, shipped.outputs
    spec = load_artifact(shipped_model()).spec
    size = (1, spec.height, spec.width)
    assert (image.type, image.shape, image.layout, image.zero_point) == ("uint8", (*size, 3), "NHWC", 0)
    assert image.scale == pytest.approx(1 / 255)
    assert (output.shape, output.scale, output.meaning) == ((*size, 1), 1 / 256, "probability")


def test_it_multiplies_as_often_as_its_checkpoint(shipped: ModelSummary) -> None:
    network, checkpoint = load_network(shipped_checkpoint())
    cost = count_cost(network, checkpoint.spec.height, checkpoint.spec.width)
    assert shipped.multiply_adds == cost.multiply_adds
    assert sum(row.multiply_adds or 0 for row in shipped.operators) == cost.multiply_adds
    # One int8 weight for each of the network's, whose biases and BatchNorm became an int32 for each channel.
    weights = sum(p.numel() for p in network.parameters() if p.ndim == 4)
    biases = sum(module.out_channels for module in network.modules() if hasattr(module, "out_channels"))
    assert shipped.weights["int8"] == weights
    assert shipped.weights["int32"] >= 4 * biases


def test_its_quantization_is_that_of_its_ranges(shipped: ModelSummary) -> None:
    activations = [tensor for tensor in shipped.quantized if not tensor.constant and tensor.type == "int8"]
    assert all(tensor.axis is None and len(tensor.scales) == 1 for tensor in activations)
    ranges = load_ranges(ranges_path(shipped_checkpoint()))
    given = {(activation.affine.scale, activation.affine.zero_point) for activation in ranges.activations.values()}
    rounded = {(float(np.float32(scale)), zero_point) for scale, zero_point in given}  # as a flatbuffer holds them
    assert {(tensor.scales[0], tensor.zero_points[0]) for tensor in activations} == rounded
    for tensor in activations:
        affine = Affine(tensor.scales[0], tensor.zero_points[0])
        assert (tensor.low, tensor.high) == pytest.approx((affine.low, affine.high))
    weights = [tensor for tensor in shipped.quantized if tensor.constant and tensor.type == "int8"]
    assert len(weights) == len(ranges.weights) > 50
    assert {tensor.axis for tensor in weights if len(tensor.scales) > 1} == {0, 3}  # OHWI, depthwise 1HWO
    assert all(set(tensor.zero_points) == {0} for tensor in weights)


@pytest.mark.convert
@pytest.mark.parametrize(
    ("precision", "kind", "words"),
    [
        (Precision.FLOAT32, Kind.FLOAT, "float throughout: all "),
        (Precision.FLOAT16, Kind.FLOAT, "the weights are stored as float16 and turned into float32"),
        (Precision.DYNAMIC, Kind.HYBRID, "have integer weights and float activations ({dense} CONV_2D)"),
    ],
)
def test_the_float_files(
    small_flatbuffers: Mapping[Precision, bytes],
    small_network: DeepLab,
    tmp_path: Path,
    precision: Precision,
    kind: Kind,
    words: str,
) -> None:
    path = tmp_path / "small.tflite"
    path.write_bytes(small_flatbuffers[precision])
    summary = summarize_tflite(path)
    assert summary.kind is kind
    # TensorFlow leaves weights of fewer than 1024 elements in float.
    weights = [layer.weight for layer in small_network.modules() if isinstance(layer, Conv2d) and layer.groups == 1]
    assert words.format(dense=sum(weight.numel() >= 1024 for weight in weights)) in summary.verdict
    assert summary.multiply_adds == count_cost(small_network, 96, 96).multiply_adds
    assert (summary.sidecar, summary.inputs[0].meaning) == (None, "any real number")


def test_floats_at_the_ends_are_not_floats_inside(edited: Edited) -> None:
    summary = summarize_tflite(edited(float_ends))
    assert summary.kind is Kind.INTEGER
    assert summary.verdict.endswith("the others are QUANTIZE, DEQUANTIZE at the ends")
    assert summary.inputs[0].type == "float32"
    assert summary.execution is not None
    assert summary.execution.problem == ""


def test_a_float_island_is_named_and_breaks_the_promise_of_the_sidecar(
    edited: Edited, shipped_operators: list[str]
) -> None:
    path = edited(float_island)
    Artifact(
        path, ModelSpec(), Target(Format.TFLITE, Precision.INT8), IoType.UINT8, sha256(path), "0" * 64
    ).write_sidecar()
    summary = summarize_tflite(path)
    assert summary.kind is Kind.MIXED
    without_ends = len(shipped_operators) - 2
    assert summary.verdict == (
        f"float inside: 1 of {without_ends} operators computes in float (LOGISTIC): this is no integer file"
    )
    assert summary.sidecar is not None
    assert "promises int8, which is integer inside, and the file is mixed" in summary.sidecar.broken_promise
    assert summary.multiply_adds == summarize_tflite(shipped_model()).multiply_adds


def test_the_sidecar_of_another_file_is_called_so_and_one_that_cannot_be_read_is_noted(edited: Edited) -> None:
    path = edited(float_ends)
    artifact = Artifact(path, ModelSpec(), Target(Format.TFLITE, Precision.INT8), IoType.UINT8, "1" * 64, "0" * 64)
    artifact.write_sidecar()
    sidecar = summarize_tflite(path).sidecar
    assert sidecar is not None
    assert not sidecar.fits
    artifact.sidecar.write_text("{}")
    summary = summarize_tflite(path)
    assert summary.sidecar is None
    assert "is not a sidecar of this version" in summary.notes[-1]


def test_a_foreign_operator_is_named_and_its_cost_not_guessed(edited: Edited) -> None:
    summary = summarize_tflite(edited(flex_sigmoid))
    assert summary.facts["custom operators"] == ["FlexSigmoid (TensorFlow's own)"]
    assert "multiply-adds not counted: 1 FlexSigmoid" in summary.notes
    assert [(row.operator, row.multiply_adds) for row in summary.operators if row.custom] == [("FlexSigmoid", None)]
    assert summary.execution is not None
    assert summary.execution.delegation is None
    assert "Select TensorFlow op" in summary.execution.problem


def test_a_file_on_which_litert_crashes_can_be_looked_into(edited: Edited) -> None:
    summary = summarize_tflite(edited(wrong_zero_point))
    assert summary.execution is not None
    assert summary.execution.problem.startswith("it crashes on this file (SIG")
    assert summary.kind is Kind.INTEGER


def test_further_subgraphs_are_counted_and_mentioned(
    edited: Edited, shipped: ModelSummary, shipped_operators: list[str]
) -> None:
    summary = summarize_tflite(edited(second_graph))
    assert summary.multiply_adds == 2 * shipped.multiply_adds
    assert summary.tensors == 2 * shipped.tensors
    assert summary.weights == shipped.weights  # both read the same buffers
    assert f"1 further subgraphs with {len(shipped_operators)} operators" in summary.notes[0]


def test_metadata_are_shown(tmp_path: Path, shipped: ModelSummary) -> None:
    path = with_metadata(shipped_model(), tmp_path / "described.tflite", shipped_card())
    facts = summarize_tflite(path).facts
    assert facts.keys() - shipped.facts.keys() == {"name", "author", "license", "normalization", "labels", "activation"}
    assert facts["normalization"] == "mean and deviation, in bytes: 0, 255"
    assert (facts["labels"], facts["activation"]) == (["person"], "none is left to the app")
    assert facts["description"] != shipped.facts["description"]
    path.write_bytes(path.read_bytes().replace(b"labels.txt", b"labels.tx0", 1))  # a name that the archive lacks
    damaged = summarize_tflite(path)
    assert damaged.kind is Kind.INTEGER
    assert any("damaged metadata" in note for note in damaged.notes)


@pytest.mark.shared_data
@pytest.mark.skipif(not PEERS.is_dir(), reason="the models of ../shared/peers are not beside the checkout")
@pytest.mark.parametrize(
    ("name", "kind", "million", "execution"),
    [
        ("deeplabv3_mnv2_pascal_quant.tflite", Kind.INTEGER, 2740.7, (2, ("AVERAGE_POOL_2D", "ARG_MAX"))),
        ("deeplab_aiseg_quant513.tflite", Kind.INTEGER, 2798.1, None),
        ("selfie_segmenter.tflite", Kind.FLOAT, 59.2, (1, ())),
        ("slim_reshape_v2.tflite", Kind.FLOAT, 296.5, (1, ())),
    ],
)
def test_files_of_other_projects(
    name: str, kind: Kind, million: float, execution: tuple[int, tuple[str, ...]] | None
) -> None:
    summary = summarize_tflite(PEERS / name)
    assert summary.kind is kind
    assert summary.multiply_adds / 1e6 == pytest.approx(million, abs=0.05)
    assert ("; the other is QUANTIZE inside" in summary.verdict) == (name == "deeplabv3_mnv2_pascal_quant.tflite")
    assert summary.execution is not None
    share = summary.execution.delegation
    assert (None if share is None else (share.partitions, share.left)) == execution
    assert ("XNNPACK refuses it" in summary.execution.problem) == (execution is None)
