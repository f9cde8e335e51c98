"""What is counted in a graph, against numbers worked out by hand and against PyTorch's own counter."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from edge_deeplab.inspection.graph import (
    Arithmetic,
    Graph,
    Node,
    Parameters,
    Shape,
    Value,
    affine_parameters,
    multiply_adds,
    peak_activation_bytes,
    product_multiply_adds,
    tensor_bytes,
    weight_bytes,
)
from edge_deeplab.inspection.verdict import Kind, judge


def value(shape: Shape | None, type_: str = "int8", stored: int = 0, parameters: Parameters | None = None) -> Value:
    return Value("x", type_, shape, constant=stored > 0, stored=stored, parameters=parameters)


def node(inputs: tuple[int, ...], outputs: tuple[int, ...], arithmetic: Arithmetic = Arithmetic.FLOAT) -> Node:
    return Node("CONV_2D" if arithmetic is not Arithmetic.CONVERSION else "DEQUANTIZE", inputs, outputs, arithmetic)


def test_the_peak_is_where_a_skip_connection_keeps_its_tensor_alive() -> None:
    # 0 (10 bytes) -> 1 (100) -> 2 (20) -> 3 (30), and 1 is read again by the last: 100 + 20 + 30 live together there.
    values = tuple(value((size,)) for size in (10, 100, 20, 30))
    nodes = (node((0,), (1,)), node((1,), (2,)), node((2, 1), (3,)))
    assert peak_activation_bytes(Graph(values, (0,), (3,), nodes)) == 150
    straight = (node((0,), (1,)), node((1,), (2,)), node((2,), (3,)))
    assert peak_activation_bytes(Graph(values, (0,), (3,), straight)) == 120


def test_weights_and_what_becomes_of_them_are_no_activations() -> None:
    values = (
        value((4,), "float32"),
        value((1000,), "float16", stored=2000),
        value((1000,), "float32"),
        value((4,), "float32"),
    )
    nodes = (node((1,), (2,), Arithmetic.CONVERSION), node((0, 2), (3,)))
    graph = Graph(values, (0,), (3,), nodes)
    assert peak_activation_bytes(graph) == 32
    assert weight_bytes(graph) == {"float16": 2000}


def test_an_unknown_size_gives_no_peak() -> None:
    values = (value((1, "height", 4)), value((1, 2, 4)))
    assert peak_activation_bytes(Graph(values, (0,), (1,), (node((0,), (1,)),))) is None


@pytest.mark.parametrize(
    ("layer", "size"),
    [
        (nn.Conv2d(8, 12, 3, stride=2, padding=1), 9),
        (nn.Conv2d(8, 8, (3, 5), groups=8, dilation=2), 16),
        (nn.Conv2d(8, 12, 1, groups=4), 7),
        (nn.ConvTranspose2d(8, 6, 4, stride=2, padding=1), 5),
    ],
)
def test_convolutions_are_counted_as_pytorch_counts_them(layer: nn.Conv2d | nn.ConvTranspose2d, size: int) -> None:
    image = torch.zeros(1, 8, size, size)
    with FlopCounterMode(display=False) as counter:
        output = layer(image)
    over = image if isinstance(layer, nn.ConvTranspose2d) else output
    assert multiply_adds(tuple(over.shape), tuple(layer.weight.shape), 0) == counter.get_total_flops() // 2


def test_products_are_counted_as_pytorch_counts_them() -> None:
    left, right = torch.zeros(2, 3, 5, 7), torch.zeros(2, 3, 7, 11)
    with FlopCounterMode(display=False) as counter:
        output = left @ right
    assert product_multiply_adds(tuple(left.shape), tuple(output.shape)) == counter.get_total_flops() // 2
    assert product_multiply_adds((1, "rows", 7), (1, "rows", 11)) is None


def test_integers_stand_for_the_range_of_their_channels() -> None:
    assert affine_parameters((1 / 255,), (-128,), 0).limits("int8") == pytest.approx((0, 1))
    assert affine_parameters((0.5, 2.0), (), 3).limits("int8") == (-256, 254)
    assert affine_parameters((0.5, 2.0), (10,), 3).limits("uint8") == (-20, 490)
    assert affine_parameters((0.5,), (0,), 0).limits("int32") is None


def test_small_integers_are_packed() -> None:
    assert tensor_bytes("int4", (3, 3)) == 5
    assert tensor_bytes("bfloat16", (3, 3)) == 18
    assert tensor_bytes("float32", None) is None


def test_integer_ends_do_not_hide_a_float_graph() -> None:
    parameters = affine_parameters((1 / 255,), (0,), 0)
    values = (
        value((4,), "uint8", parameters=parameters),
        *(value((4,), "float32") for _ in range(2)),
        value((4,), "uint8", parameters=parameters),
    )
    nodes = (node((0,), (1,), Arithmetic.CONVERSION), node((1,), (2,)), node((2,), (3,), Arithmetic.CONVERSION))
    verdict = judge(Graph(values, (0,), (3,), nodes))
    assert verdict.kind is Kind.FLOAT
    assert "input and output of uint8 do not make it an integer file" in verdict.sentence


def test_a_graph_that_only_converts_computes_nothing() -> None:
    values = (value((4,)), value((4,), "float32"))
    assert judge(Graph(values, (0,), (1,), (node((0,), (1,), Arithmetic.CONVERSION),))).kind is Kind.NOTHING
