"""TFLite metadata: read back by another module, the same bytes each time, the same network; refused where need be."""

from __future__ import annotations

import importlib
import shutil
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from converters import tflite_int8
from converters.tflite_float16 import halve_weights
from converters.tflite_metadata import add_metadata, described, with_metadata
from converters.tflite_metadata_check import check_numbers
from converters.tflite_schema import read_model, write_model
from edge_deeplab.artifact import Artifact, load_artifact, sidecar_path
from edge_deeplab.checkpoint import load_checkpoint
from edge_deeplab.cli.release_card import card_of
from edge_deeplab.doctor.finding import Client
from edge_deeplab.doctor.requirement import errors_for, require_client
from edge_deeplab.errors import ClientError, ConversionError, ModelFileError
from edge_deeplab.files import sha256
from edge_deeplab.quantization.ranges import QuantRanges
from edge_deeplab.runtime.foreign.session import ForeignSession
from edge_deeplab.runtime.opening import open_session
from edge_deeplab.runtime.tflite_metadata import Activation, read_metadata
from edge_deeplab.runtime.tflite_session import TfliteSession
from edge_deeplab.spec import IoType, ModelSpec, NetworkSpec, Precision, Target
from edge_deeplab.weights import shipped_card, shipped_model

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SPEC = load_artifact(shipped_model()).spec
SIZE = f"{SPEC.height}x{SPEC.width}"


@pytest.fixture(scope="module")
def described_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped uint8 file with metadata."""
    return with_metadata(shipped_model(), tmp_path_factory.mktemp("described") / "portrait.tflite", shipped_card())


@pytest.fixture(scope="module")
def variants() -> Mapping[str, bytes]:
    """The shipped network with other ends and other metadata: name to bytes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        module = importlib.import_module("client_variants")
    return {variant.name: variant.content for variant in module.variants(shipped_model(), shipped_card())}


def test_what_is_said_is_read_back(described_file: Path) -> None:
    card, digest = shipped_card(), load_artifact(shipped_model()).checkpoint_sha256
    found = read_metadata(described_file)
    assert found is not None
    assert found.name == "portrait"
    assert found.description.startswith(card.summary)
    assert "tflite-int8, uint8 input and output" in found.description
    assert found.license == card.terms
    assert found.author == "edge-deeplab"
    assert found.version.endswith(f"+{digest[:12]}")
    assert found.min_parser_version == "1.5.0"
    assert (found.mean, found.deviation) == ((0.0,), (255.0,))
    assert found.labels == ("person",)
    assert found.activation is Activation.NONE
    assert read_metadata(shipped_model()) is None


def test_a_card_of_its_own_in_any_language(tmp_path: Path) -> None:
    card = replace(shipped_card(), name="portrét", summary="Člověk a pozadí: 人.", files={})
    found = read_metadata(with_metadata(shipped_model(), tmp_path / "m.tflite", card, author="Ž. Ý."))
    assert found is not None
    assert (found.name, found.author) == ("portrét", "Ž. Ý.")
    assert found.description.startswith("Člověk a pozadí: 人.")


def test_the_same_bytes_each_time_and_again_on_top(described_file: Path, tmp_path: Path) -> None:
    again = with_metadata(shipped_model(), tmp_path / "again.tflite", shipped_card())
    assert again.read_bytes() == described_file.read_bytes()
    with_metadata(again, again, shipped_card())
    assert again.read_bytes() == described_file.read_bytes()
    other = with_metadata(again, tmp_path / "other.tflite", replace(shipped_card(), terms="None."))
    found = read_metadata(other)
    assert found is not None
    assert found.license == "None."


def test_the_labels_are_an_archive_that_any_program_opens(described_file: Path) -> None:
    with zipfile.ZipFile(described_file) as archive:
        assert archive.testzip() is None
        (entry,) = archive.infolist()
    assert (entry.filename, entry.compress_type, entry.date_time) == (
        "labels.txt",
        zipfile.ZIP_STORED,
        (1980, 1, 1, 0, 0, 0),
    )
    content = described_file.read_bytes()
    # Stored as they are, at places that count from the beginning of the file: a reader may map them.
    *_, size, offset, _ = struct.unpack("<4s4H2LH", content[-22:])  # the archive's end: size and place of its list
    assert offset + size == len(content) - 22
    (header,) = struct.unpack("<L", content[offset + 42 : offset + 46])
    start = header + 30 + len("labels.txt")
    assert content[start : start + entry.file_size] == b"person\n"


