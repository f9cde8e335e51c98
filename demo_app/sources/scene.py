"""A film that needs neither a camera nor a file: somebody who moves a little in a room."""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from demo_app.frame import Frame
from demo_app.nothing_to_close import NothingToClose
from demo_app.sources.source import ASSUMED_FPS
from edge_deeplab.data.bundled import bundled_portrait
from edge_deeplab.errors import SpecError
from edge_deeplab.image import Rgb

_MIN_SIDE = 32

# The astronaut and the helmet on the bundled portrait, as a polygon (x, y) in its 512x512 pixels, just within the edge.
# fmt: off
_OUTLINE = [
    (202, 24), (194, 30), (192, 34), (186, 39), (175, 44), (164, 52), (158, 58), (154, 69), (155, 92), (157, 100),
    (163, 109), (170, 115), (173, 124), (182, 131), (184, 141), (183, 148), (179, 150), (161, 150), (147, 155),
    (132, 168), (118, 191), (113, 206), (93, 226), (76, 236), (62, 252), (57, 264), (47, 278), (41, 294), (40, 303),
    (33, 323), (28, 336), (26, 376), (24, 396), (25, 501), (27, 511), (503, 511), (503, 478), (499, 455), (495, 431),
    (491, 418), (480, 396), (472, 385), (452, 366), (425, 352), (398, 346), (381, 346), (368, 349), (363, 348),
    (360, 344), (361, 328), (358, 313), (355, 308), (351, 288), (345, 275), (340, 264), (329, 252), (305, 236),
    (299, 220), (288, 204), (274, 189), (260, 179), (255, 173), (256, 161), (262, 151), (266, 136), (274, 133),
    (289, 116), (295, 106), (298, 96), (299, 81), (298, 73), (295, 67), (295, 59), (286, 42), (275, 32), (250, 20),
    (240, 17), (228, 17), (214, 22), (207, 22),
]
# fmt: on
_WAIST = (256.0, 511.0)  # of the portrait, (x, y): what stands still when the person leans to a side


class SceneSource(NothingToClose):
    """The bundled portrait's astronaut before a made room with a window, shelves and lamps; the same bytes each time.

    The person sways, leans and breathes; the room stands still. The edge is not exact enough to measure mattes with.

    Args:
        width: columns of a frame, 32 or more.
        height: rows of a frame, 32 or more.
        fps: frames a second.
        frames: how many; None: without end.
        seed: of the room's books and lamps, and of the phases of the motion.

    Attributes:
        size: (width, height).

    Raises:
        SpecError: a smaller size.
    """

    def __init__(
        self,
        width: int = 1280,
        height: int = 720,
        fps: float = ASSUMED_FPS,
        frames: int | None = None,
        seed: int = 0,
    ) -> None:
        if min(width, height) < _MIN_SIDE:
            raise SpecError(f"a scene of {width}x{height} shows nothing: {_MIN_SIDE}x{_MIN_SIDE} is the smallest")
        self.size = (width, height)
        self.fps = fps
        self.total = frames
        random = np.random.default_rng(seed)
        self._room = _room(width, height, random)
        self._phases = random.uniform(0.0, 2 * math.pi, 3)
        self._person = bundled_portrait()
        self._coverage = _coverage(self._person)

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        while self.total is None or index < self.total:
            yield Frame(self._picture(index / self.fps), "scene")
            index += 1

    def _picture(self, seconds: float) -> Rgb:
        """The scene at a time: the person over the room, in an array of its own."""
        placed = self._placement(seconds)
        # Only the rectangle that the person may fill is mixed: half of the frame.
        (left, top), (right, bottom) = _bounds(placed, *self.size)
        placed = placed - [[0, 0, left], [0, 0, top]]
        extent = (right - left, bottom - top)
        person = cv2.warpAffine(self._person, placed, extent, borderMode=cv2.BORDER_REPLICATE)
        coverage = cv2.warpAffine(self._coverage, placed, extent)
        picture = self._room.copy()
        place = picture[top:bottom, left:right]
        weight = cv2.cvtColor(coverage, cv2.COLOR_GRAY2RGB)
        over = cv2.multiply(person, weight, scale=1 / 255)
        under = cv2.multiply(place, cv2.bitwise_not(weight), scale=1 / 255)
        cv2.add(over, under, dst=place)
        return picture

    def _placement(self, seconds: float) -> NDArray[np.float64]:
        """The affine map, 2x3, from the portrait's pixels to the frame's."""
        width, height = self.size
        sway, lean, breath = (math.sin(turn) for turn in self._phases + seconds * np.array([0.9, 0.6, 1.7]))
        zoom = min(0.92 * height, 1.1 * width) / 512 * (1 + 0.012 * breath)
        turned = np.asarray(cv2.getRotationMatrix2D(_WAIST, 3.0 * lean, zoom), np.float64)
        # The waist stays below the frame's lower edge, whatever the lean: nobody is cut off in the air.
        turned[:, 2] += np.array([width * (0.5 + 0.07 * sway), height * 1.03]) - _WAIST
        return turned


