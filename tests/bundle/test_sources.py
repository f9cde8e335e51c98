"""The sources in a bundle: each number, type, name and label in them is the file's, and they are Kotlin and Swift."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from edge_deeplab.bundle.contract import Activation, Client, ColourOrder, Contract, Element, Layout, Model, Tensor
from edge_deeplab.bundle.sources import sources
from edge_deeplab.errors import SpecError
from edge_deeplab.runtime.coreml.protobuf import messages

Constants = Mapping[str, Any]

KOTLIN = re.compile(r"^\s*(?:const )?val ([A-Z_]+) = (.+?)\s*(?://.*)?$", re.MULTILINE)
SWIFT = re.compile(r"^\s*static let (\w+)(?:: Float)? = (.+?)\s*(?://.*)?$", re.MULTILINE)

# A byte's values, how a pixel's channels lie in 32 bits, 0 and 1, halves, four bytes of a float or of RGBA.
OWN_NUMBERS = {"0", "0.0", "1", "2", "4", "8", "16", "24", "255", "255f", "256", "0xFF", "0xFFFFFF", "3"}


def constants(text: str) -> dict[str, Any]:
    """Name, in small letters without underlines, to value."""
    pattern = SWIFT if "static let" in text else KOTLIN
    return {name.replace("_", "").lower(): value_of(value) for name, value in pattern.findall(text)}


def value_of(text: str) -> Any:
    listed = re.fullmatch(r"(?:listOf\(|\[)(.*)[\])]", text)
    if listed:
        return json.loads(f"[{listed[1]}]")
    return json.loads(text.removesuffix("f") if text[0] in "-0123456789" else text)


def other_numbers(text: str) -> set[str]:
    """Number literals outside of the constants, of comments and of texts."""
    pattern = SWIFT if "static let" in text else KOTLIN
    bare = re.sub(r"/\*.*?\*/", "", pattern.sub("", text), flags=re.DOTALL)
    bare = re.sub(r"@available\(.*\)", "", re.sub(r'"[^"\n]*"', "", re.sub(r"//.*", "", bare)))
    return set(re.findall(r"(?<![\w.$])(?:0x[0-9A-F]+|\d+(?:\.\d+)?f?)\b", bare))


def litert_constants(file: Path, *, sizes: bool = True) -> Constants:
    """What LiteRT says of a file."""
    interpreter = Interpreter(str(file))
    found: dict[str, Any] = {"labels": ["person"], "person": 0, "threshold": 0.5}
    for end, (detail,) in (("input", interpreter.get_input_details()), ("output", interpreter.get_output_details())):
        _, height, width, channels = detail["shape"].tolist()
        found |= {f"{end}height": height, f"{end}width": width, f"{end}channels": channels}
        if sizes:
            found[f"{end}bytes"] = np.dtype(detail["dtype"]).itemsize
        if detail["dtype"] != np.float32:
            scale, zero_point = detail["quantization"]
            found |= {f"{end}scale": float(scale), f"{end}zeropoint": int(zero_point)}
    return found


def check_tolerance(found: dict[str, Any], model: dict[str, Any]) -> dict[str, Any]:
    """Take the tolerance out, which is no number of the file."""
    assert (found.pop("meanerror"), found.pop("maskagreement")) == tuple(model["tolerance"].values())
    return found


def check_types(text: str, file: Path, words: Mapping[type, str], pattern: str) -> None:
    interpreter = Interpreter(str(file))
    details = (interpreter.get_input_details()[0], interpreter.get_output_details()[0])
    assert re.findall(pattern, text) == [words[detail["dtype"]] for detail in details]


def check_tflite_sources(bundle: Path, model: dict[str, Any], name: str) -> None:
    file = bundle / model["path"]
    kotlin = (bundle / "android" / f"{name}LiteRt.kt").read_text()
    assert check_tolerance(constants(kotlin), model) == litert_constants(file) | {"file": file.name}
    types = {np.uint8: "UINT8", np.int8: "INT8", np.float32: "FLOAT32"}
    check_types(kotlin, file, types, r"dataType\(\) == DataType\.(\w+)")
    swift = (bundle / "ios" / f"{name}LiteRt.swift").read_text()
    assert check_tolerance(constants(swift), model) == litert_constants(file, sizes=False) | {"file": file.stem}
    check_types(swift, file, {np.uint8: "uInt8", np.float32: "float32"}, r"dataType == \.(\w+)")
    for text in (kotlin, swift):
        assert other_numbers(text) <= OWN_NUMBERS
        assert f"for {file.name}, and not compiled" in text


def check_mediapipe_source(bundle: Path, model: dict[str, Any], name: str) -> None:
    file = bundle / model["path"]
    text = (bundle / "android" / f"{name}MediaPipe.kt").read_text()
    expected = {"file": file.name, "labels": ["person"], "person": 0, "threshold": 0.5}
    assert check_tolerance(constants(text), model) == expected
    assert other_numbers(text) <= OWN_NUMBERS


def models(bundle: Path) -> dict[str, dict[str, Any]]:
    contract = json.loads((bundle / "contract.json").read_text())
    return {model["target"]: model for model in contract["models"]}


def test_the_shipped_files_numbers_are_in_its_sources(shipped_bundle: Path) -> None:
    model = models(shipped_bundle)["tflite-int8"]
    check_tflite_sources(shipped_bundle, model, "Portrait")
    check_mediapipe_source(shipped_bundle, model, "Portrait")


@pytest.mark.convert
def test_each_formats_numbers_are_in_its_sources(small_bundle: Path) -> None:
    """Here the size is 96, so that no 256 can come from elsewhere."""
    by_target = models(small_bundle)
    for target, name in (("tflite-int8", "SmallInt8"), ("tflite-float16", "SmallFloat16")):
        check_tflite_sources(small_bundle, by_target[target], name)
    check_mediapipe_source(small_bundle, by_target["tflite-int8"], "SmallInt8")
    text = (small_bundle / "ios" / "SmallFloat16CoreMl.swift").read_text()
    package = by_target["coreml-float16"]
    (file,) = (small_bundle / package["path"]).rglob("*.mlmodel")
    spec = messages().Model_pb2.Model.FromString(file.read_bytes())
    (picture,), (mask,) = spec.description.input, spec.description.output
    _, channels, height, width = mask.type.multiArrayType.shape
    assert check_tolerance(constants(text), package) == {
        "file": "small-float16",
        "inputname": picture.name,
        "inputheight": picture.type.imageType.height,
        "inputwidth": picture.type.imageType.width,
        "outputname": mask.name,
        "outputheight": height,
        "outputwidth": width,
        "outputchannels": channels,
        "labels": ["person"],
        "person": 0,
        "threshold": 0.5,
    }
    assert other_numbers(text) <= OWN_NUMBERS
    assert re.findall(r"@available\(iOS (\d+)\.0", text) == [package["system"].removeprefix("iOS")]


@pytest.mark.convert
def test_there_is_a_source_for_each_file_and_client(small_bundle: Path) -> None:
    assert sorted(path.name for path in (small_bundle / "ios").iterdir()) == [
        "SmallFloat16CoreMl.swift",
        "SmallFloat16LiteRt.swift",
        "SmallInt8LiteRt.swift",
    ]
    assert {"SmallFloat16LiteRt.kt", "SmallInt8LiteRt.kt", "SmallInt8MediaPipe.kt"} <= {
        path.name for path in (small_bundle / "android").iterdir()
    }


def with_model(contract: Contract, **changes: object) -> Contract:
    """The contract with one model, which is another."""
    model = replace(contract.models[0], **changes)  # type: ignore[arg-type]
    goldens = tuple(replace(golden, masks={model.path: "golden/mask.png"}) for golden in contract.goldens)
    return replace(contract, models=(model,), goldens=goldens)


def int8_model(model: Model) -> dict[str, Any]:
    tensors = [
        replace(end.tensor, type=Element.INT8, scale=scale, zero_point=point)
        for end, scale, point in ((model.input, 1 / 255, -128), (model.output, 1 / 256, -127))
    ]
    source, result = replace(model.input, tensor=tensors[0]), replace(model.output, tensor=tensors[1])
    return {"path": "models/odd-one_2.tflite", "input": source, "output": result, "clients": (Client.LITERT,)}


def classes_model(model: Model) -> dict[str, Any]:
    tensor = Tensor("probability", Element.FLOAT32, (1, 128, 64, 3), Layout.NHWC, None, None)
    labels = ("background", "traffic light", "person")
    result = replace(model.output, tensor=tensor, labels=labels, person=2, activation=Activation.SOFTMAX)
    return {"path": "models/classes.tflite", "output": result}


def grey_model(model: Model) -> dict[str, Any]:
    picture = Tensor("image", Element.IMAGE, (192, 320, 3), Layout.HWC, 1 / 255, 0)
    mask = Tensor("mask", Element.IMAGE, (192, 320), Layout.HW, 1 / 255, 0)
    source = replace(model.input, tensor=picture, colour_order=ColourOrder.RGB)
    return {
        "path": "models/grey.mlpackage",
        "input": source,
        "output": replace(model.output, tensor=mask),
        "clients": (Client.COREML,),
        "system": "iOS16",
    }


FORMS = {"int8": int8_model, "classes": classes_model, "grey": grey_model}


@pytest.fixture
def form(request: pytest.FixtureRequest, shipped_contract: Contract) -> Contract:
    """A contract of another form than the shipped file's."""
    return with_model(shipped_contract, **FORMS[request.param](shipped_contract.models[0]))