def test_the_network_is_the_same(described_file: Path) -> None:
    before, after = (path.read_bytes() for path in (shipped_model(), described_file))
    stored = [_buffers(content) for content in (before, after)]
    assert sorted(stored[0]) == sorted(data for data in stored[1] if b"M001" not in data[:8])
    with TfliteSession(shipped_model(), threads=1) as one, TfliteSession(described_file, threads=1) as other:
        pixels = np.random.default_rng(5).integers(0, 256, (one.height, one.width, 3), np.uint8)
        np.testing.assert_array_equal(one.run_raw(pixels), other.run_raw(pixels))
        assert (other.partitions, other.fully_delegated) == (one.partitions, one.fully_delegated)


def test_the_sidecar_speaks_of_the_new_file(described_file: Path) -> None:
    artifact, original = load_artifact(described_file), load_artifact(shipped_model())
    assert artifact.sha256 == sha256(described_file) != original.sha256
    assert "flatbuffers" in artifact.tools
    assert replace(artifact, path=original.path, sha256=original.sha256, tools=original.tools) == original
    with open_session(described_file, threads=1) as session:
        assert session.classes == ("person",)


def test_without_its_sidecar_the_file_still_says_where_the_person_is(described_file: Path, tmp_path: Path) -> None:
    with ForeignSession(Path(shutil.copy(described_file, tmp_path / "foreign.tflite"))) as session:
        assert "the person is class 0 of 1 (its label is 'person')" in session.reasons


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("int8 input", "the input is int8 (convert with --io uint8)"),
        ("float32 input, no normalization", "a float input without NormalizationOptions"),
        ("float32 input, per-channel normalization", "differs between channels"),
        ("logits, activation NONE", "logits (of CONV_2D) are shown as confidences"),
        ("logits, activation SOFTMAX", "a SOFTMAX over one channel, which is 1 everywhere"),
        ("an empty file of labels", "its metadata name labels.txt, which has no labels"),
        ("probabilities, activation SIGMOID", "the metadata ask for SIGMOID once more"),
        ("probabilities, activation SOFTMAX", "the metadata ask for SOFTMAX once more"),
        ("batch 2", f"it takes one picture, and this is 2x{SIZE}x3"),
        ("dynamic size", "1x1"),
        ("NCHW input", f"the channels come first, 1x3x{SIZE}"),
    ],
)
def test_what_mediapipe_would_refuse_or_take_wrongly_is_named(
    variants: Mapping[str, bytes], name: str, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "wrong.tflite"
    path.write_bytes(variants[name])
    with pytest.raises(ClientError, match="is not for mediapipe: ") as refusal:
        require_client(path, Client.MEDIAPIPE)
    assert words in str(refusal.value)
    assert str(path) in str(refusal.value)


@pytest.mark.parametrize("name", ["uint8 input", "float32 input", "logits, activation SIGMOID", "int8 output"])
def test_what_mediapipe_takes_right_is_not_refused(variants: Mapping[str, bytes], name: str, tmp_path: Path) -> None:
    path = tmp_path / "right.tflite"
    path.write_bytes(variants[name])
    assert errors_for(path, Client.MEDIAPIPE) == ()


def test_a_note_is_no_refusal() -> None:
    assert errors_for(shipped_model(), Client.MEDIAPIPE) == ()  # it names no classes, which is good to know


def test_a_file_that_is_none_of_ours_is_refused(tmp_path: Path) -> None:
    card, out = shipped_card(), tmp_path / "out.tflite"
    alone = Path(shutil.copy(shipped_model(), tmp_path / "alone.tflite"))
    with pytest.raises(ModelFileError, match="sidecar"):
        with_metadata(alone, out, card)
    shutil.copy(sidecar_path(shipped_model()), sidecar_path(alone))
    with pytest.raises(ModelFileError, match="take its own card"):
        with_metadata(alone, out, replace(card, files={"portrait.safetensors": "0" * 64}))
    alone.write_bytes(alone.read_bytes()[:-1000])
    with pytest.raises(ModelFileError, match="hash"):
        with_metadata(alone, out, card)
    assert not out.exists()
    assert not sidecar_path(out).exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"height": 128, "width": 128}, f"takes {SIZE} pixels and gives 1 classes, and its sidecar says 128x128 and 1"),
        ({"width": 128}, f"its sidecar says {SPEC.height}x128"),
        ({"network": NetworkSpec(num_classes=2), "classes": ("background", "person")}, f"says {SIZE} and 2"),
    ],
)
def test_a_sidecar_of_another_network_is_refused(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    path, out = Path(shutil.copy(shipped_model(), tmp_path / "model.tflite")), tmp_path / "out.tflite"
    artifact = load_artifact(shipped_model())
    replace(artifact, path=path, spec=replace(artifact.spec, **change)).write_sidecar()
    with pytest.raises(ModelFileError, match="convert the model again") as refusal:
        with_metadata(path, out, shipped_card())
    assert words in str(refusal.value)
    assert str(path) in str(refusal.value)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["model.tflite", "model.tflite.json"]


@pytest.mark.parametrize(
    ("io", "name", "words"),
    [
        (IoType.FLOAT32, "uint8 input", "takes uint8 and gives uint8, and its sidecar says float"),
        (IoType.UINT8, "float32 input", "takes float32 and gives uint8, and its sidecar says uint8"),
        (IoType.UINT8, "int8 output", "takes uint8 and gives int8, and its sidecar says uint8"),
    ],
)
def test_a_sidecar_of_other_elements_is_refused(
    variants: Mapping[str, bytes], io: IoType, name: str, words: str, tmp_path: Path
) -> None:
    path, out = tmp_path / "model.tflite", tmp_path / "out.tflite"
    path.write_bytes(variants[name])
    replace(load_artifact(shipped_model()), path=path, io=io, sha256=sha256(path)).write_sidecar()
    with pytest.raises(ModelFileError, match=words):
        with_metadata(path, out, shipped_card())
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["model.tflite", "model.tflite.json"]


def test_a_file_of_several_maps_is_refused(tmp_path: Path) -> None:
    path, out = tmp_path / "model.tflite", tmp_path / "out.tflite"
    model = read_model(shipped_model().read_bytes())
    model.subgraphs[0].outputs = np.repeat(model.subgraphs[0].outputs, 2)
    path.write_bytes(write_model(model))
    replace(load_artifact(shipped_model()), path=path, sha256=sha256(path)).write_sidecar()
    with pytest.raises(ModelFileError, match="has not one picture as input and one map as output"):
        with_metadata(path, out, shipped_card())
    assert not out.exists()


@pytest.mark.convert
def test_no_file_is_made_of_one_with_metadata(
    small_float32_tflite: Path, small_checkpoint: Path, small_ranges: QuantRanges, tmp_path: Path
) -> None:
    """They would be untrue of it, and the archive with the labels would be gone."""
    loaded, plain = load_checkpoint(small_checkpoint), tmp_path / "small.tflite"
    shutil.copy(small_float32_tflite, plain)
    Artifact(
        plain, loaded.spec, Target.parse("tflite-float32"), IoType.FLOAT32, sha256(plain), loaded.sha256
    ).write_sidecar()
    out = tmp_path / "int8.tflite"
    said = with_metadata(plain, tmp_path / "said.tflite", card_of(small_checkpoint, loaded)).read_bytes()
    with pytest.raises(ModelFileError, match="carries TFLite Model Metadata"):
        tflite_int8.convert(small_checkpoint, out, small_ranges, said)
    with pytest.raises(ModelFileError, match="carries TFLite Model Metadata"):
        halve_weights(said)
    assert not out.exists()
    halve_weights(plain.read_bytes())  # TensorFlow's own metadata stand in no way


def test_an_int8_file_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    path, out = tmp_path / "int8.tflite", tmp_path / "out.tflite"
    model = read_model(shipped_model().read_bytes())
    (graph,) = model.subgraphs
    first, *graph.operators, last = graph.operators  # without the QUANTIZE at either end
    graph.inputs, graph.outputs = first.outputs, last.inputs
    path.write_bytes(write_model(model))
    replace(load_artifact(shipped_model()), path=path, io=IoType.INT8, sha256=sha256(path)).write_sidecar()
    with pytest.raises(ClientError, match="--io uint8"):
        with_metadata(path, out, shipped_card())
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["int8.tflite", "int8.tflite.json"]


def test_another_network_is_noticed(described_file: Path) -> None:
    content = shipped_model().read_bytes()
    check_numbers(content, described_file.read_bytes())

    def edited(change: Any) -> bytes:
        model = read_model(described_file.read_bytes())
        change(model)
        return write_model(model)

    def weight(model: Any) -> None:
        place = max(range(len(model.buffers)), key=lambda i: 0 if (d := model.buffers[i].data) is None else len(d))
        model.buffers[place].data = np.array(model.buffers[place].data)
        model.buffers[place].data[7] ^= 1

    def name(model: Any) -> None:
        model.subgraphs[0].tensors[5].name = b"renamed"

    def resize(model: Any) -> None:
        options = [
            op.builtinOptions for op in model.subgraphs[0].operators if hasattr(op.builtinOptions, "alignCorners")
        ]
        options[-1].alignCorners, options[-1].halfPixelCenters = True, False

    for change, words in ((weight, "weights changed"), (name, "graph changed"), (resize, "graph changed")):
        with pytest.raises(ConversionError, match=words):
            check_numbers(content, edited(change))


def test_damaged_metadata_are_refused_by_name(described_file: Path, tmp_path: Path) -> None:
    content = bytearray(described_file.read_bytes())
    place = content.index(b"M001") - 4
    path = tmp_path / "damaged.tflite"
    path.write_bytes(content[:place] + b"\xff\xff\xff\x7f" + content[place + 4 :])
    with pytest.raises(ModelFileError, match=r"damaged.tflite has damaged metadata"):
        read_metadata(path)
    path.write_bytes(content.replace(b"labels.txt", b"labels.tx0", 1))  # a name that the archive lacks
    with pytest.raises(ModelFileError, match="damaged metadata"):
        read_metadata(path)


def test_each_class_has_its_label(tmp_path: Path) -> None:
    names = ("background", "person", "cheveux d'été")
    spec = ModelSpec(network=NetworkSpec(num_classes=3), classes=names)
    artifact = replace(load_artifact(shipped_model()), spec=spec)
    metadata = described(artifact, shipped_card())
    path = tmp_path / "three.tflite"
    path.write_bytes(add_metadata(shipped_model().read_bytes(), metadata, artifact))
    assert read_metadata(path) == metadata
    assert metadata.labels == names


@pytest.mark.convert
@pytest.mark.parametrize("precision", [Precision.FLOAT32, Precision.FLOAT16, Precision.DYNAMIC])
def test_float_files(
    small_flatbuffers: Mapping[Precision, bytes], small_checkpoint: Path, precision: Precision, tmp_path: Path
) -> None:
    loaded = load_checkpoint(small_checkpoint)
    path = tmp_path / "small.tflite"
    path.write_bytes(small_flatbuffers[precision])
    target = Target.parse(f"tflite-{precision}")
    Artifact(path, loaded.spec, target, IoType.FLOAT32, sha256(path), loaded.sha256).write_sidecar()
    out = with_metadata(path, tmp_path / "described.tflite", card_of(small_checkpoint, loaded))
    found = read_metadata(out)
    assert found is not None
    assert (found.mean, found.deviation, found.labels) == ((0.0,), (255.0,), ("person",))
    require_client(out, Client.MEDIAPIPE)
    with pytest.raises(ClientError, match="NormalizationOptions"):
        require_client(path, Client.MEDIAPIPE)
    pixels = np.random.default_rng(6).integers(0, 256, (loaded.spec.height, loaded.spec.width, 3), np.uint8)
    with TfliteSession(path, threads=1) as one, TfliteSession(out, threads=1) as other:
        np.testing.assert_array_equal(one.run_raw(pixels), other.run_raw(pixels))
    # TensorFlow's own metadata, such as the runtime that is needed, stay.
    assert _metadata_names(path) < _metadata_names(out) == _metadata_names(path) | {b"TFLITE_METADATA"}


def _buffers(content: bytes) -> list[bytes]:
    model = schema.Model.GetRootAs(content, 0)
    data = [model.Buffers(index).DataAsNumpy() for index in range(model.BuffersLength())]
    return [values.tobytes() for values in data if not isinstance(values, int)]


def _metadata_names(path: Path) -> set[bytes]:
    model = schema.Model.GetRootAs(path.read_bytes(), 0)
    return {model.Metadata(index).Name() for index in range(model.MetadataLength())}
