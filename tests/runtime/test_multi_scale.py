"""A checkpoint at several scales, mirrored, and at another output stride."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edge_deeplab.errors import ModelFileError, SpecError
from edge_deeplab.image import resize_area, resize_map
from edge_deeplab.models.deeplab import DeepLab, at_output_stride
from edge_deeplab.runtime.multi_scale import MultiScale, scaled
from edge_deeplab.runtime.opening import open_multi_scale, open_session
from edge_deeplab.spec import ModelSpec

PAPERS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)


def picture(side: int) -> NDArray[np.uint8]:
    """Red at the left, and an edge, so that neither mirroring nor scale is without consequence."""
    pixels = np.random.default_rng(0).integers(0, 60, (side, side, 3), dtype=np.uint8)
    pixels[side // 3 :, : side // 2, 0] += 180
    return pixels


def probability(network: DeepLab, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    image = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        found: NDArray[np.float32] = torch.sigmoid(network(image))[0, 0].numpy()
    return found


@pytest.mark.parametrize(
    ("side", "output_stride", "sides"),
    [
        (256, 16, [128, 192, 256, 320, 384, 448]),
        (513, 16, [257, 385, 513, 641, 769, 897]),
        (513, 8, [257, 385, 513, 641, 769, 897]),
        (96, 32, [64, 64, 96, 128, 128, 160]),
        (500, 16, [260, 372, 500, 628, 740, 868]),
    ],
)
def test_every_size_is_as_far_from_a_multiple_of_the_stride_as_scale_1(
    side: int, output_stride: int, sides: list[int]
) -> None:
    assert [scaled(side, scale, output_stride) for scale in PAPERS] == sides


def test_a_scale_is_never_smaller_than_one_feature() -> None:
    assert scaled(64, 0.01, 16) == 16


def test_scale_1_alone_is_the_checkpoint(small_checkpoint: Path) -> None:
    with open_session(small_checkpoint) as plain, open_multi_scale(small_checkpoint, MultiScale()) as session:
        assert (session.height, session.width, session.classes) == (96, 96, ("person",))
        np.testing.assert_array_equal(session.run(picture(96)), plain.run(picture(96)))


def test_the_result_is_the_mean_over_scales_and_mirror_images(
    small_checkpoint: Path, small_network: DeepLab, small_spec: ModelSpec
) -> None:
    with open_multi_scale(small_checkpoint, MultiScale((0.5, 1.5), flip=True, output_stride=8)) as session:
        assert (session.height, session.width) == (144, 144)
        assert session.runtime.endswith("scales 0.5, 1.5, mirrored too, output stride 8")
        found = session.run(picture(144))
    network = at_output_stride(small_network, small_spec.network, 8)
    maps = []
    for side in (48, 144):
        pixels = resize_area(picture(144), side, side)
        maps += [probability(network, pixels), probability(network, pixels[:, ::-1])[:, ::-1]]
    expected = np.mean([resize_map(np.ascontiguousarray(each), 144, 144) for each in maps], axis=0)
    assert found.shape == (144, 144, 1)
    np.testing.assert_allclose(found[:, :, 0], expected, atol=1e-5)
    assert max(np.abs(each - expected).max() for each in maps[2:]) > 0.01  # each alone is something else


def test_another_output_stride_has_the_same_weights_and_finer_features(
    small_network: DeepLab, small_spec: ModelSpec
) -> None:
    image = torch.zeros(1, 3, 96, 96)
    for stride in (8, 16, 32):
        network = at_output_stride(small_network, small_spec.network, stride)
        assert network.backbone(image)[1].shape[2:] == (96 // stride, 96 // stride)
        for ours, theirs in zip(network.state_dict().values(), small_network.state_dict().values(), strict=True):
            assert torch.equal(ours, theirs)
    side = 96 // small_spec.network.output_stride
    assert small_network.backbone(image)[1].shape[2:] == (side, side)  # it is left as it was


@pytest.mark.parametrize(
    ("scales", "message"),
    [
        ((), "no scale"),
        ((0.0,), "scale 0.0 does not exist"),
        ((1.0, -1.0), r"scale -1\.0"),
        ((float("nan"),), "scale nan"),
        ((5.0,), r"scale 5\.0 does not exist: choose above 0, up to 4\.0"),
        ((1.0, 0.5, 1.0), "named twice"),
    ],
)
def test_scales_that_do_not_exist_are_refused(scales: tuple[float, ...], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        MultiScale(scales)


def test_an_output_stride_that_does_not_exist_is_refused(small_checkpoint: Path) -> None:
    with pytest.raises(SpecError, match="output stride 7 does not exist"):
        open_multi_scale(small_checkpoint, MultiScale(output_stride=7))


def test_a_converted_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(b"")
    with pytest.raises(ModelFileError, match=r"model\.tflite runs at the one size.*give its checkpoint"):
        open_multi_scale(tmp_path / "model.tflite", MultiScale())
    with pytest.raises(ModelFileError, match=r"no model file .*gone"):
        open_multi_scale(tmp_path / "gone.safetensors", MultiScale())
