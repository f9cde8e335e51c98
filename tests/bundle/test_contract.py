"""contract.json: what is in the files, and refused where it is not a contract."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from converters.coreml_recipe import DeploymentTarget
from edge_deeplab.bundle.contract import load_contract
from edge_deeplab.bundle.coreml import SYSTEMS
from edge_deeplab.errors import ModelFileError
from edge_deeplab.files import sha256, size
from edge_deeplab.runtime.coreml.protobuf import messages


def interpreter_facts(detail: dict[str, Any]) -> dict[str, Any]:
    """A tensor as LiteRT's interpreter tells of it, in the contract's words."""
    scale, zero_point = detail["quantization"]
    integer = detail["dtype"] != np.float32
    return {
        "type": detail["dtype"].__name__,
        "shape": detail["shape"].tolist(),
        "scale": float(scale) if integer else None,
        "zero_point": int(zero_point) if integer else None,
        "layout": "NHWC",
    }


def check_tflite(bundle: Path, model: dict[str, Any]) -> None:
    interpreter = Interpreter(str(bundle / model["path"]))
    (signature,) = interpreter.get_signature_list().values()
    ends = (interpreter.get_input_details(), interpreter.get_output_details())
    for (detail,), end, names in zip(ends, ("input", "output"), signature.values(), strict=True):
        assert model[end]["tensor"] == interpreter_facts(detail) | {"name": names[0]}
    assert model["input"]["colour_order"] == "RGB"
    assert model["system"] is None


def test_of_the_shipped_file_it_says_what_litert_says(shipped_bundle: Path) -> None:
    contract = json.loads((shipped_bundle / "contract.json").read_text())
    (model,) = contract["models"]
    check_tflite(shipped_bundle, model)
    assert model["clients"] == ["litert", "mediapipe"]
    assert (model["output"]["labels"], model["output"]["activation"]) == (["person"], "sigmoid")
    assert model["sha256"] == sha256(shipped_bundle / model["path"])


@pytest.mark.convert
def test_of_each_format_it_says_what_the_file_says(small_bundle: Path) -> None:
    models = {model["target"]: model for model in json.loads((small_bundle / "contract.json").read_text())["models"]}
    assert models.keys() == {"tflite-int8", "tflite-float16", "coreml-float16"}
    for target in ("tflite-int8", "tflite-float16"):
        check_tflite(small_bundle, models[target])
    for model in models.values():
        assert model["sha256"] == sha256(small_bundle / model["path"])
        assert model["bytes"] == size(small_bundle / model["path"])
    package = models["coreml-float16"]
    (file,) = (small_bundle / package["path"]).rglob("*.mlmodel")
    spec = messages().Model_pb2.Model.FromString(file.read_bytes())
    (picture,), (mask,) = spec.description.input, spec.description.output
    image, array = picture.type.imageType, mask.type.multiArrayType
    assert package["input"]["tensor"] == {
        "name": picture.name,
        "type": "image",
        "shape": [image.height, image.width, 3],
        "layout": "HWC",
        "scale": 1 / 255,
        "zero_point": 0,
    }
    assert package["input"]["colour_order"] == image.ColorSpace.Name(image.colorSpace)
    assert package["output"]["tensor"] == {
        "name": mask.name,
        "type": array.ArrayDataType.Name(array.dataType).lower(),
        "shape": list(array.shape),
        "layout": "NCHW",
        "scale": None,
        "zero_point": None,
    }
    assert package["clients"] == ["coreml"]
    assert spec.specificationVersion == DeploymentTarget(package["system"]).specification_version


def test_the_systems_are_those_of_the_converter() -> None:
    assert {target.specification_version: str(target) for target in DeploymentTarget}.items() <= SYSTEMS.items()


def test_what_was_written_is_read(shipped_bundle: Path, tmp_path: Path) -> None:
    contract = load_contract(shipped_bundle)
    contract.write(tmp_path)
    assert load_contract(tmp_path) == contract


def change(*place: Any, to: object) -> Callable[[Any], None]:
    def edit(values: Any) -> None:
        for key in place[:-1]:
            values = values[key]
        values[place[-1]] = to

    return edit


WRONG = {
    "version is 2": change("version", to=2),
    "models must be different files": change("models", to=[]),
    "models[0].sha256": lambda values: values["models"][0].pop("sha256"),
    "is 'abc', not a SHA-256": change("models", 0, "sha256", to="abc"),
    "checkpoint_sha256 of models/portrait.tflite is 'zzz": change("models", 0, "checkpoint_sha256", to="z" * 64),
    "leads out of the bundle": change("models", 0, "path", to="../portrait.tflite"),
    "'/portrait.tflite' leads out": change("models", 0, "path", to="/portrait.tflite"),
    "golden/../../x": change("goldens", 0, "picture", to="golden/../../x"),
    "must have one mask for each model": change("goldens", 0, "masks", to={}),
    "models[0].input.tensor.type is 'int16', none of": change("models", 0, "input", "tensor", "type", to="int16"),
    "models[0].input.tensor.layout is 3, not a text": change("models", 0, "input", "tensor", "layout", to=3),
    "which is no NHWC": change("models", 0, "output", "tensor", "shape", to=[256, 256, 1]),
    "has a batch of 2": change("models", 0, "input", "tensor", "shape", to=[2, 256, 256, 3]),
    "has 4 channels, and a picture has 3": change("models", 0, "input", "tensor", "shape", to=[1, 256, 256, 4]),
    "scale and zero point belong to": change("models", 0, "input", "tensor", "scale", to=None),
    "it must be above 0": change("models", 0, "output", "tensor", "scale", to=-1.0),
    "2 labels": change("models", 0, "output", "labels", to=["background", "person"]),
    "person is 1": change("models", 0, "output", "person", to=1),
    "threshold is 1.0": change("models", 0, "output", "threshold", to=1.0),
    "pixel_centres is false": change("models", 0, "input", "resize", "pixel_centres", to=False),
    "mean_error is -0.1": change("own_resize", "mean_error", to=-0.1),
    "mask_agreement is 99.0": change("models", 0, "tolerance", "mask_agreement", to=99.0),
    "surprise is no field": change("models", 0, "surprise", to=1),
}


@pytest.mark.parametrize("words", WRONG)
def test_a_wrong_contract_is_refused_by_the_name_of_what_is_wrong(
    words: str, shipped_bundle: Path, tmp_path: Path
) -> None:
    values = json.loads((shipped_bundle / "contract.json").read_text())
    WRONG[words](values)
    (tmp_path / "contract.json").write_text(json.dumps(values))
    with pytest.raises(ModelFileError) as caught:
        load_contract(tmp_path)
    assert words in str(caught.value)
    assert str(tmp_path / "contract.json") in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_something_else_is_refused(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "contract.json").write_bytes(content)
    with pytest.raises(ModelFileError, match=r"contract\.json"):
        load_contract(tmp_path)
