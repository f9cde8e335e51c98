"""Tiny networks: a second thread costs more than it brings, and much more on a busy machine."""

from __future__ import annotations

import pytest

from edge_deeplab.data.transforms import Augmentation
from edge_deeplab.spec import ModelSpec, NetworkSpec
from edge_deeplab.training.config import TrainingConfig

TINY_SPEC = ModelSpec(
    network=NetworkSpec(width_multiplier=0.35, aspp_channels=16, decoder_channels=16, skip_channels=8),
    height=32,
    width=32,
)
TINY_TRAINING = TrainingConfig(
    epochs=2, batch_size=4, precision="32-true", workers=0, warmup_steps=0, augmentation=Augmentation(blur=0.0)
)


@pytest.fixture(autouse=True, scope="session")
def _one_thread(one_thread: None) -> None:
    """Every test of this folder."""
