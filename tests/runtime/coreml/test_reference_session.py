"""The small network as coremltools writes it, run from its package: against PyTorch, and with planted faults."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_deeplab import __version__
from edge_deeplab.errors import ImageError, ModelFileError
from edge_deeplab.image import list_images, read_rgb, resize_area
from edge_deeplab.runtime.coreml.compute_units import ComputeUnits
from edge_deeplab.runtime.coreml.protobuf import messages
from edge_deeplab.runtime.coreml.reference_session import CoremlReferenceSession
from edge_deeplab.runtime.opening import open_session
from edge_deeplab.runtime.torch_session import TorchSession
from edge_deeplab.spec import ModelSpec

from .conftest import WEIGHTS, EditModel

Packages = Mapping[str, Path]

# Seen: 6e-6 at most. A little more for other processors' orders of summation; the least fault below makes 100 times it.
FLOAT32 = 3e-5


@pytest.fixture(scope="module")
def pictures(made_persons: Path, small_spec: ModelSpec) -> list[np.ndarray]:
    """Four made persons at the network's size."""
    paths = list_images(made_persons / "images")[:4]
    return [resize_area(read_rgb(path), small_spec.height, small_spec.width) for path in paths]


@pytest.fixture(scope="module")
def expected(small_checkpoint: Path, pictures: list[np.ndarray]) -> np.ndarray:
    """PyTorch's probabilities."""
    with TorchSession(small_checkpoint) as session:
        return np.stack([session.run(picture) for picture in pictures])


def run(package: Path, pictures: list[np.ndarray], **options: Any) -> np.ndarray:
    with CoremlReferenceSession(package, **options) as session:
        return np.stack([session.run(picture) for picture in pictures])


def test_float32_is_pytorch(small_packages: Packages, pictures: list[np.ndarray], expected: np.ndarray) -> None:
    with CoremlReferenceSession(small_packages["float32"]) as session:
        assert (session.height, session.width, session.classes) == (96, 96, ("person",))
        found = np.stack([session.run(picture) for picture in pictures])
    assert found.dtype == np.float32
    assert found.shape == (4, 96, 96, 1)
    np.testing.assert_allclose(found, expected, atol=FLOAT32)
    assert expected.max() > 0.9  # there are persons, and background
    assert expected.min() < 0.1


def test_float16_weights_and_float16_imitated(
    small_packages: Packages, pictures: list[np.ndarray], expected: np.ndarray
) -> None:
    weights_only = np.abs(run(small_packages["float16"], pictures) - expected)
    imitated = np.abs(run(small_packages["float16"], pictures, imitate_float16=True) - expected)
    for error in (weights_only, imitated):
        assert FLOAT32 < error.max() < 3e-2
        assert error.mean() < 1e-3
    assert not np.array_equal(weights_only, imitated)
    np.testing.assert_array_equal(  # nothing in the float32 package is declared float16
        run(small_packages["float32"], pictures, imitate_float16=True), run(small_packages["float32"], pictures)
    )


@pytest.mark.parametrize(("name", "mean"), [("int8", 1e-2), ("palette6", 0.1), ("palette4", 0.2)])
def test_compressed_weights_are_those_of_coremltools(
    small_packages: Packages, pictures: list[np.ndarray], expected: np.ndarray, name: str, mean: float
) -> None:
    found = run(small_packages[name], pictures)
    np.testing.assert_allclose(found, run(small_packages[f"{name}-decompressed"], pictures), atol=FLOAT32)
    assert 1e-4 < np.abs(found - expected).mean() < mean


def test_a_grayscale_image_has_256_steps(
    small_packages: Packages, pictures: list[np.ndarray], expected: np.ndarray
) -> None:
    found = run(small_packages["image"], pictures)
    np.testing.assert_allclose(found, expected, atol=0.5 / 255 + FLOAT32)
    np.testing.assert_allclose(found * 255, np.rint(found * 255), atol=1e-4)


# Faults, each planted in the written package.


def constants(model: Any, operator: str, parameter: str) -> Iterator[Any]:
    """The constants that operators of one type take for a parameter."""
    function = model.mlProgram.functions["main"]
    operations = function.block_specializations[function.opset].operations
    values = {each.outputs[0].name: each.attributes["val"] for each in operations if each.type == "const"}
    for operation in operations:
        if operation.type == operator:
            yield values[operation.inputs[parameter].arguments[0].name].immediateValue.tensor


def blue_first(model: Any) -> None:
    model.description.input[0].type.imageType.colorSpace = messages().FeatureTypes_pb2.ImageFeatureType.BGR


def scale_of_256(model: Any) -> None:
    (scale,) = constants(model, "mul", "y")
    scale.floats.values[0] = 1 / 256


def aligned_corners(model: Any) -> None:
    for align in constants(model, "upsample_bilinear", "align_corners"):
        align.bools.values[0] = True


def lost_cap(model: Any) -> None:
    for cap in constants(model, "clip", "beta"):
        cap.floats.values[0] = 1e9


def padding_after(model: Any) -> None:
    """TensorFlow's SAME at stride 2: all of the padding after the pixels."""
    for strides, pad in zip(constants(model, "conv", "strides"), constants(model, "conv", "pad"), strict=True):
        if list(strides.ints.values) == [2, 2] and list(pad.ints.values) == [1] * 4:
            pad.ints.values[:] = [0, 2, 0, 2]