@pytest.mark.parametrize("form", FORMS, indirect=True)
def test_other_forms_have_their_numbers_too(form: Contract) -> None:
    (model,) = form.models
    written = sources(form)
    for source in written:
        found = constants(source.text)
        assert (found["labels"], found["person"]) == (list(model.output.labels), model.output.person)
        if source.client is not Client.MEDIAPIPE:
            for end in ("input", "output"):
                tensor = getattr(model, end).tensor
                assert (found[f"{end}height"], found[f"{end}width"]) == (tensor.height, tensor.width)
                if f"{end}zeropoint" in found:
                    assert (found[f"{end}scale"], found[f"{end}zeropoint"]) == (tensor.scale, tensor.zero_point)
        assert other_numbers(source.text) <= OWN_NUMBERS
    assert (
        sorted(source.path for source in written)
        == {
            "models/odd-one_2.tflite": ["android/OddOne2LiteRt.kt"],  # Swift's TensorFlowLite has no int8 tensor
            "models/classes.tflite": [
                "android/ClassesLiteRt.kt",
                "android/ClassesMediaPipe.kt",
                "ios/ClassesLiteRt.swift",
            ],
            "models/grey.mlpackage": ["ios/GreyCoreMl.swift"],
        }[model.path]
    )


def parsers() -> Mapping[str, Any]:
    """A parser of each language, by the ending of its files."""
    tree_sitter = pytest.importorskip("tree_sitter", reason="the parsers of Kotlin and Swift are not installed")
    kotlin = pytest.importorskip("tree_sitter_kotlin")
    swift = pytest.importorskip("tree_sitter_swift")
    languages = {".kt": kotlin.language(), ".swift": swift.language()}
    return {suffix: tree_sitter.Parser(tree_sitter.Language(one)) for suffix, one in languages.items()}


