"""Write docs/family-atrous.png, family-aspp.png and family-decoder.png, the pictures of family.md.

Run from the root of the repository: python docs/make_family_pictures.py
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_deeplab.data.bundled import bundled_portrait
from edge_deeplab.evaluation.drawing import EXTRA, MISSED, Tile, grey, sheet
from edge_deeplab.image import Rgb, resize_area, write_image
from edge_deeplab.models.deeplab import build_network
from edge_deeplab.models.family import DEEPLAB_V3
from edge_deeplab.models.loading import load_network
from edge_deeplab.runtime.torch_session import image_tensor
from edge_deeplab.weights import shipped_checkpoint

BOX = 264
PATCH, CELL = 33, 8  # cells of a map around one place, and pixels of the picture for each
STRIDE = 16
PLACE = (8, 16)  # row and column in the map of 33x33: the face


def seen(layer: nn.Conv2d, side: int) -> NDArray[np.bool_]:
    """Which cells of a map of side x side the middle one is computed from: bool, by the gradient."""
    with torch.no_grad():
        layer.weight.fill_(1.0)
    x = torch.zeros(1, layer.in_channels, side, side, requires_grad=True)
    layer(x)[0, 0, side // 2, side // 2].backward()
    assert x.grad is not None
    return (x.grad[0, 0] != 0).numpy()


def cells(values: Rgb, size: int) -> Rgb:
    """Each pixel as a square of ``size`` pixels, with a line around it."""
    large = np.repeat(np.repeat(values, size, axis=0), size, axis=1)
    large[::size], large[:, ::size] = large[::size] // 2, large[:, ::size] // 2
    return large


def painted(picture: Rgb, taps: NDArray[np.bool_]) -> Rgb:
    """A map in grey, what is seen in orange and the middle in blue where it is not."""
    result = (picture // 3 * 2).copy()
    result[taps] = MISSED
    middle = (taps.shape[0] // 2, taps.shape[1] // 2)
    result[middle] = EXTRA
    return result


def atrous(photo: Rgb) -> Rgb:
    patch = resize_area(photo[60:324, 110:374], PATCH, PATCH)
    tiles = []
    for rate in (1, 2, 6, 12):
        taps = seen(nn.Conv2d(1, 1, 3, padding=rate, dilation=rate, bias=False), PATCH)
        span = int(np.ptp(np.argwhere(taps)[:, 0])) + 1
        words = (f"rate {rate}: 9 weights", f"span {span} = 3 + 2 * ({rate} - 1)")
        tiles.append(Tile(cells(painted(patch, taps), CELL), words))
    title = ("Atrous convolution, 3x3: the same nine weights (orange) for the place in blue, further apart",)
    return sheet([tiles], title=title, height=BOX, width=BOX)


def aspp(photo: Rgb) -> Rgb:
    """The branches of V3 over a map of output stride 16, at one place."""
    network = build_network(DEEPLAB_V3)
    side = 512 // STRIDE + 1
    picture = resize_area(photo, side * CELL, side * CELL)
    tiles = [Tile(picture, ("a photo of 513x513:", f"a map of {side}x{side}"))]
    for branch in network.aspp.branches:
        layers = [module for module in branch.modules() if isinstance(module, nn.Conv2d)]
        layer, pooled = layers[0], not hasattr(branch, "conv")
        rate = layer.dilation[0]
        size = layer.kernel_size[0]
        taps = np.zeros((side, side), dtype=bool)
        if pooled:
            taps[:] = True
            words = ("image pooling:", "the mean of everything")
        else:
            steps = [rate * (index - size // 2) for index in range(size)]
            inside = [(PLACE[0] + i, PLACE[1] + j) for i in steps for j in steps]
            inside = [(i, j) for i, j in inside if 0 <= i < side and 0 <= j < side]
            taps[tuple(np.array(inside).T)] = True
            words = (f"{size}x{size}, rate {rate}" if size > 1 else "1x1", f"{len(inside)} of {size * size} in the map")
        tiles.append(Tile(overlay(picture, taps), words))
    title = (
        "ASPP (V3): what each branch sees of the features for the place in blue; a border of zeros is around them",
    )
    return sheet([tiles[:3], tiles[3:]], title=title, height=BOX, width=BOX)


def overlay(picture: Rgb, taps: NDArray[np.bool_]) -> Rgb:
    """Cells of a map over the photo: orange where they are seen, blue the place itself."""
    large = np.repeat(np.repeat(taps, CELL, axis=0), CELL, axis=1)
    share = 0.35 if taps.all() else 0.9
    mixed = np.where(large[:, :, None], picture * (1 - share) + np.array(MISSED) * share, picture * 0.6)
    row, column = (index * CELL for index in PLACE)
    mixed[row : row + CELL, column : column + CELL] = EXTRA
    return mixed.astype(np.uint8)


def decoder(photo: Rgb) -> Rgb:
    """What the shipped model holds on its way through the decoder."""
    network, loaded = load_network(shipped_checkpoint())
    assert network.decoder is not None
    held: dict[str, Tensor] = {}
    for name, module in {"aspp": network.aspp, "skip": network.decoder.skip, "decoder": network.decoder}.items():
        module.register_forward_hook(lambda _, __, output, name=name: held.__setitem__(name, output))
    pixels = resize_area(photo, loaded.spec.height, loaded.spec.width)
    with torch.no_grad():
        probability = network(image_tensor(pixels)).sigmoid()[0, 0].numpy()
    tiles = [
        Tile(resize_area(photo, BOX, BOX), ("photo", "")),
        Tile(spread(held["aspp"]), ("behind ASPP, output stride 16:", size_words(held["aspp"]))),
        Tile(spread(held["skip"]), ("skip, stride 4:", size_words(held["skip"]))),
        Tile(spread(held["decoder"]), ("behind the decoder, stride 4:", size_words(held["decoder"]))),
        Tile(grey(probability), ("probability of a person,", "resized to the input's size")),
    ]
    title = ("V3+'s decoder in the shipped model: how strongly the features answer (root of their mean square)",)
    return sheet([tiles], title=title, height=BOX, width=BOX)


def size_words(features: Tensor) -> str:
    channels, height, width = features.shape[1:]
    return f"{height}x{width}, {channels} channels"


def spread(features: Tensor) -> Rgb:
    """(1, C, H, W) -> the strength of the features at each place, from black to white, as squares."""
    strength = features[0].square().mean(0).sqrt().numpy()
    low, high = np.percentile(strength, (2, 98))
    values = grey(((strength - low) / (high - low)).astype(np.float32))
    return np.asarray(cv2.resize(values, (BOX, BOX), interpolation=cv2.INTER_NEAREST), np.uint8)


def main() -> None:
    photo = bundled_portrait()
    pictures: Mapping[str, Rgb] = {"atrous": atrous(photo), "aspp": aspp(photo), "decoder": decoder(photo)}
    for name, picture in pictures.items():
        write_image(Path(__file__).with_name(f"family-{name}.png"), picture)


if __name__ == "__main__":
    main()
