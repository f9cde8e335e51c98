"""What the gradients of depthwise convolutions cost on a CPU: PyTorch's own, and those of training.

Run: python benchmarks/depthwise_gradients.py [--batch 4] [--repeat 3] [--json FILE]

CPU time of one thread, not wall time, so that another job on the machine disturbs it little. The layers are those of
MobileNetV2 1.0 at 256x256 and output stride 16, and the ASPP's at several rates; the step is forward and backward of
the whole network, without the optimizer.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from edge_deeplab.evaluation.machine import describe_machine
from edge_deeplab.files import write_json
from edge_deeplab.models.deeplab import build_network
from edge_deeplab.spec import NetworkSpec
from edge_deeplab.training.depthwise import depthwise_conv2d, fast_depthwise_gradients

# channels, rows and columns, stride, rate
_LAYERS = (
    *((96, 128, 2, 1), (144, 64, 2, 1), (192, 32, 2, 1), (960, 16, 1, 2)),
    *((320, 16, 1, 4), (320, 16, 1, 6), (320, 16, 1, 8), (320, 16, 1, 12), (320, 16, 1, 18)),
)
_PRECISIONS = {"bfloat16": torch.bfloat16, "float32": torch.float32}
_PYTORCH, _CPU = torch.device("meta"), torch.device("cpu")  # on anything but a CPU, PyTorch's own gradients remain
_NETWORK = NetworkSpec(aspp_channels=96, decoder_channels=64, skip_channels=32, atrous_rates=(4, 8))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the numbers here too")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(0)
    result = {
        "milliseconds of CPU time": {
            precision: {
                "backward of a layer: channels, size, stride, rate": {
                    f"{channels}, {size}x{size}, {stride}, {rate}": _layer(
                        (arguments.batch, channels, size, size), stride, rate, dtype, arguments.repeat
                    )
                    for channels, size, stride, rate in _LAYERS
                },
                "step": _step(arguments.batch, dtype, arguments.repeat),
            }
            for precision, dtype in _PRECISIONS.items()
        },
        "batch": arguments.batch,
        "machine": describe_machine(["torch"]),
    }
    print(json.dumps(result, indent=2))
    if arguments.json:
        write_json(arguments.json, result)


def _layer(shape: tuple[int, ...], stride: int, rate: int, dtype: torch.dtype, repeat: int) -> dict[str, float]:
    x = torch.randn(shape, dtype=dtype).contiguous(memory_format=torch.channels_last).requires_grad_()
    weight = torch.randn(shape[1], 1, 3, 3, dtype=dtype).requires_grad_()

    def backward(y: Tensor) -> Callable[[], object]:
        direction = torch.randn_like(y)
        return lambda: torch.autograd.grad(y, (x, weight), direction, retain_graph=True)

    pytorchs = functional.conv2d(x, weight, None, stride, rate, rate, shape[1])
    return _compare(backward(pytorchs), backward(depthwise_conv2d(x, weight, stride, rate)), repeat)


def _step(batch: int, dtype: torch.dtype, repeat: int) -> dict[str, float]:
    network = build_network(_NETWORK).to(memory_format=torch.channels_last).train()
    images = torch.rand(batch, 3, 256, 256).contiguous(memory_format=torch.channels_last)

    def step(device: torch.device) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16), fast_depthwise_gradients(device):
            logits = network(images)
        network.zero_grad()
        logits.float().square().mean().backward()

    return _compare(lambda: step(_PYTORCH), lambda: step(_CPU), repeat)


def _compare(pytorchs: Callable[[], object], ours: Callable[[], object], repeat: int) -> dict[str, float]:
    """The least of several, taken in turns: whatever else runs on the machine only adds."""
    found = {"PyTorch's": float("inf"), "ours": float("inf")}
    for _ in range(repeat + 1):  # the first of everything is slower
        for name, run in zip(found, (pytorchs, ours), strict=True):
            start = time.thread_time()
            run()
            found[name] = min(found[name], 1000 * (time.thread_time() - start))
    return {name: round(value, 2) for name, value in found.items()}


if __name__ == "__main__":
    main()