def test_they_are_kotlin_and_swift_by_their_grammars(shipped_contract: Contract) -> None:
    known = parsers()
    contracts = [shipped_contract]
    contracts += [with_model(shipped_contract, **make(shipped_contract.models[0])) for make in FORMS.values()]
    texts = {source.path: source.text for contract in contracts for source in sources(contract)}
    assert len(texts) == 3 + 1 + 3 + 1
    for path, text in texts.items():
        tree = known[Path(path).suffix].parse(text.encode())
        assert not tree.root_node.has_error, path


@pytest.mark.parametrize("label", ['per"son', "per\\son", "$person", "per\nson"])
def test_a_label_that_would_be_code_is_refused(label: str, shipped_contract: Contract) -> None:
    output = replace(shipped_contract.models[0].output, labels=(label,))
    with pytest.raises(SpecError, match="cannot stand in source code"):
        sources(with_model(shipped_contract, output=output))


def test_two_files_of_one_class_name_are_refused(shipped_contract: Contract) -> None:
    (model,) = shipped_contract.models
    twins = tuple(replace(model, path=path) for path in ("models/a-b.tflite", "models/a_b.tflite"))
    masks = {twin.path: "golden/mask.png" for twin in twins}
    goldens = tuple(replace(golden, masks=masks) for golden in shipped_contract.goldens)
    with pytest.raises(SpecError, match=r"android/ABLiteRt\.kt"):
        sources(dataclasses.replace(shipped_contract, models=twins, goldens=goldens))
