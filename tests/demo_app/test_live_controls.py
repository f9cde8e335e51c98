"""Keys on the controls, without a window."""

from __future__ import annotations

from dataclasses import replace

import pytest

from demo_app.live.controls import (
    F_NUMBERS,
    HELP,
    Command,
    Controls,
    Mode,
    move_divider,
    nearest_stop,
    place_divider,
    press,
)


def pressed(controls: Controls, keys: str) -> Controls:
    for key in keys:
        controls, _ = press(controls, key)
    return controls


def test_strength_goes_by_full_stops_and_stays_on_the_lens() -> None:
    assert pressed(Controls(f_number=2.0), "+").f_number == 1.4
    assert pressed(Controls(f_number=2.0), "-").f_number == 2.8
    assert pressed(Controls(f_number=3.3), "-").f_number == 4.0
    assert pressed(Controls(), "+" * 20).f_number == 1.0
    assert pressed(Controls(), "-" * 20).f_number == 16.0


def test_modes_go_round_and_leave_out_what_was_not_given() -> None:
    controls = Controls(modes=(Mode.BLUR, Mode.COLOUR, Mode.CUT_OUT))
    seen = [controls.mode]
    for _ in range(3):
        controls = pressed(controls, "m")
        seen.append(controls.mode)
    assert seen == [Mode.BLUR, Mode.COLOUR, Mode.CUT_OUT, Mode.BLUR]


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("x", "mirror"),
        ("k", "mask"),
        ("i", "statistics"),
        ("h", "help"),
        ("?", "help"),
        ("r", "recording"),
        ("f", "full_screen"),
    ],
)
def test_switches(key: str, name: str) -> None:
    on = pressed(Controls(), key)
    assert on == replace(Controls(), **{name: True})
    assert pressed(on, key.upper()) == Controls()


def test_the_divider_moves_by_keys_and_mouse_and_stays_inside() -> None:
    split = pressed(Controls(), "b")
    assert split.divider == 0.5
    assert pressed(split, ".").divider == pytest.approx(0.52)
    assert pressed(split, "," * 50).divider == 0.0
    assert place_divider(split, 1.7).divider == 1.0
    assert pressed(split, "b").divider is None
    assert move_divider(Controls(), 0.1) == place_divider(Controls(), 0.1) == Controls()


def test_commands_change_nothing() -> None:
    for key, command in (("s", Command.SNAPSHOT), ("q", Command.QUIT), ("escape", Command.QUIT)):
        assert press(Controls(), key) == (Controls(), command)


def test_other_keys_do_nothing() -> None:
    assert press(Controls(), "z") == (Controls(), None)


def test_every_key_of_the_help_does_something() -> None:
    split = pressed(Controls(), "b")
    for keys, _ in HELP:
        for key in keys.replace("Esc", "escape").split():
            assert press(split, key) != (split, None), key


def test_the_slider_stands_at_the_nearest_stop() -> None:
    assert [nearest_stop(stop) for stop in F_NUMBERS] == list(range(len(F_NUMBERS)))
    assert F_NUMBERS[nearest_stop(3.9)] == 4.0
    assert F_NUMBERS[nearest_stop(64.0)] == 16.0
