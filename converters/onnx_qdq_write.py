"""The float32 export rewritten with QuantizeLinear/DequantizeLinear pairs, ONNX's "QDQ format".

The operators stay as they are, and a pair behind each tensor that is an activation point rounds it to an integer and
back; weights and biases are stored as integers with a DequantizeLinear. A runtime without integer kernels computes what
the simulation computes; onnxruntime merges the pairs into integer kernels.

Activations are uint8, the int8 of the ranges with every integer and the zero point 128 larger, as at the ends of the
TFLite file. onnxruntime has its fast kernels for that on x86; int8 it would turn into uint8 itself, but only where a
tensor has one reader, and a third of the convolutions, with both types around them, would stay in float.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from converters.onnx_match import RECTIFIERS, Match, constants, rectified_tensors
from edge_deeplab.quantization.affine import INT8_MAX, INT8_MIN, UINT8_SHIFT, Affine, quantize
from edge_deeplab.quantization.graph import Convolution, QuantizationGraph
from edge_deeplab.quantization.integers import layer_integers
from edge_deeplab.quantization.ranges import QuantRanges

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

FLOAT_ONLY = frozenset({"Resize"})
"""Operators whose integer form in onnxruntime (1.23) is wrong, which therefore stay in float between the pairs.

Resize casts the interpolated value to an integer instead of rounding it, half a step off on average (onnxruntime's
issues 7368 and 21319).
"""


def quantized_name(tensor: str) -> str:
    """The name of the integers (uint8) of a float tensor of the export."""
    return f"{tensor}_quantized"


def quantize_model(exported: bytes, graph: QuantizationGraph, ranges: QuantRanges, matched: Match) -> bytes:
    """Rewrite a float32 ONNX file with pairs and integers.

    Tensors keep their names. The integers of the tensor ``x`` are called ``x_quantized`` and what is read of them
    ``x_dequantized``; the output of the graph keeps its name for the latter, and so does the input for what comes in.

    Raises:
        RangesError: a bias does not fit into int32.
    """
    import onnx

    model = onnx.load_from_string(exported)
    writer = _Writer(model, graph, ranges, matched)
    for value in model.graph.input:
        writer.point(value.name, value.name)
    for node in model.graph.node:
        writer.operator(node)
    del model.graph.node[:], model.graph.initializer[:], model.graph.value_info[:]
    model.graph.node.extend(writer.nodes)
    used = {name for node in writer.nodes for name in node.input}
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(values, name) for name, values in writer.constants.items() if name in used
    )
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


class _Writer:
    """Collects the operators of the new graph, in order of execution, and its constants."""

    def __init__(self, model: ModelProto, graph: QuantizationGraph, ranges: QuantRanges, matched: Match) -> None:
        self.nodes: list[NodeProto] = []
        self.constants = constants(model)
        self._graph, self._ranges, self._matched = graph, ranges, matched
        self._outputs = {value.name for value in model.graph.output}
        self._rectified = rectified_tensors(model)
        self._rectifiers = {node.output[0]: node for node in model.graph.node if node.op_type in RECTIFIERS}

    def operator(self, node: NodeProto) -> None:
        """Add an operator of the float graph: what it reads is dequantized, what it writes is quantized."""
        if node.input[0] in self._rectified:
            return  # a rectifier: it is in the quantization of what the operator before it writes
        tensor = self._rectified.get(node.output[0], node.output[0])
        inputs = [self._read(name) for name in node.input]
        if node.op_type == "Conv":
            inputs[1:] = self._layer(self._matched.convolutions[tensor])
        if node.op_type in FLOAT_ONLY:
            inputs[0] = self._keep_float(node.input[0])
        raw = f"{tensor}_unrounded" if tensor in self._outputs else tensor
        if self._is_global_mean(node):
            self._add("GlobalAveragePool", inputs[:1], raw)  # for which onnxruntime has an integer kernel
        else:
            self._add(node.op_type, inputs, raw).attribute.extend(node.attribute)
        self.point(tensor, raw)

    def point(self, tensor: str, raw: str) -> None:
        """Round the tensor ``raw`` to the integers of the point that ``tensor`` is, and back."""
        point = self._matched.activations[tensor]
        affine = self._ranges.activation(point).affine
        parameters = [
            self._constant(f"{point}.scale", np.float32(affine.scale)),
            self._constant(f"{point}.zero_point", np.uint8(affine.zero_point + UINT8_SHIFT)),
        ]
        limits = self._limits(tensor, affine)
        if limits == (INT8_MIN, INT8_MAX):
            self._add("QuantizeLinear", [raw, *parameters], quantized_name(tensor))
        else:
            ends = [
                self._constant(f"{tensor}_{end}", np.uint8(limit + UINT8_SHIFT))
                for end, limit in zip(("low", "high"), limits, strict=True)
            ]
            self._add("QuantizeLinear", [raw, *parameters], f"{tensor}_unrectified")
            self._add("Clip", [f"{tensor}_unrectified", *ends], quantized_name(tensor))
        self._add("DequantizeLinear", [quantized_name(tensor), *parameters], self._read(tensor))

    def _read(self, name: str) -> str:
        """The name under which operators read what was called ``name`` in the float graph."""
        return f"{name}_dequantized" if name in self._matched.activations and name not in self._outputs else name

    def _limits(self, tensor: str, affine: Affine) -> tuple[int, int]:
        """The integers between which a tensor lies behind its rectifier; rounding is monotonic, so that clipping
        behind it is the clipping before it.

        All of int8 where the range ends at or below the rectifier's bounds, as it nearly always does. A Clip in front
        of the rounding would say the same, but onnxruntime keeps it, and the convolution before it in float, where the
        upper end of the range lies above 6 by no more than the last bit of a float.
        """
        rectifier = self._rectifiers.get(tensor)
        if rectifier is None:
            return INT8_MIN, INT8_MAX
        bounds = [self.constants[name] if name else None for name in rectifier.input[1:]] + [None, None]
        low = 0.0 if rectifier.op_type == "Relu" else -np.inf if bounds[0] is None else float(bounds[0])
        high = np.inf if bounds[1] is None else float(bounds[1])
        first, last = quantize(np.array([low, high]), affine)
        return int(first), int(last)

    def _is_global_mean(self, node: NodeProto) -> bool:
        keeps = any(attribute.name == "keepdims" and attribute.i == 0 for attribute in node.attribute)
        return node.op_type == "ReduceMean" and not keeps and list(self.constants[node.input[1]]) == [2, 3]

    def _keep_float(self, tensor: str) -> str:
        """Put a Clip between a pair and the operator that reads it, at the ends of the range, so that it changes
        nothing: onnxruntime merges only neighbours into integer kernels.
        """
        affine = self._ranges.activation(self._matched.activations[tensor]).affine
        ends = [
            self._constant(f"{tensor}_lowest", np.float32(affine.low)),
            self._constant(f"{tensor}_highest", np.float32(affine.high)),
        ]
        self._add("Clip", [self._read(tensor), *ends], f"{tensor}_float")
        return f"{tensor}_float"

    def _layer(self, layer: Convolution) -> list[str]:
        """Add the integers of a convolution; the names of its weights and biases, dequantized."""
        weights, scales, bias, steps = layer_integers(self._graph, self._ranges, layer)
        names = []
        for what, integers, factors in (("weight", weights, scales), ("bias", bias, steps)):
            name = f"{layer.name}.{what}"
            inputs = [
                self._constant(f"{name}_quantized", integers),
                self._constant(f"{name}_scale", factors),
                self._constant(f"{name}_zero_point", np.zeros(len(factors), integers.dtype)),
            ]
            self._add("DequantizeLinear", inputs, name, axis=0)
            names.append(name)
        return names

    def _constant(self, name: str, values: Any) -> str:
        self.constants[name] = np.asarray(values)
        return name

    def _add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> NodeProto:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return self.nodes[-1]
