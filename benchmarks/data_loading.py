"""What a training sample costs: CPU time of reading and of augmenting, on one core.

Run: python benchmarks/data_loading.py DIR [--split train] [--count 300] [--json FILE]

CPU time, not wall time, so that another job on the machine disturbs it little.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

import torch

from edge_deeplab.data.opening import open_dataset
from edge_deeplab.data.transforms import EvaluationTransform, TrainingTransform, replace_background
from edge_deeplab.evaluation.machine import describe_machine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="train")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--json", type=Path, help="write the numbers here too")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(0)
    dataset = open_dataset(arguments.data, split=arguments.split)
    chosen = random.Random(0).sample(range(len(dataset)), min(arguments.count, len(dataset)))
    training = TrainingTransform(256, 256, dataset.mask_kind)
    evaluation = EvaluationTransform(256, 256, dataset.mask_kind)
    training(dataset[chosen[0]])  # the first call of everything is slower

    stages = {"read": 0.0, "augment": 0.0, "replace background": 0.0, "resize for evaluation": 0.0}
    previous = dataset[chosen[-1]]
    for index in chosen:
        times = [time.process_time()]
        sample = dataset[index]
        times.append(time.process_time())
        training(sample)
        times.append(time.process_time())
        replace_background(sample, previous)
        times.append(time.process_time())
        evaluation(sample)
        times.append(time.process_time())
        for stage, start, end in zip(stages, times, times[1:], strict=False):
            stages[stage] += 1000 * (end - start) / len(chosen)
        previous = sample
    result = {
        "milliseconds of CPU time per sample": {stage: round(value, 2) for stage, value in stages.items()},
        "samples": len(chosen),
        "network size": "256x256",
        "machine": describe_machine(["torch", "torchvision", "pillow", "numpy"]),
    }
    text = json.dumps(result, indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
