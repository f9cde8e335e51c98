"""What portrait_quality measures, for the eye: the edge of four effects, and one row of the matte over time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from quality_methods import Alpha, Method, methods

from demo_app.halo import Scene
from edge_deeplab.data.bundled import bundled_portrait
from edge_deeplab.evaluation.drawing import Tile, grey, sheet
from edge_deeplab.image import Rgb

_EDGE = np.s_[0:190, 110:345]  # the hair of the bundled photo
_ROW = 0.42  # of the height: through the head
_TALL = 3  # pixels for each frame of a slice


def quality_picture(models: Mapping[str, Callable[[Rgb], Alpha]], scenes: Sequence[Scene]) -> Rgb:
    """Two rows: crops of the portrait, and slices through time (time runs down). RGB, uint8, HxWx3."""
    photo, effects = bundled_portrait(), methods()
    plain, ours = effects["plain blur, raw mask"], effects["ours"]
    crops = [Tile(photo[_EDGE], ("photo", ""))]
    for model, segment in models.items():
        mask = segment(photo)
        for name, effect in (("plain blur, raw mask", plain), ("ours", ours)):
            crops.append(Tile(effect.portrait(photo, mask)[_EDGE].copy(), (name, model)))

    segment = next(iter(models.values()))
    masks = [segment(scene.frame) for scene in scenes]
    slices = [Tile(_slice([scene.alpha for scene in scenes]), ("exact matte", ""))]
    slices += [Tile(_slice(_mattes(effects[name], scenes, masks)), (name, _TIMES[name])) for name in _TIMES]
    title = ["Portrait effect: the edge, and one row of the matte over time (downwards) while the person sways"]
    return sheet([crops, slices], title=title, height=230, width=285)


_TIMES = {
    "our blur, raw mask": "the edge is jagged: flicker",
    "our blur, EMA": "smooth, but late and smeared",
    "ours": "smooth and on time",
}


def _mattes(effect: Method, scenes: Sequence[Scene], masks: Sequence[Alpha]) -> list[Alpha]:
    smooth = effect.smooth()
    return [
        effect.matte(scene.frame, smooth(scene.frame, mask)) for scene, mask in zip(scenes, masks, strict=True)
    ]  # fmt: skip


def _slice(mattes: Sequence[Alpha]) -> Rgb:
    row = round(_ROW * mattes[0].shape[0])
    left, right = (round(share * mattes[0].shape[1]) for share in (0.38, 0.62))
    lines = np.stack([matte[row, left:right] for matte in mattes])
    return grey(np.repeat(np.repeat(lines, 2 * _TALL, axis=0), _TALL, axis=1))
