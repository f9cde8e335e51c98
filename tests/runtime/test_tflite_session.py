from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_deeplab.errors import ImageError, ModelFileError
from edge_deeplab.runtime.tflite_session import TfliteSession

WriteTflite = Callable[..., Path]


def pixels(rows: int = 4, columns: int = 6) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (rows, columns, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("type_", "zero_point"), [("UINT8", 0), ("INT8", -128), ("FLOAT32", 0)], ids=["uint8", "int8", "float"]
)
def test_every_element_type_gives_the_same_probabilities(
    write_tflite: WriteTflite, type_: str, zero_point: int
) -> None:
    picture = np.arange(72, dtype=np.uint8).reshape(4, 6, 3) * 3
    picture[0, 0], picture[0, 1] = (0, 9, 9), (255, 9, 9)
    with TfliteSession(write_tflite(type_, zero_point=zero_point), threads=1) as session:
        assert (session.height, session.width, session.classes) == (4, 6, ("person",))
        found = session.run(picture)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, picture[:, :, :1] / 255, atol=1e-6)


def test_bytes_pass_straight_through_where_the_file_takes_bytes(write_tflite: WriteTflite) -> None:
    picture = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    with TfliteSession(write_tflite(shape=(1, 16, 16, 3))) as session:
        np.testing.assert_array_equal(session.run_raw(picture), picture[:, :, :1])


def test_calibrated_ranges_of_foreign_files_are_respected(write_tflite: WriteTflite) -> None:
    path = write_tflite(scale=1.02 / 255, zero_point=3)
    picture = pixels().clip(10, 240)
    with TfliteSession(path) as session:
        np.testing.assert_allclose(session.run(picture), picture[:, :, :1] / 255, atol=0.51 * 1.02 / 255)


def test_several_channels_are_named_by_number_or_as_told(write_tflite: WriteTflite) -> None:
    path = write_tflite(channels=3)
    with TfliteSession(path) as session:
        assert session.classes == ("class 0", "class 1", "class 2")
    with TfliteSession(path, classes=("sky", "person", "dog")) as session:
        assert session.classes == ("sky", "person", "dog")
        np.testing.assert_allclose(session.run(pixels()), pixels() / 255, atol=1e-6)
    with pytest.raises(ModelFileError, match="3 output channels, and its sidecar names 2 classes"):
        TfliteSession(path, classes=("background", "person"))


def test_the_result_is_the_callers_to_keep(write_tflite: WriteTflite) -> None:
    for type_ in ("UINT8", "FLOAT32"):
        with TfliteSession(write_tflite(type_)) as session:
            first = session.run(pixels())
            kept = first.copy()
            session.run(255 - pixels())
            np.testing.assert_array_equal(first, kept)


def test_pixels_of_another_size_or_type_are_refused(write_tflite: WriteTflite) -> None:
    with TfliteSession(write_tflite()) as session:
        for wrong in (pixels(5, 6), pixels().astype(np.float32), pixels()[:, :, 0]):
            with pytest.raises(ImageError, match="takes RGB uint8 4x6x3"):
                session.run(wrong)


def test_pixels_need_not_be_contiguous(write_tflite: WriteTflite) -> None:
    bgr = pixels()[:, :, ::-1]
    for type_, zero_point in (("UINT8", 0), ("INT8", -128), ("FLOAT32", 0)):
        with TfliteSession(write_tflite(type_, zero_point=zero_point)) as session:
            np.testing.assert_allclose(session.run(bgr)[:, :, 0], pixels()[:, :, 2] / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (1, 4, 6, 4)}, "takes 4 channels instead of the 3"),
        ({"shape": (2, 4, 6, 3)}, "input is uint8 2x4x6x3, and must be"),
        ({"shape": (4, 6, 3)}, "input is uint8 4x6x3, and must be"),
        ({"type": "INT32"}, "input is int32 1x4x6x3, and must be"),
        ({"outputs": 2}, "has 2 outputs"),
        ({"scale": 2 / 255, "zero_point": 127}, "input ranges from -0.996 to 1, and must range from 0 to 1"),
    ],
    ids=["rgba", "batch", "rank", "type", "outputs", "range"],
)
def test_files_of_another_contract_are_refused(
    write_tflite: WriteTflite, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ModelFileError, match=message):
        TfliteSession(write_tflite(**options))


def test_logits_are_no_probabilities(write_tflite: WriteTflite) -> None:
    with (
        TfliteSession(write_tflite("FLOAT32", negate=True)) as session,
        pytest.raises(ModelFileError, match=r"values from -.* are no probabilities: convert it with the sigmoid"),
    ):
        session.run(pixels())


def test_every_truncation_is_refused_and_none_crashes(write_tflite: WriteTflite, tmp_path: Path) -> None:
    content = write_tflite().read_bytes()
    path = tmp_path / "truncated.tflite"
    for length in [0, 3, 7, *range(8, len(content), 16), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(ModelFileError, match=r"truncated\.tflite"):
            TfliteSession(path)


def test_a_text_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "notes.tflite"
    path.write_text("this is not a model, whatever its name says")
    with pytest.raises(ModelFileError, match=r"notes\.tflite is not a TFLite file"):
        TfliteSession(path)


def test_a_file_may_be_replaced_while_it_is_open(write_tflite: WriteTflite) -> None:
    path = write_tflite()
    with TfliteSession(path) as session:
        before = session.run(pixels())
        path.write_bytes(b"")
        np.testing.assert_array_equal(session.run(pixels()), before)


def test_the_runtime_says_who_executes(write_tflite: WriteTflite) -> None:
    with TfliteSession(write_tflite("FLOAT32"), threads=1) as session:
        assert session.runtime.startswith("LiteRT ")
        assert session.runtime.endswith("1 thread")


def test_opening_says_nothing_on_standard_error(write_tflite: WriteTflite) -> None:
    """In a process of its own: the delegate announces itself once."""
    code = f"""
import pathlib
from edge_deeplab.runtime.tflite_session import TfliteSession
with TfliteSession(pathlib.Path({str(write_tflite("FLOAT32", negate=True))!r})) as session:
    assert (session.partitions, session.fully_delegated) == (1, True)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_closing_twice_does_nothing(write_tflite: WriteTflite) -> None:
    session = TfliteSession(write_tflite())
    session.close()
    session.close()


def test_a_session_costs_little_beside_the_network(write_tflite: WriteTflite) -> None:
    """At 256x256 with bytes in and out: below a millisecond even on a busy machine (0.1 ms on an idle one)."""
    picture = pixels(256, 256)
    with TfliteSession(write_tflite(shape=(1, 256, 256, 3))) as session:
        times = []
        for _ in range(50):
            start = time.perf_counter()
            session.run(picture)
            times.append(time.perf_counter() - start)
    assert min(times) < 1e-3