@pytest.mark.parametrize("fault", [blue_first, scale_of_256, aligned_corners, lost_cap, padding_after])
def test_a_planted_fault_is_seen(
    small_packages: Packages,
    edit_model: EditModel,
    pictures: list[np.ndarray],
    expected: np.ndarray,
    fault: Callable[[Any], None],
) -> None:
    found = run(edit_model(small_packages["float32"], fault), pictures)
    assert np.abs(found - expected).max() > 100 * FLOAT32


def test_a_part_of_one_weight_set_to_zero_is_seen(
    small_packages: Packages, edit_model: EditModel, pictures: list[np.ndarray], expected: np.ndarray
) -> None:
    package = edit_model(small_packages["float32"], lambda model: None)
    content = bytearray((package / WEIGHTS).read_bytes())
    _, _, size, begin = struct.unpack_from("<IIQQ", content, 64)
    content[begin : begin + size // 32] = bytes(size // 32)
    (package / WEIGHTS).write_bytes(content)
    assert np.abs(run(package, pictures) - expected).max() > 100 * FLOAT32


# What a session promises.


def test_the_runtime_says_who_executes(small_packages: Packages) -> None:
    with CoremlReferenceSession(small_packages["float16"]) as session:
        assert session.runtime == f"reference executor of edge-deeplab {__version__}, float32"
    with CoremlReferenceSession(small_packages["float16"], imitate_float16=True) as session:
        assert session.runtime.endswith("float32 with float16 imitated")


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS takes its own runtime")
def test_open_session_takes_the_executor_where_there_is_no_core_ml(
    small_packages: Packages, pictures: list[np.ndarray]
) -> None:
    with open_session(small_packages["float32"], threads=1, compute_units=ComputeUnits.CPU_ONLY) as session:
        assert session.runtime.startswith("reference executor")
        np.testing.assert_array_equal(session.run(pictures[0]), run(small_packages["float32"], pictures[:1])[0])
    with open_session(small_packages["float16"], imitate_float16=True) as session:
        assert "imitated" in session.runtime


def test_classes_are_named_as_told(small_packages: Packages) -> None:
    assert CoremlReferenceSession(small_packages["float32"], classes=("dog",)).classes == ("dog",)
    with pytest.raises(ModelFileError, match="1 output channels, and its sidecar names 2 classes"):
        CoremlReferenceSession(small_packages["float32"], classes=("background", "person"))


def test_the_result_is_the_callers_to_keep(small_packages: Packages, pictures: list[np.ndarray]) -> None:
    for name in ("float32", "image"):
        with CoremlReferenceSession(small_packages[name]) as session:
            first = session.run(pictures[0])
            kept = first.copy()
            session.run(pictures[1])
            np.testing.assert_array_equal(first, kept)


def test_pixels_of_another_size_or_type_are_refused(small_packages: Packages, pictures: list[np.ndarray]) -> None:
    with CoremlReferenceSession(small_packages["float32"]) as session:
        for wrong in (pictures[0][:95], pictures[0].astype(np.float32), pictures[0][:, :, 0]):
            with pytest.raises(ImageError, match="takes RGB uint8 96x96x3"):
                session.run(wrong)


def test_a_package_may_be_removed_while_it_is_open(
    small_packages: Packages, edit_model: EditModel, pictures: list[np.ndarray]
) -> None:
    package = edit_model(small_packages["float32"], lambda model: None)
    with CoremlReferenceSession(package) as session:
        before = session.run(pictures[0])
        (package / WEIGHTS).write_bytes(b"")
        shutil.rmtree(package)
        np.testing.assert_array_equal(session.run(pictures[0]), before)
        session.close()
    session.close()


def test_it_runs_alone_and_silently_and_alike_with_any_number_of_threads(small_packages: Packages) -> None:
    """In processes of their own: the number of BLAS's threads is set once."""
    code = f"""
import hashlib, pathlib, sys
import numpy as np
from edge_deeplab.runtime.opening import open_session
with open_session(pathlib.Path({str(small_packages["float32"])!r}), imitate_float16=True) as session:
    picture = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    print(hashlib.sha256(session.run(picture)).hexdigest())
from edge_deeplab.runtime.coreml.operators.convolution import conv
random = np.random.default_rng(0)
for inputs, outputs, side in ((27, 16, 48), (64, 128, 64), (300, 65, 19), (1024, 256, 9), (128, 64, 15), (40, 1, 100)):
    x = random.standard_normal((1, inputs, side, side), dtype=np.float32)
    weight = random.standard_normal((outputs, inputs, 1, 1), dtype=np.float32)
    y = conv(x, weight)
    expected = np.einsum("oi,nihw->nohw", weight[:, :, 0, 0].astype(float), x.astype(float))
    assert np.abs(y - expected).max() < 1e-3, (inputs, outputs, side)
    print(hashlib.sha256(y).hexdigest())
heavy = {{"torch", "tensorflow", "onnx", "onnxruntime", "coremltools", "sklearn"}} & set(sys.modules)
assert not heavy, heavy
"""
    printed = set()
    for threads in ("1", "2", "4"):
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code], env=environment, check=False, capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")
        printed.add(done.stdout)
    assert len(printed) == 1
