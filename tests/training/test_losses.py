"""Losses and schedules against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from edge_deeplab.training.losses import class_loss, person_loss
from edge_deeplab.training.overlap import image_iou
from edge_deeplab.training.schedules import Schedule, learning_rate_factor


def _disc(batch: int = 1) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    return ((y - 8) ** 2 + (x - 8) ** 2 < 25).float().expand(batch, 1, 16, 16)


def test_person_loss_of_a_coin_toss() -> None:
    """Logit 0 everywhere: cross-entropy log 2; Dice 1 - (2 * n/2 + 1) / (256/4 + n + 1) for n person pixels."""
    coverage = _disc()
    count = float(coverage.sum())
    dice = 1 - (count + 1) / (64 + count + 1)
    loss = person_loss(torch.zeros(1, 1, 16, 16), coverage, dice_weight=0.5, boundary_weight=2.0)
    assert float(loss) == pytest.approx(math.log(2) + 0.5 * dice, rel=1e-5)


def test_an_error_on_the_outline_costs_more() -> None:
    coverage = _disc()
    at_outline, far_away = (torch.where(coverage > 0.5, 4.0, -4.0).clone() for _ in range(2))
    at_outline[0, 0, 8, 13] *= -1  # just outside the disc
    far_away[0, 0, 0, 0] *= -1
    costs = [
        float(person_loss(logits, coverage, dice_weight=0.0, boundary_weight=2.0)) for logits in (at_outline, far_away)
    ]
    assert costs[0] > 1.5 * costs[1]


def test_the_two_losses_agree_on_two_classes() -> None:
    """A softmax over (0, x) is the sigmoid of x."""
    torch.manual_seed(0)
    logits, coverage = torch.randn(2, 1, 16, 16), _disc(2)
    two = torch.cat([torch.zeros_like(logits), logits], dim=1)
    ours = person_loss(logits, coverage, dice_weight=0.0, boundary_weight=2.0)
    theirs = class_loss(two, coverage[:, 0].long(), dice_weight=0.0, boundary_weight=2.0)
    torch.testing.assert_close(ours, theirs)


def test_ignored_pixels_do_not_count() -> None:
    torch.manual_seed(0)
    logits, truth = torch.randn(1, 3, 8, 8, requires_grad=True), torch.randint(0, 3, (1, 8, 8))
    truth[:, :4] = 255
    class_loss(logits, truth, dice_weight=1.0, boundary_weight=0.0).backward()
    assert logits.grad is not None
    assert float(logits.grad[:, :, :4].abs().max()) == 0
    assert float(logits.grad[:, :, 4:].abs().min()) > 0
    nothing = class_loss(logits.detach(), torch.full_like(truth, 255), dice_weight=0.0, boundary_weight=1.0)
    assert float(nothing) == 0


def test_coverage_that_is_not_known_does_not_count() -> None:
    torch.manual_seed(0)
    logits, coverage = torch.randn(1, 1, 16, 16, requires_grad=True), _disc()
    coverage[:, :, :6] = -1
    person_loss(logits, coverage, dice_weight=1.0, boundary_weight=2.0).backward()
    assert logits.grad is not None
    assert float(logits.grad[:, :, :6].abs().max()) == 0
    assert float(logits.grad[:, :, 6:].abs().min()) > 0
    nothing = person_loss(logits.detach(), torch.full_like(coverage, -1), dice_weight=1.0, boundary_weight=2.0)
    assert float(nothing) == 0


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_where_the_unknown_begins_is_no_outline(value: float) -> None:
    """Half of the picture is unknown, the rest is all person or all background: every known pixel weighs the same."""
    torch.manual_seed(0)
    logits, coverage = torch.randn(1, 1, 16, 16), torch.full((1, 1, 16, 16), value)
    coverage[:, :, :8] = -1
    plain, weighted = (person_loss(logits, coverage, dice_weight=0.0, boundary_weight=weight) for weight in (0.0, 9.0))
    torch.testing.assert_close(plain, weighted)


def test_the_loss_of_a_batch_is_the_mean_over_its_images() -> None:
    """What DDP averages over processes is then the loss of the whole batch."""
    torch.manual_seed(0)
    logits, coverage = torch.randn(4, 1, 16, 16), torch.cat([_disc(2), torch.zeros(2, 1, 16, 16)])
    whole = person_loss(logits, coverage, dice_weight=0.5, boundary_weight=2.0)
    parts = [
        person_loss(logits[part], coverage[part], dice_weight=0.5, boundary_weight=2.0)
        for part in (slice(0, 2), slice(2, 4))
    ]
    torch.testing.assert_close(whole, torch.stack(parts).mean())


def test_iou_of_images() -> None:
    logits, truth = torch.full((2, 1, 2, 2), -1.0), torch.zeros(2, 1, 2, 2)
    logits[0, 0, 0, :] = 1.0  # two pixels called person, one of them right, and one missed
    truth[0, 0, :, 0] = 1.0
    assert image_iou(logits, truth).tolist() == pytest.approx([1 / 3, 1.0])  # nothing there, nothing found: 1
    truth[0, 0, 0, 1] = truth[0, 0, 1, 0] = -1.0  # the wrong one and the missed one are left out
    assert image_iou(logits, truth).tolist() == pytest.approx([1.0, 1.0])
    classes = torch.tensor([[[0, 0], [1, 255]]])
    scores = torch.nn.functional.one_hot(torch.tensor([[[0, 1], [1, 2]]]), 3).permute(0, 3, 1, 2).float()
    assert float(image_iou(scores, classes)) == pytest.approx((1 / 2 + 1 / 2) / 2)  # class 2 only where ignored


@pytest.mark.parametrize(("schedule", "half"), [(Schedule.COSINE, 0.5), (Schedule.POLY, 0.5**0.9)])
def test_schedules(schedule: Schedule, half: float) -> None:
    factor = learning_rate_factor(schedule, total_steps=110, warmup_steps=10)
    assert factor(0) == pytest.approx(0.1)
    assert factor(9) == factor(10) == 1.0
    assert factor(60) == pytest.approx(half)
    assert factor(110) == factor(200) == 0.0
