"""ONNX files: the small network's, and changed ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

from edge_deeplab.doctor.examination import Examination, examine
from edge_deeplab.doctor.finding import Client, Effect

Examined = Callable[[Callable[[Any], None]], Examination]
PHONES = {Client.ORT_NNAPI, Client.ORT_COREML, Client.ORT_QNN}


@pytest.fixture
def examined(small_onnx: bytes, tmp_path: Path) -> Examined:
    def run(edit: Callable[[Any], None]) -> Examination:
        model = onnx.load_from_string(small_onnx)
        edit(model)
        path = tmp_path / "small.onnx"
        onnx.save(model, path)
        return examine(path)

    return run


def test_the_exported_network_fails_nobody(examined: Examined) -> None:
    examination = examined(lambda model: None)
    assert (examination.format, examination.failed) == ("ONNX", False)
    assert {(f.check, f.client) for f in examination.findings if f.effect is not Effect.NOTE} == {
        ("float-file", Client.ORT_QNN)
    }
    assert ("deprecated", Client.ORT_NNAPI) in {(f.check, f.client) for f in examination.findings}
    assert set(examination.unchecked) == PHONES


def test_a_free_size_is_said_to_each_client(examined: Examined) -> None:
    def free(model: Any) -> None:
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"

    found = {f.client: f for f in examined(free).findings if f.check == "free-size"}
    assert set(found) == {Client.ONNXRUNTIME, *PHONES}
    assert found[Client.ORT_QNN].effect is Effect.REFUSED
    assert all(len(finding.where) == 1 for finding in found.values())


def test_logits_and_argmax(examined: Examined) -> None:
    def cut(model: Any) -> Any:
        graph = model.graph
        sigmoid = next(node for node in graph.node if node.op_type == "Sigmoid")
        graph.node.remove(sigmoid)
        return graph, sigmoid.input[0]

    def logits(model: Any) -> None:
        graph, source = cut(model)
        graph.output[0].name = source

    def argmax(model: Any) -> None:
        graph, source = cut(model)
        graph.node.append(onnx.helper.make_node("ArgMax", [source], ["classes"], axis=1))
        del graph.output[:]
        graph.output.append(onnx.helper.make_tensor_value_info("classes", onnx.TensorProto.INT64, None))

    assert any((f.check, f.client) == ("logits", Client.ANY) for f in examined(logits).findings)
    (finding,) = [f for f in examined(argmax).findings if f.check == "argmax-inside"]
    assert finding.where == ("classes",)


def test_another_alignment_is_noted(examined: Examined) -> None:
    def asymmetric(model: Any) -> None:
        for node in model.graph.node:
            for attribute in node.attribute:
                if attribute.name == "coordinate_transformation_mode":
                    attribute.s = b"asymmetric"

    (finding,) = [f for f in examined(asymmetric).findings if f.check == "resize-alignment"]
    assert "asymmetric" in finding.message
    assert finding.where


def test_an_old_upsample_is_asymmetric(examined: Examined) -> None:
    """Before opset 10, Upsample had no choice of where the pixels are."""

    def old(model: Any) -> None:
        for node in model.graph.node:
            if node.op_type == "Resize":
                node.op_type = "Upsample"
                kept = [attribute for attribute in node.attribute if attribute.name == "mode"]
                del node.attribute[:]
                node.attribute.extend(kept)

    (finding,) = [f for f in examined(old).findings if f.check == "resize-alignment"]
    assert "asymmetric" in finding.message
    assert len(finding.where) == 3


def test_an_operator_outside_of_the_lists_and_one_that_nobody_has(examined: Examined) -> None:
    def renamed(kind: str, domain: str) -> Callable[[Any], None]:
        def edit(model: Any) -> None:
            sigmoid = next(node for node in model.graph.node if node.op_type == "Sigmoid")
            sigmoid.op_type, sigmoid.domain = kind, domain
            if domain:
                model.opset_import.append(onnx.helper.make_opsetid(domain, 1))

        return edit

    softsign = examined(renamed("Softsign", ""))
    assert {f.client for f in softsign.findings if f.check == "operator"} == {Client.ORT_NNAPI, Client.ORT_COREML}
    assert not softsign.failed
    own = examined(renamed("Own", "somebody"))
    (finding,) = [f for f in own.findings if f.check == "execution"]
    assert (finding.client, finding.effect, finding.where) == (Client.ONNXRUNTIME, Effect.REFUSED, ("Own",))