def _coverage(person: Rgb) -> NDArray[np.uint8]:
    """Where the person is on the portrait: uint8, HxW, with an edge a pixel or two wide."""
    coverage = np.zeros(person.shape[:2], np.uint8)
    cv2.fillPoly(coverage, [np.array(_OUTLINE, np.int32)], (255,), cv2.LINE_AA)
    soft: NDArray[np.uint8] = cv2.GaussianBlur(coverage, (0, 0), 0.8, borderType=cv2.BORDER_REPLICATE)  # type: ignore[assignment]
    return soft


def _bounds(placed: NDArray[np.float64], width: int, height: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """The whole pixels of a frame that the portrait may touch, when placed so: (left, top), (right, bottom)."""
    corners = placed @ np.array([[-1, 512, 512, -1], [-1, -1, 512, 512], [1, 1, 1, 1]], np.float64)
    low = np.clip(np.floor(corners.min(axis=1)), 0, (width, height)).astype(int)
    high = np.clip(np.ceil(corners.max(axis=1)) + 1, 0, (width, height)).astype(int)
    return (int(low[0]), int(low[1])), (int(high[0]), int(high[1]))


def _room(width: int, height: int, random: np.random.Generator) -> Rgb:
    """A wall with a window, shelves of books and a string of small lamps, drawn in the proportions 16:9."""
    room = np.empty((720, 1280, 3), np.uint8)
    falloff = np.linspace(1.0, 0.72, 1280)[None, :, None] * np.linspace(1.05, 0.85, 720)[:, None, None]
    grain = cv2.GaussianBlur(random.normal(0.0, 14.0, (720, 1280)).astype(np.float32), (0, 0), 1.2)
    room[:] = np.clip(np.array([176, 164, 142]) * falloff + grain[:, :, None], 0, 255)
    _draw_window(room)
    _draw_shelves(room, random)
    _draw_lamps(room, random)
    return cv2.resize(room, (width, height), interpolation=cv2.INTER_AREA if width < 1280 else cv2.INTER_LINEAR)  # type: ignore[return-value]


def _draw_window(room: Rgb) -> None:
    frame = (236, 232, 224)
    cv2.rectangle(room, (60, 60), (400, 470), frame, cv2.FILLED)
    view = room[80:450, 80:380]
    view[:] = np.linspace((150, 196, 236), (250, 248, 240), len(view))[:, None]
    cv2.ellipse(view, (70, 375), (170, 90), 0, 180, 360, (74, 112, 62), cv2.FILLED, cv2.LINE_AA)
    cv2.ellipse(view, (240, 380), (150, 130), 0, 180, 360, (92, 134, 72), cv2.FILLED, cv2.LINE_AA)
    view[:, 144:156] = frame
    view[170:182] = frame
    cv2.rectangle(room, (44, 470), (416, 490), (214, 206, 190), cv2.FILLED)


def _draw_shelves(room: Rgb, random: np.random.Generator) -> None:
    for board in (250, 430, 610):
        x = 850
        while x < 1225:
            thick, tall = int(random.integers(14, 34)), int(random.integers(85, 150))
            colour = [int(value) for value in random.integers(50, 195, 3)]
            cv2.rectangle(room, (x, board - tall), (x + thick - 2, board), colour, cv2.FILLED)
            cv2.line(room, (x + 2, board - tall + 2), (x + 2, board), [min(255, value + 45) for value in colour], 2)
            cv2.rectangle(
                room, (x + 5, board - tall + 15), (x + thick - 6, board - tall + 24), (228, 214, 168), cv2.FILLED
            )
            x += thick + (int(random.integers(10, 50)) if random.random() < 0.15 else 0)
        cv2.rectangle(room, (830, board), (1260, board + 14), (112, 78, 48), cv2.FILLED)


def _draw_lamps(room: Rgb, random: np.random.Generator) -> None:
    """Small, bright, coloured: out of focus they become discs."""
    for x in range(420, 850, 36):
        y = int(70 + 46 * math.sin((x - 420) / 430 * math.pi) + random.integers(-6, 7))
        colour = ((255, 214, 130), (255, 244, 214), (255, 150, 110), (160, 226, 255))[int(random.integers(0, 4))]
        cv2.circle(room, (x, y), 12, [value * 3 // 4 for value in colour], cv2.FILLED, cv2.LINE_AA)
        cv2.circle(room, (x, y), 9, colour, cv2.FILLED, cv2.LINE_AA)
        cv2.circle(room, (x, y), 5, (255, 255, 255), cv2.FILLED, cv2.LINE_AA)
