from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edge_deeplab.errors import ImageError, ModelFileError
from edge_deeplab.runtime.onnx_session import OnnxSession


def write_onnx(path: Path, shape: tuple[int | str, ...] = (1, 3, 4, 6), operator: str = "Identity") -> Path:
    """A file whose output is its input, or its negative."""
    image, out = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("image", "out"))
    graph = helper.make_graph([helper.make_node(operator, ["image"], ["out"])], "graph", [image], [out])
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()
    )
    return path


def test_channels_and_sizes_keep_their_places(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    with OnnxSession(write_onnx(tmp_path / "a.onnx"), threads=1, classes=("r", "g", "b")) as session:
        assert (session.height, session.width, session.classes) == (4, 6, ("r", "g", "b"))
        assert session.runtime == f"onnxruntime {onnxruntime_version()}, 1 thread"
        found = session.run(pixels)
        with pytest.raises(ImageError, match="takes RGB uint8 4x6x3"):
            session.run(pixels[:3])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, pixels / 255, atol=1e-6)


def test_files_of_another_contract_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"its input is image tensor\(float\) \['batch', 3, 4, 6\]"):
        OnnxSession(write_onnx(tmp_path / "a.onnx", shape=("batch", 3, 4, 6)))
    with pytest.raises(ModelFileError, match="its input is"):
        OnnxSession(write_onnx(tmp_path / "b.onnx", shape=(1, 4, 6, 4)))


def test_logits_are_no_probabilities(tmp_path: Path) -> None:
    with (
        OnnxSession(write_onnx(tmp_path / "a.onnx", operator="Neg")) as session,
        pytest.raises(ModelFileError, match="are no probabilities"),
    ):
        session.run(np.full((4, 6, 3), 200, np.uint8))


def test_a_truncated_file_and_a_text_file_are_refused(tmp_path: Path) -> None:
    content = write_onnx(tmp_path / "a.onnx").read_bytes()
    for name, wrong in (("half.onnx", content[: len(content) // 2]), ("text.onnx", b"not a model"), ("no.onnx", b"")):
        (tmp_path / name).write_bytes(wrong)
        with pytest.raises(ModelFileError, match=f"{name} is no ONNX file, or is truncated"):
            OnnxSession(tmp_path / name)


def onnxruntime_version() -> str:
    import onnxruntime

    return str(onnxruntime.__version__)


@pytest.mark.parametrize(
    ("value", "classes"),
    [
        ('["sky", "person", "dog"]', ("sky", "person", "dog")),
        # Another program's entry of that name, and names of something else.
        *(
            (value, ("class 0", "class 1", "class 2"))
            for value in ("sky,person", '{"0": "sky"}', "[1, 2, 3]", '["sky"]')
        ),
    ],
)
def test_the_names_in_the_file(tmp_path: Path, value: str, classes: tuple[str, ...]) -> None:
    path = write_onnx(tmp_path / "a.onnx")
    model = onnx.load(path)
    model.metadata_props.add(key="classes", value=value)
    onnx.save(model, path)
    with OnnxSession(path, threads=1) as session:
        assert session.classes == classes
    with OnnxSession(path, threads=1, classes=("r", "g", "b")) as session:
        assert session.classes == ("r", "g", "b")  # the sidecar's
