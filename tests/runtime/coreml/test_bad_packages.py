"""Packages that are damaged, of another kind or of another contract: an error that says which, and what to do."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_deeplab.errors import MissingExtraError, ModelFileError
from edge_deeplab.runtime.coreml import protobuf
from edge_deeplab.runtime.coreml.protobuf import messages
from edge_deeplab.runtime.coreml.reference_session import CoremlReferenceSession
from edge_deeplab.runtime.opening import open_session

from .conftest import MODEL, WEIGHTS, EditModel

MANIFEST = Path("Manifest.json")


@pytest.fixture
def package(small_packages: Mapping[str, Path], tmp_path: Path) -> Path:
    """A good package, to be damaged."""
    return Path(shutil.copytree(small_packages["int8"], tmp_path / "small.mlpackage"))


def refused(package: Path, message: str) -> None:
    with pytest.raises(ModelFileError, match=message) as caught:
        CoremlReferenceSession(package)
    assert package.name in str(caught.value)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        (MANIFEST, r"has no Manifest\.json, so that it is no Core ML package: copy the whole package again"),
        (MODEL, r"model\.mlmodel cannot be read \(No such file or directory\)"),
        (WEIGHTS, r"weight\.bin, which the model needs, cannot be read \(No such file or directory\): copy the whole"),
    ],
    ids=str,
)
def test_a_missing_file(package: Path, missing: Path, message: str) -> None:
    (package / missing).unlink()
    refused(package, message)


@pytest.mark.parametrize(
    "manifest",
    ["", "[]", "{}", '{"itemInfoEntries": {}, "rootModelIdentifier": "a"}', '{"itemInfoEntries": 3}', "\x00\xff"],
)
def test_a_manifest_that_is_none(package: Path, manifest: str) -> None:
    (package / MANIFEST).write_bytes(manifest.encode("latin-1"))
    refused(package, r"Manifest\.json is no manifest of a Core ML package")


def test_a_manifest_that_points_out_of_the_package(package: Path) -> None:
    values = json.loads((package / MANIFEST).read_text())
    values["itemInfoEntries"][values["rootModelIdentifier"]]["path"] = "../../elsewhere.mlmodel"
    (package / MANIFEST).write_text(json.dumps(values))
    refused(package, r"points to \.\./\.\./elsewhere\.mlmodel, outside the package")


def test_weights_out_of_the_package(small_packages: Mapping[str, Path], edit_model: EditModel) -> None:
    def redirect(model: Any) -> None:
        for operation in operations(model):
            for value in operation.attributes.values():
                if value.WhichOneof("value") == "blobFileValue":
                    value.blobFileValue.fileName = "@model_path/../../../../weight.bin"

    refused(edit_model(small_packages["int8"], redirect), "names a weight file outside its package")


def test_a_folder_or_a_file_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "empty.mlpackage").mkdir()
    refused(tmp_path / "empty.mlpackage", r"has no Manifest\.json")
    (tmp_path / "notes.mlpackage").write_text("to do: buy milk")
    with pytest.raises(ModelFileError, match=r"notes\.mlpackage is no Core ML package, which is a folder"):
        open_session(tmp_path / "notes.mlpackage")
    with pytest.raises(ModelFileError, match=r"there is no model file .*gone\.mlpackage"):
        open_session(tmp_path / "gone.mlpackage")


def test_every_truncated_protobuf(package: Path) -> None:
    content = (package / MODEL).read_bytes()
    for length in [0, 1, 2, 3, 10, *range(100, len(content), len(content) // 20), len(content) - 1]:
        (package / MODEL).write_bytes(content[:length])
        refused(package, "truncated")


def test_every_truncated_weight_file(package: Path) -> None:
    content = (package / WEIGHTS).read_bytes()
    (package / WEIGHTS).write_bytes(b"")
    refused(package, r"weight\.bin is empty")
    for length in [1, 63, 64, 65, 127, 128, *range(200, len(content), len(content) // 20), last_byte(content)]:
        (package / WEIGHTS).write_bytes(content[:length])
        refused(package, "truncated")


def last_byte(content: bytes) -> int:
    """Where the last byte lies that belongs to a number: padding may follow."""
    offset, end = 64, 0
    for _ in range(struct.unpack_from("<I", content)[0]):
        _, _, size, begin = struct.unpack_from("<IIQQ", content, offset)
        end, offset = begin + size, -(-(begin + size) // 64) * 64
    return end - 1


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (4, 1, "is no Core ML weight file of version 2"),
        (64, 0xDEADBEEE, "is damaged, or of another model: no blob is at byte 64"),
        (68, 1, "is damaged, or of another model: the blob at byte 64 has .* bytes of type 1, and the program wants"),
        (72, 7, "is damaged, or of another model: the blob at byte 64 has 7 bytes"),
        (80, 1 << 31, "is truncated in the blob at byte 64"),
    ],
)
def test_damaged_weights(package: Path, place: int, value: int, message: str) -> None:
    content = bytearray((package / WEIGHTS).read_bytes())
    struct.pack_into("<I", content, place, value)
    (package / WEIGHTS).write_bytes(content)
    refused(package, message)


def operations(model: Any) -> Any:
    function = model.mlProgram.functions["main"]
    return function.block_specializations[function.opset].operations


def _neural_network(model: Any) -> None:
    model.neuralNetwork.layers.add().name = "relu"


def _second_function(model: Any) -> None:
    model.mlProgram.functions["other"].CopyFrom(model.mlProgram.functions["main"])


def _second_version(model: Any) -> None:
    function = model.mlProgram.functions["main"]
    function.block_specializations["CoreML8"].CopyFrom(function.block_specializations[function.opset])


def _unknown_operator(model: Any) -> None:
    next(each for each in operations(model) if each.type == "clip").type = "lstm"


def _unknown_parameter(model: Any) -> None:
    operation = next(each for each in operations(model) if each.type == "clip")
    operation.inputs["gamma"].CopyFrom(operation.inputs["beta"])


def _lost_value(model: Any) -> None:
    next(each for each in operations(model) if each.type == "clip").inputs["x"].arguments[0].name = "nobody"


def _other_shape(model: Any) -> None:
    tensor = next(each for each in operations(model) if each.type == "conv").outputs[0].type.tensorType
    tensor.dimensions[3].constant.size += 1


def _flexible_shape(model: Any) -> None:
    tensor = model.mlProgram.functions["main"].inputs[0].type.tensorType
    tensor.dimensions[3].unknown.variadic = False


def _unknown_type(model: Any) -> None:
    next(each for each in operations(model) if each.type == "conv").outputs[0].type.tensorType.dataType = 13


def _short_constant(model: Any) -> None:
    for operation in operations(model):
        tensor = operation.attributes["val"].immediateValue.tensor if operation.type == "const" else None
        if tensor is not None and len(tensor.ints.values) == 4:
            tensor.ints.values.pop()
            return


def _array_input(model: Any) -> None:
    model.description.input[0].type.multiArrayType.shape[:] = [1, 3, 96, 96]


def _gray_input(model: Any) -> None:
    colors = messages().FeatureTypes_pb2.ImageFeatureType
    model.description.input[0].type.imageType.colorSpace = colors.GRAYSCALE


def _two_inputs(model: Any) -> None:
    model.description.input.add().CopyFrom(model.description.input[0])


def _many_sizes(model: Any) -> None:
    model.description.input[0].type.imageType.imageSizeRange.widthRange.upperBound = 500


def _two_outputs(model: Any) -> None:
    for name in ("a", "b"):
        model.description.output.add().CopyFrom(model.description.output[0])
        model.description.output[-1].name = name
    del model.description.output[0]


def _flat_output(model: Any) -> None:
    model.description.output[0].type.multiArrayType.shape[:] = [1, 96, 96]


def _colour_output(model: Any) -> None:
    colors = messages().FeatureTypes_pb2.ImageFeatureType
    image = model.description.output[0].type.imageType
    image.height, image.width, image.colorSpace = 96, 96, colors.RGB


def _other_input_size(model: Any) -> None:
    model.description.input[0].type.imageType.width = 95


def _other_output_name(model: Any) -> None:
    model.description.output[0].name = "matte"


def _other_output_size(model: Any) -> None:
    model.description.output[0].type.multiArrayType.shape[:] = [1, 1, 96, 95]


def _logits(model: Any) -> None:
    """The last operator divides the logits by 1 / 255."""
    operation = next(each for each in operations(model) if each.type == "sigmoid")
    scale = next(each for each in operations(model) if each.type == "mul").inputs["y"]
    operation.type = "real_div"
    operation.inputs["y"].CopyFrom(scale)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_neural_network, "a model of the kind neuralNetwork, and only ML Programs are supported: convert the model"),
        (_second_function, "has the functions main, other, and must have 'main' alone"),
        (_second_version, r"has 2 versions of its program \(CoreML6, CoreML8\)"),
        (_unknown_operator, r"its operator lstm \(output '\w+'\) is not supported by the reference executor"),
        (_unknown_parameter, r"its operator clip \(output '\w+'\) is used in an unsupported way .*'gamma'"),
        (_lost_value, r"its operator clip \(output '\w+'\) needs 'nobody', which nothing gives before it"),
        (
            _other_shape,
            r"its operator conv \(output '\w+'\) gives 1x16x48x48 where the program declares float32 1x16x48x49",
        ),
        (_flexible_shape, "'image' has no static shape"),
        (_unknown_type, "has elements of the unknown type 13"),
        (_short_constant, r"has a constant of 3 ints where int32 4 is declared"),
        (_array_input, r"it takes image \(array 1x3x96x96\), and must take one image in colour of one size"),
        (_gray_input, r"it takes image \(image GRAYSCALE 96x96\)"),
        (_two_inputs, r"it takes image \(image RGB 96x96\), image \(image RGB 96x96\)"),
        (_many_sizes, r"it takes image \(image RGB of several sizes\)"),
        (_two_outputs, r"it gives a \(array 1x1x96x96\), b \(array 1x1x96x96\), and must give one array"),
        (_flat_output, r"it gives probability \(array 1x96x96\)"),
        (_colour_output, r"it gives probability \(image RGB 96x96\)"),
        (_other_input_size, "its program does not take the image that it describes"),
        (_other_output_name, "its program does not give 'matte'"),
        (_other_output_size, r"it describes an output of \(1, 1, 96, 95\), and gives \(1, 1, 96, 96\)"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_another_kind_or_contract(
    small_packages: Mapping[str, Path], edit_model: EditModel, change: Callable[[Any], None], message: str
) -> None:
    refused(edit_model(small_packages["float32"], change), message)


def test_logits_are_no_probabilities(small_packages: Mapping[str, Path], edit_model: EditModel) -> None:
    with (
        CoremlReferenceSession(edit_model(small_packages["float32"], _logits)) as session,
        pytest.raises(ModelFileError, match=r"values from .* are no probabilities: convert it with the sigmoid"),
    ):
        session.run(np.full((96, 96, 3), 255, np.uint8))


def test_the_output_of_the_contract_is_found_among_several(
    small_packages: Mapping[str, Path], edit_model: EditModel
) -> None:
    def second_output(model: Any) -> None:
        model.description.output.add().CopyFrom(model.description.output[0])
        model.description.output[-1].name = "features"

    picture = np.full((96, 96, 3), 99, np.uint8)
    expected = CoremlReferenceSession(small_packages["float32"]).run(picture)
    found = CoremlReferenceSession(edit_model(small_packages["float32"], second_output)).run(picture)
    np.testing.assert_array_equal(found, expected)


def test_coremltools_is_named_where_it_is_missing(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protobuf, "find_spec", lambda name: None)
    messages.cache_clear()
    try:
        with pytest.raises(MissingExtraError, match="needs the package 'coremltools', which is not installed"):
            CoremlReferenceSession(package)
    finally:
        monkeypatch.undo()
        messages.cache_clear()
