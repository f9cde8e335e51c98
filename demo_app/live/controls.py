"""What a person can set while the demo runs, and what each key does to it. No window in here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from demo_app.aperture import DEFAULT_F_NUMBER

F_NUMBERS = (1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 11.0, 16.0)
"""Full stops, as engraved on a lens: each lets half the light through, and blurs a factor of 1.4 less."""

_DIVIDER_STEP = 0.02


class Mode(Enum):
    """What is done with the picture; the value is its name for people and for the command line."""

    BLUR = "blur"
    FAST_BLUR = "fast-blur"
    COLOUR = "colour"
    PICTURE = "picture"
    PRIVACY = "privacy"
    CUT_OUT = "cut-out"


class Command(Enum):
    """What a key asks for once, rather than sets."""

    SNAPSHOT = "snapshot"
    QUIT = "quit"


@dataclass(frozen=True)
class Controls:
    """The state of the demo's controls.

    Attributes:
        mode: one of ``modes``.
        modes: those that can be had, in the order of the key; a picture (or film) only where one was given.
        f_number: strength of the blur: 1 is strong, 16 next to nothing.
        mirror: the window shows a mirror image, as people know themselves. What is recorded or sent to others is never
            mirrored: writing on a shirt stays readable.
        divider: where the picture before ends and the one after begins, as a share of the width on the screen; None:
            no split.
        mask: the window shows the matte in place of the picture.
        statistics: rates and latency are shown.
        help: the keys are shown.
        recording: the portrait is being recorded.
        full_screen: the window fills the screen.
    """

    mode: Mode = Mode.BLUR
    modes: tuple[Mode, ...] = (Mode.BLUR, Mode.FAST_BLUR, Mode.COLOUR, Mode.PRIVACY, Mode.CUT_OUT)
    f_number: float = DEFAULT_F_NUMBER
    mirror: bool = False
    divider: float | None = None
    mask: bool = False
    statistics: bool = False
    help: bool = False
    recording: bool = False
    full_screen: bool = False


HELP = (
    ("+  -", "more blur, less blur"),
    ("M", "next mode"),
    ("B", "before and after"),
    (",  .", "move the divider (or drag it)"),
    ("X", "mirror"),
    ("K", "the mask"),
    ("S", "snapshot"),
    ("R", "record, stop recording"),
    ("I", "statistics"),
    ("F", "full screen"),
    ("H  ?", "this help"),
    ("Q  Esc", "quit"),
)
"""Keys and what they do, for the help panel."""


def press(controls: Controls, key: str) -> tuple[Controls, Command | None]:
    """What a key does.

    Args:
        controls: the state before.
        key: a character, capital or small, or "escape", "left", "right", "up", "down"; any other does nothing.

    Returns:
        (the state after, what is to be done once).
    """
    match key.lower():
        case "+" | "=" | "up":
            return replace(controls, f_number=_next_stop(controls.f_number, stronger=True)), None
        case "-" | "_" | "down":
            return replace(controls, f_number=_next_stop(controls.f_number, stronger=False)), None
        case "m":
            position = controls.modes.index(controls.mode)
            return replace(controls, mode=controls.modes[(position + 1) % len(controls.modes)]), None
        case "b":
            return replace(controls, divider=0.5 if controls.divider is None else None), None
        case "," | "<" | "left":
            return move_divider(controls, -_DIVIDER_STEP), None
        case "." | ">" | "right":
            return move_divider(controls, _DIVIDER_STEP), None
        case "x":
            return replace(controls, mirror=not controls.mirror), None
        case "k":
            return replace(controls, mask=not controls.mask), None
        case "i":
            return replace(controls, statistics=not controls.statistics), None
        case "h" | "?":
            return replace(controls, help=not controls.help), None
        case "r":
            return replace(controls, recording=not controls.recording), None
        case "f":
            return replace(controls, full_screen=not controls.full_screen), None
        case "s":
            return controls, Command.SNAPSHOT
        case "q" | "escape":
            return controls, Command.QUIT
        case _:
            return controls, None


def move_divider(controls: Controls, by: float) -> Controls:
    """Move the divider by a share of the width; it stays inside. Nothing without a split."""
    return controls if controls.divider is None else place_divider(controls, controls.divider + by)


def place_divider(controls: Controls, share: float) -> Controls:
    """Put the divider at a share of the width, 0..1. Nothing without a split."""
    return controls if controls.divider is None else replace(controls, divider=min(max(share, 0.0), 1.0))


def nearest_stop(f_number: float) -> int:
    """The index of the full stop next to an f-number, in stops: for a slider."""
    return min(range(len(F_NUMBERS)), key=lambda index: abs(F_NUMBERS[index] / f_number - f_number / F_NUMBERS[index]))


def _next_stop(f_number: float, *, stronger: bool) -> float:
    """The next full stop to either side; one beyond the last stays where it is."""
    if stronger:
        return max((stop for stop in F_NUMBERS if stop < f_number), default=f_number)
    return min((stop for stop in F_NUMBERS if stop > f_number), default=f_number)
