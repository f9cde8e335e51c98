"""Core ML packages: the small network in two precisions, and changed descriptions of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from converters.coreml import packages
from converters.coreml_recipe import Recipe
from edge_deeplab.doctor.examination import examine
from edge_deeplab.doctor.finding import Client, Effect, Finding
from edge_deeplab.errors import ModelFileError
from edge_deeplab.runtime.coreml.package import load_model, model_file
from edge_deeplab.runtime.coreml.protobuf import messages
from edge_deeplab.spec import Precision

pytestmark = pytest.mark.convert


@pytest.fixture(scope="module")
def converted(small_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Precision, Path]:
    folder = tmp_path_factory.mktemp("coreml")
    recipes = [Recipe.of(precision) for precision in (Precision.FLOAT32, Precision.FLOAT16)]
    with packages(small_checkpoint, recipes) as made:
        return {r.precision: Path(shutil.copytree(made[r], folder / f"{r.precision}.mlpackage")) for r in recipes}


@pytest.fixture
def changed(converted: dict[Precision, Path], tmp_path: Path) -> Callable[[Callable[[Any], None]], Path]:
    """A copy of the float16 package after a change of its protobuf."""

    def write(change: Callable[[Any], None]) -> Path:
        copy = shutil.copytree(converted[Precision.FLOAT16], tmp_path / "changed.mlpackage")
        model = load_model(model_file(copy))
        change(model)
        model_file(copy).write_bytes(model.SerializeToString())
        return copy

    return write


def found(path: Path) -> dict[tuple[str, Client], Finding]:
    return {(finding.check, finding.client): finding for finding in examine(path).findings}


def test_float16_fails_nobody_and_float32_leaves_the_neural_engine(converted: dict[Precision, Path]) -> None:
    assert found(converted[Precision.FLOAT16]) == {}
    wide = found(converted[Precision.FLOAT32])
    assert set(wide) == {("float32", Client.NEURAL_ENGINE)}
    finding = wide["float32", Client.NEURAL_ENGINE]
    assert finding.effect is Effect.SLOWER
    assert finding.message.startswith(f"{len(finding.where)} of {len(finding.where)} operators")


def test_a_choice_of_sizes(changed: Callable[[Callable[[Any], None]], Path]) -> None:
    def flexible(model: Any) -> None:
        sizes = model.description.input[0].type.imageType.imageSizeRange
        sizes.widthRange.lowerBound, sizes.widthRange.upperBound = 32, 512

    findings = found(changed(flexible))
    assert findings["free-size", Client.NEURAL_ENGINE].where == ("image",)


@pytest.mark.parametrize("kind", ["lstm", "resample"])
def test_an_operator_that_the_neural_engine_does_not_run(
    changed: Callable[[Callable[[Any], None]], Path], kind: str
) -> None:
    names = []

    def renamed(model: Any) -> None:
        (block,) = model.mlProgram.functions["main"].block_specializations.values()
        operation = next(each for each in block.operations if each.type == "upsample_bilinear")
        operation.type = kind
        names.append(operation.outputs[0].name)

    examination = examine(changed(renamed))
    (finding,) = [f for f in examination.findings if f.check == "operator"]
    assert (finding.client, finding.effect, finding.where) == (Client.NEURAL_ENGINE, Effect.SLOWER, tuple(names))
    assert f"does not run 1 {kind}" in finding.message
    assert "Apple has no list" in examination.unchecked[Client.NEURAL_ENGINE]


def test_an_array_is_no_picture(changed: Callable[[Callable[[Any], None]], Path]) -> None:
    def array(model: Any) -> None:
        kind = model.description.input[0].type.multiArrayType
        kind.shape.extend((2, 3, 96, 96))
        kind.dataType = messages().FeatureTypes_pb2.ArrayFeatureType.FLOAT16

    findings = found(changed(array))
    assert findings["image-input", Client.VISION].effect is Effect.REFUSED
    assert {("half-arrays", Client.COREML), ("batch", Client.ANY)} <= set(findings)


def test_another_alignment(changed: Callable[[Callable[[Any], None]], Path]) -> None:
    def aligned(model: Any) -> None:
        (block,) = model.mlProgram.functions["main"].block_specializations.values()
        names = {
            operation.inputs["align_corners"].arguments[0].name
            for operation in block.operations
            if operation.type == "upsample_bilinear"
        }
        for operation in block.operations:
            if operation.type == "const" and operation.outputs[0].name in names:
                operation.attributes["val"].immediateValue.tensor.bools.values[:] = [True]

    finding = found(changed(aligned))["resize-alignment", Client.ANY]
    assert finding.effect is Effect.NOTE
    assert finding.message.startswith("3 resizes with aligned corners")


def test_a_newer_system(changed: Callable[[Callable[[Any], None]], Path]) -> None:
    def newer(model: Any) -> None:
        model.specificationVersion = 9

    assert "iOS 18" in found(changed(newer))["system", Client.COREML].message


def test_what_is_no_package_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.mlpackage").mkdir()
    with pytest.raises(ModelFileError, match=r"has no Manifest\.json"):
        examine(tmp_path / "empty.mlpackage")
