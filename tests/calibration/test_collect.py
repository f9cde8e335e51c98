"""Ranges observed on real pictures through a real network."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from calibration.collect import collect_ranges, observe, ranges_from
from calibration.images import bundled_calibration
from edge_deeplab.errors import CalibrationError, RangesError, SpecError
from edge_deeplab.image import Rgb, resize_area
from edge_deeplab.models.deeplab import DeepLab
from edge_deeplab.quantization.graph import quantization_graph
from edge_deeplab.quantization.observers import OBSERVERS
from edge_deeplab.quantization.ranges import QuantRanges, save_ranges
from edge_deeplab.spec import ModelSpec

PHOTOS = list(bundled_calibration())[:5]


def collect(network: DeepLab, spec: ModelSpec, images: list[Rgb] = PHOTOS, observer: str = "min-max") -> QuantRanges:
    return collect_ranges(network, spec, images, checkpoint_sha256="ab", observer=observer)


def test_every_point_and_weight_gets_a_range(small_network: DeepLab, small_spec: ModelSpec) -> None:
    ranges = collect(small_network, small_spec)
    quantization_graph(small_network, 1).require(ranges)
    assert ranges.checkpoint_sha256 == "ab"
    assert ranges.activations["input"].origin == "fixed: pixels in [0, 1]"
    assert ranges.activations["aspp.concat"].origin == "observed: min-max over 5 images"


def test_min_max_covers_exactly_what_the_network_gives(small_network: DeepLab, small_spec: ModelSpec) -> None:
    logits = []
    with torch.no_grad():
        for photo in PHOTOS:
            pixels = resize_area(photo, small_spec.height, small_spec.width)
            logits.append(small_network(torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255))
    seen = collect(small_network, small_spec).activations["logits"]
    # The range is the group's: that of the logits before the resize, which cannot exceed it.
    assert seen.low <= float(torch.cat(logits).min()) + 1e-4
    assert seen.high >= float(torch.cat(logits).max()) - 1e-4
    assert seen.affine.scale == pytest.approx((max(seen.high, 0) - min(seen.low, 0)) / 255)


def test_the_order_and_the_batches_do_not_matter(small_network: DeepLab, small_spec: ModelSpec, tmp_path: Path) -> None:
    # Seven in batches of four; backwards, other pictures share a batch. Sums in another order may differ in the last
    # bit of a float32, which moves no scale by more than that.
    one = collect(small_network, small_spec, PHOTOS)
    other = collect(small_network, small_spec, PHOTOS[::-1])
    for name, point in one.activations.items():
        assert other.activations[name].affine.scale == pytest.approx(point.affine.scale, rel=1e-4)
        assert abs(other.activations[name].affine.zero_point - point.affine.zero_point) <= 1
    save_ranges(tmp_path / "a.json", one)
    save_ranges(tmp_path / "b.json", collect(small_network, small_spec, PHOTOS))
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_one_pass_serves_every_observer(small_network: DeepLab, small_spec: ModelSpec) -> None:
    observations = observe(small_network, small_spec, PHOTOS)
    graph = quantization_graph(small_network, 1)
    scales = set()
    for name in OBSERVERS:
        ranges = ranges_from(observations, checkpoint_sha256="ab", observer=name)
        graph.require(ranges)
        scales.add(ranges.activations["backbone.blocks.2.project"].affine.scale)
    assert len(scales) > 1
    with pytest.raises(SpecError, match="min-max"):
        ranges_from(observations, checkpoint_sha256="ab", observer="best")


def test_pictures_that_say_nothing_are_refused(small_network: DeepLab, small_spec: ModelSpec) -> None:
    with pytest.raises(CalibrationError, match="no calibration image"):
        collect(small_network, small_spec, [])
    with pytest.raises(CalibrationError, match="the same"):
        collect(small_network, small_spec, [PHOTOS[0]] * 3)
    with pytest.raises(CalibrationError, match="of one colour"):
        collect(small_network, small_spec, [np.full((9, 9, 3), value, np.uint8) for value in (0, 90)])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_network_that_gives_no_numbers_is_refused(small_network: DeepLab, small_spec: ModelSpec, bad: float) -> None:
    broken = copy.deepcopy(small_network)
    with torch.no_grad():
        broken.backbone.stem.bn.bias[0] = bad
    with pytest.raises(RangesError, match="not finite"):
        collect(broken, small_spec)


def test_a_dead_layer_is_refused_by_name(small_network: DeepLab, small_spec: ModelSpec) -> None:
    dead = copy.deepcopy(small_network)
    with torch.no_grad():
        for parameter in (dead.aspp.project.bn.weight, dead.aspp.project.bn.bias, dead.decoder.skip.bn.weight):  # type: ignore[union-attr]
            parameter.zero_()
        dead.decoder.skip.bn.bias.fill_(-1.0)  # type: ignore[union-attr]
    with pytest.raises(RangesError, match=r"aspp\.project.*calibrate"):
        collect(dead, small_spec)
