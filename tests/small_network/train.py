"""Train the small network of the tests, small.safetensors beside this file, in a minute: run this file with Python.

It finds made persons (a head on shoulders, in warm colours) before made backgrounds. It is trained because a random
network is no stand-in for a real one: its outputs change visibly with the rounding of float16, and wholly with int8.
It is kept as a file because tests must not wait for it, and every machine must test the same numbers.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from edge_deeplab.checkpoint import save_checkpoint
from edge_deeplab.models.deeplab import build_network
from edge_deeplab.spec import ModelSpec, NetworkSpec

SPEC = ModelSpec(
    network=NetworkSpec(width_multiplier=0.35, aspp_channels=32, decoder_channels=32, skip_channels=16),
    height=96,
    width=96,
)
STEPS, BATCH, SEED = 250, 8, 0


def made_person(random: np.random.Generator, size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A picture, RGB uint8 size x size x 3, and its mask, uint8 size x size, 0 or 1."""
    background = cv2.resize(random.integers(0, 256, (4, 4, 3), dtype=np.uint8), (size, size), interpolation=2)
    mask = np.zeros((size, size), np.uint8)
    if random.random() < 0.9:
        x, head = random.uniform(0.3, 0.7) * size, random.uniform(0.1, 0.2) * size
        y = random.uniform(0.25, 0.5) * size
        cv2.ellipse(mask, (int(x), int(y)), (int(head), int(1.3 * head)), 0, 0, 360, 1, -1)
        cv2.ellipse(mask, (int(x), int(y + 4.2 * head)), (int(2.3 * head), int(3 * head)), 0, 0, 360, 1, -1)
    warm = np.array([random.uniform(170, 255), random.uniform(100, 170), random.uniform(50, 120)])
    shade = 1 + 0.2 * np.linspace(-1, 1, size)[None, :, None] * random.uniform(-1, 1)
    picture = np.where(mask[:, :, None] == 1, warm * shade, background) + random.normal(0, 6, (size, size, 3))
    return np.clip(picture, 0, 255).astype(np.uint8), mask


def main() -> None:
    """Train and write the file."""
    torch.set_num_threads(1)  # the order of sums is part of the result
    torch.manual_seed(SEED)
    random = np.random.default_rng(SEED)
    network = build_network(SPEC.network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=STEPS)
    for step in range(STEPS):
        pairs = [made_person(random, SPEC.height) for _ in range(BATCH)]
        images = torch.from_numpy(np.stack([picture for picture, _ in pairs])).permute(0, 3, 1, 2).float() / 255
        masks = torch.from_numpy(np.stack([mask for _, mask in pairs]))[:, None].float()
        loss = functional.binary_cross_entropy_with_logits(network(images), masks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 25 == 24:
            print(step + 1, float(loss.detach()), flush=True)
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    notes = {"recipe": "tests/small_network/train.py", "seed": SEED, "steps": STEPS}
    save_checkpoint(Path(__file__).with_name("small.safetensors"), SPEC, weights, notes=notes, half=True)


if __name__ == "__main__":
    main()
