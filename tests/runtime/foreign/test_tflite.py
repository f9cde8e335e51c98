"""One network with many ends: however a file is fed and read, the person is where the shipped file sees it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from edge_deeplab.errors import ModelFileError
from edge_deeplab.runtime.foreign.adaptation import InputRange, OutputKind, Overrides
from edge_deeplab.runtime.foreign.session import ForeignSession
from edge_deeplab.runtime.opening import open_any_session
from edge_deeplab.segmenter import Segmenter

Published = Callable[..., Path]
Pixels = NDArray[np.uint8]
Map = NDArray[np.float32]

_STEP = 1 / 256  # of the shipped file's own output


def logits(sketch: Any) -> None:
    """One float channel before the sigmoid."""
    sketch.cut_the_sigmoid()


def scores(before: int, behind: int) -> Callable[[Any], None]:
    """The logit among ``before`` and ``behind`` other classes, whose logits are 0."""

    def edit(sketch: Any) -> None:
        logit = sketch.cut_the_sigmoid()
        pads = sketch.constant(np.array([[0, 0], [0, 0], [0, 0], [before, behind]], np.int32))
        sketch.append("PAD", [logit, pads], channels=before + 1 + behind)

    return edit


def softmax(sketch: Any) -> None:
    options = schema.SoftmaxOptionsT()
    options.beta = 1.0
    sketch.append("SOFTMAX", [int(sketch.graph.outputs[0])], options=options)


def argmax(type_: str) -> Callable[[Any], None]:
    """The number of the greatest class, as (1, 256, 256)."""

    def edit(sketch: Any) -> None:
        options = schema.ArgMaxOptionsT()
        options.outputType = getattr(schema.TensorType, type_)
        axis = sketch.constant(np.array([3], np.int32))
        source = int(sketch.graph.outputs[0])
        sketch.append("ARG_MAX", [source, axis], type_=type_, shape=(1, 256, 256), options=options)

    return edit


def minus_one_to_one(sketch: Any) -> None:
    """Float input in [-1, 1]."""
    sketch.float_before(-1, 1)


@pytest.fixture
def logit(published: Published, photo_pixels: Pixels) -> NDArray[np.float64]:
    """The logits of the photo, straight from LiteRT."""
    interpreter = Interpreter(model_content=published(logits).read_bytes(), num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], photo_pixels[None])
    interpreter.invoke()
    values: NDArray[np.float64] = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0].astype(float)
    return values


def test_a_copy_of_the_shipped_file_answers_to_the_bit(
    published: Published, photo_pixels: Pixels, expected: Map
) -> None:
    with open_any_session(published(), threads=1) as session:
        assert isinstance(session, ForeignSession)
        assert session.reasons == (
            "takes RGB in 0..1 (from its quantization)",
            "gives probabilities (from LOGISTIC)",
            "the person is its only channel",
        )
        np.testing.assert_array_equal(session.run(photo_pixels), expected)
        assert Segmenter(session).coarse(photo_pixels).shape == (256, 256)


@pytest.mark.parametrize(
    ("edits", "person", "reason"),
    [
        ([logits], 0, "gives logits (its last step is CONV_2D"),
        ([scores(1, 0)], 1, "gives logits (its last step is PAD"),
        ([scores(1, 0), softmax], 1, "gives probabilities (from SOFTMAX)"),
    ],
    ids=["one logit", "two logits", "two probabilities"],
)
def test_one_and_two_channels(
    published: Published,
    photo_pixels: Pixels,
    expected: Map,
    logit: NDArray[np.float64],
    edits: list[Any],
    person: int,
    reason: str,
) -> None:
    with ForeignSession(published(*edits), threads=1) as session:
        assert session.classes == ("person",)
        assert session.adaptation.channel == person
        assert session.reasons[1].startswith(reason)
        found = session.run(photo_pixels)
    assert found.dtype == np.float32
    assert found.shape == (256, 256, 1)
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-logit)), atol=1e-6)
    np.testing.assert_allclose(found, expected, atol=_STEP)  # the shipped file rounds to steps, and stops at 255/256


def test_twenty_one_classes_are_those_of_pascal(
    published: Published, photo_pixels: Pixels, logit: NDArray[np.float64]
) -> None:
    with ForeignSession(published(scores(15, 5)), threads=1) as session:
        assert "the person is class 15 of 21 (a guess: Pascal VOC)" in session.reasons
        np.testing.assert_allclose(session.run(photo_pixels), np.exp(logit) / (np.exp(logit) + 20), atol=1e-6)
    for type_ in ("INT32", "INT64"):
        with ForeignSession(published(scores(15, 5), argmax(type_)), threads=1) as session:
            assert session.adaptation.output is OutputKind.CLASSES
            assert session.adaptation.channel == 15
            np.testing.assert_array_equal(session.run(photo_pixels), logit > 0)
    with ForeignSession(published(scores(15, 5), argmax("INT32")), overrides=Overrides(person=0)) as session:
        np.testing.assert_array_equal(session.run(photo_pixels), logit <= 0)


def test_the_background_may_be_given_instead(
    published: Published, photo_pixels: Pixels, expected: Map, logit: NDArray[np.float64]
) -> None:
    for edits in ([scores(0, 1)], [scores(0, 1), softmax]):
        with ForeignSession(published(*edits), threads=1, overrides=Overrides(background=1)) as session:
            np.testing.assert_allclose(session.run(photo_pixels), expected, atol=_STEP)
    with ForeignSession(published(scores(0, 1), argmax("INT32")), overrides=Overrides(background=1)) as session:
        np.testing.assert_array_equal(session.run(photo_pixels), logit >= 0)


@pytest.mark.parametrize(
    ("type_", "scale", "zero_point"), [("UINT8", 1 / 128, 128), ("INT8", 2 / 255, -1), ("INT8", 1 / 128, 0)]
)
def test_integers_from_minus_one_to_one(
    published: Published, photo_pixels: Pixels, expected: Map, type_: str, scale: float, zero_point: int
) -> None:
    def integers(sketch: Any) -> None:
        sketch.integer_before(type_, scale, zero_point)

    path = published(minus_one_to_one, integers)
    with ForeignSession(path, threads=1) as session:
        assert session.reasons[0] == "takes RGB in -1..1 (from its quantization)"
        found = session.run(photo_pixels)
    # The byte and the stored number differ by a rounding, so the network sees a slightly different picture.
    assert np.abs(found - expected).mean() < 0.006
    with ForeignSession(path, threads=1, overrides=Overrides(input_range=InputRange.uniform(0, 1))) as session:
        assert np.abs(session.run(photo_pixels) - expected).mean() > 0.02


def test_what_a_float_input_takes_is_guessed_aloud_and_told(
    published: Published, photo_pixels: Pixels, expected: Map
) -> None:
    path = published(minus_one_to_one)
    with ForeignSession(path, threads=1) as session:
        assert "takes RGB in 0..1 (a guess: the file does not say" in session.reasons[0]
        assert np.abs(session.run(photo_pixels) - expected).mean() > 0.02
    with ForeignSession(path, threads=1, overrides=Overrides(input_range=InputRange.uniform(-1, 1))) as session:
        np.testing.assert_allclose(session.run(photo_pixels), expected, atol=4 * _STEP)


def test_blue_first_is_told(published: Published, photo_pixels: Pixels, expected: Map) -> None:
    def blue_first(sketch: Any) -> None:
        sketch.float_before(0, 255, reverse=True)

    byte_range = InputRange.normalized((0, 0, 0), (1, 1, 1))
    with ForeignSession(published(blue_first), overrides=Overrides(input_range=byte_range, bgr=True)) as session:
        assert session.reasons[0] == "takes BGR in 0..255 (as told)"
        np.testing.assert_allclose(session.run(photo_pixels), expected, atol=4 * _STEP)


def test_the_metadata_tell_normalization_and_labels(published: Published, photo_pixels: Pixels, expected: Map) -> None:
    path = published(
        lambda sketch: sketch.float_before(-2, 8),
        scores(2, 1),
        labels=("sky", "dog", "Person", "cat"),
        normalization=(51.0, 25.5),
    )
    odds = expected.astype(np.float64) / (1 - expected)  # exp(logit); the other three have exp(0)
    with ForeignSession(path, threads=1) as session:
        assert session.reasons[0] == "takes RGB in -2..8 (from its metadata)"
        assert session.reasons[2] == "the person is class 2 of 4 (its label is 'Person')"
        np.testing.assert_allclose(session.run(photo_pixels), odds / (odds + 3), atol=0.02)


def test_a_channel_that_is_labelled_background_is_turned_over(
    published: Published, photo_pixels: Pixels, expected: Map
) -> None:
    with ForeignSession(published(labels=("background",)), threads=1) as session:
        np.testing.assert_allclose(session.run(photo_pixels), 1 - expected)


def test_labels_outrank_the_customary_place(published: Published) -> None:
    with ForeignSession(published(scores(0, 1), labels=("person", "background")), threads=1) as session:
        assert session.adaptation.channel == 0


@pytest.mark.parametrize(
    ("edits", "options", "overrides", "message"),
    [
        ([scores(2, 3)], {}, Overrides(), r"does not say which of its 6 classes is the person: give its number"),
        ([scores(1, 0)], {"labels": ("cat", "dog")}, Overrides(), r"of its 2 classes \(cat, dog\) is the person"),
        ([scores(1, 0)], {}, Overrides(person=2), "has the classes 0 to 1, and no class 2"),
        ([scores(15, 5), argmax("INT32")], {}, Overrides(person=21), "has the classes 0 to 20, and no class 21"),
        ([scores(1, 0)], {}, Overrides(output=OutputKind.CLASSES), "has 2 output channels, and numbers of classes"),
        ([minus_one_to_one], {"normalization": (0.0, 0.0)}, Overrides(), "has metadata that cannot be: the deviations"),
    ],
    ids=["six classes", "no person", "index", "index of an argmax", "kind", "deviation"],
)
def test_what_cannot_be_known_or_be_is_refused(
    published: Published, edits: list[Any], options: dict[str, Any], overrides: Overrides, message: str
) -> None:
    with pytest.raises(ModelFileError, match=message):
        ForeignSession(published(*edits, **options), overrides=overrides)


def test_logits_told_to_be_probabilities_are_found_out(published: Published, photo_pixels: Pixels) -> None:
    with (
        ForeignSession(published(logits), overrides=Overrides(output=OutputKind.PROBABILITIES)) as session,
        pytest.raises(ModelFileError, match=r"gives values from -.* are no probabilities"),
    ):
        session.run(photo_pixels)


@pytest.mark.parametrize("shape", [(1, 65536), (1, 65536, 1), (1, 256, 256)])
def test_a_map_in_another_shape(
    published: Published, photo_pixels: Pixels, expected: Map, shape: tuple[int, ...]
) -> None:
    def reshape(sketch: Any) -> None:
        source = sketch.cut_the_sigmoid()
        sketch.append("RESHAPE", [source, sketch.constant(np.array(shape, np.int32))], shape=shape)

    with ForeignSession(published(reshape), threads=1) as session:
        np.testing.assert_allclose(session.run(photo_pixels), expected, atol=_STEP)


def test_a_vector_is_no_map(published: Published) -> None:
    def pool(sketch: Any) -> None:
        axes = sketch.constant(np.array([1, 2], np.int32))
        sketch.append("MEAN", [sketch.cut_the_sigmoid(), axes], shape=(1, 1))

    with pytest.raises(ModelFileError, match="its output is float32 1x1, and must be a map of 256x256 pixels"):
        ForeignSession(published(pool))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (1, 4, 6, 4)}, "its input is uint8 1x4x6x4, and must be"),
        ({"shape": (2, 4, 6, 3)}, "its input is uint8 2x4x6x3, and must be"),
        ({"shape": (1, 1, 4, 6, 3)}, "its input is uint8 1x1x4x6x3, and must be"),
        ({"type": "INT32"}, "its input is int32 1x4x6x3, and must be"),
        ({"outputs": 2}, "has 2 outputs"),
        ({"zero_point": -1}, "is a truncated or damaged TFLite file"),
    ],
    ids=["rgba", "batch", "rank", "type", "outputs", "zero point"],
)
def test_no_segmentation_model(write_tflite: Callable[..., Path], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        ForeignSession(write_tflite(**options))


def test_every_truncation_is_refused_and_none_crashes(published: Published, tmp_path: Path) -> None:
    content = published(minus_one_to_one, labels=("person",), normalization=(127.5, 127.5)).read_bytes()
    path = tmp_path / "truncated.tflite"
    for length in [0, 7, *range(8, len(content), len(content) // 40), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(ModelFileError, match=r"truncated\.tflite"):
            ForeignSession(path)


def test_a_file_opens_without_the_heavy_packages(published: Published) -> None:
    code = f"""
import sys, pathlib
from edge_deeplab.runtime.opening import open_any_session
open_any_session(pathlib.Path({str(published(labels=("person",)))!r})).close()
heavy = {{"torch", "tensorflow", "onnx", "onnxruntime", "lightning", "matplotlib"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_file_of_this_project_is_held_to_its_contract(published: Published) -> None:
    from edge_deeplab.runtime.tflite_session import TfliteSession
    from edge_deeplab.weights import shipped_model

    with open_any_session(shipped_model(), threads=1) as session:
        assert isinstance(session, TfliteSession)
    with pytest.raises(ModelFileError, match="says itself how it is fed and read"):
        open_any_session(shipped_model(), overrides=Overrides(person=0))
