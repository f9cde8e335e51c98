"""What an operator of an ONNX graph computes with: in QDQ form, its neighbours decide that.

A float operator between DequantizeLinear and QuantizeLinear is one that the runtime may execute in integers; with
DequantizeLinear on its weights only, it is a float operator with small weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import TYPE_CHECKING

from edge_deeplab.inspection.graph import Arithmetic, is_float

if TYPE_CHECKING:
    from onnx import NodeProto

TO_INTEGER, FROM_INTEGER = "QuantizeLinear", "DequantizeLinear"

_CONVERSIONS = frozenset({TO_INTEGER, FROM_INTEGER, "DynamicQuantizeLinear", "Cast"})
# Integer weights meet activations whose range is measured while the model runs (onnxruntime's dynamic quantization).
_DYNAMIC = frozenset({"ConvInteger", "MatMulInteger", "DynamicQuantizeMatMul", "MatMulIntegerToFloat"})
# onnxruntime folds these into the QuantizeLinear behind them, whose range cuts off as they do.
_RECTIFIERS = frozenset({"Relu", "Clip"})
# Only the first input is data: the others are settings (bounds, regions, factors) in floating point.
_SETTINGS = frozenset({"Clip", "Pad", "Resize", "Upsample"})
# The third input is a bias, which onnxruntime quantizes itself where it is given in floating point.
_BIASED = frozenset({"Conv", "ConvTranspose", "Gemm"})
_SMALL_INTEGERS = frozenset({"int4", "uint4", "int8", "uint8", "int16", "uint16"})


class QdqReading:
    """What each operator of a graph computes with, as its neighbours tell."""

    def __init__(
        self, nodes: Sequence[NodeProto], types: Mapping[str, str], derived: Set[str], outputs: Set[str]
    ) -> None:
        """Look at the neighbours.

        Args:
            nodes: the operators in the order of execution.
            types: name of each tensor to numpy's word for its elements, or "unknown".
            derived: the tensors that depend on constants alone.
            outputs: the model's outputs.
        """
        self._types = types
        self._derived = derived
        self._outputs = outputs
        self._producer = {name: node for node in nodes for name in node.output}
        self._consumers: dict[str, list[NodeProto]] = {}
        for node in nodes:
            for name in node.input:
                self._consumers.setdefault(name, []).append(node)

    def arithmetic(self, node: NodeProto) -> Arithmetic:
        """What an operator computes with."""
        if node.op_type in _CONVERSIONS:
            return Arithmetic.CONVERSION
        if node.op_type in _DYNAMIC:
            return Arithmetic.HYBRID
        names = [name for name in (*node.input, *node.output) if name and name not in self._derived]
        types = {self._types[name] for name in names}
        if any(is_float(type_) for type_ in types):
            return self._of_floats(node)
        if types & _SMALL_INTEGERS:
            return Arithmetic.INTEGER
        # Without types (an operator that onnx does not know) an operator on data is taken for what it looks like.
        return Arithmetic.FLOAT if "unknown" in types else Arithmetic.OTHER

    def _of_floats(self, node: NodeProto) -> Arithmetic:
        data = list(self._data(node))
        quantized = all(self._from_integers(name) for name in data) and bool(data)
        if node.op_type in _RECTIFIERS and not quantized:
            before = self._producer.get(node.input[0])
            quantized = before is not None and self._reads_integers(before)
        if quantized and all(self._to_integers(name) for name in node.output if name):
            return Arithmetic.INTEGER
        weights = [name for name in data if name in self._derived]
        return Arithmetic.HYBRID if any(self._from_integers(name) for name in weights) else Arithmetic.FLOAT

    def _reads_integers(self, node: NodeProto) -> bool:
        data = list(self._data(node))
        return bool(data) and all(self._from_integers(name) for name in data)

    def _data(self, node: NodeProto) -> Iterator[str]:
        """The float inputs that an integer kernel would have to read as integers."""
        for place, name in enumerate(node.input):
            setting = place > 0 and node.op_type in _SETTINGS
            bias = place > 1 and node.op_type in _BIASED
            if name and not setting and not bias and is_float(self._types[name]):
                yield name

    def _from_integers(self, name: str) -> bool:
        producer = self._producer.get(name)
        return producer is not None and producer.op_type == FROM_INTEGER

    def _to_integers(self, name: str) -> bool:
        """Nobody sees this float tensor but QuantizeLinear, or a rectifier in front of one."""
        consumers = self._consumers.get(name, [])
        if not consumers or name in self._outputs:
            return False
        if len(consumers) == 1 and consumers[0].op_type in _RECTIFIERS:
            return self._to_integers(consumers[0].output[0])
        return all(node.op_type == TO_INTEGER for node in consumers)
