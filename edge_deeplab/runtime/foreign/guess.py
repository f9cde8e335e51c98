"""From what is in a file to how it is fed and read; whatever had to be guessed is said."""

from __future__ import annotations

from dataclasses import dataclass

from edge_deeplab.errors import ModelFileError
from edge_deeplab.runtime.foreign.adaptation import Adaptation, InputRange, OutputKind, Overrides
from edge_deeplab.runtime.foreign.hints import Hints
from edge_deeplab.runtime.foreign.layout import End, Layout

_PICTURE_RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
# How far the ends of a calibrated range are from those that were meant, as a part of the range: a network that was
# calibrated on photos without pure white misses it by a few per cent.
_SLACK = 0.06
_BOUNDED = frozenset({"LOGISTIC", "SOFTMAX", "RELU_0_TO_1", "Sigmoid", "Softmax", "HardSigmoid", "Clip"})
_ARGMAX = frozenset({"ARG_MAX", "ArgMax"})

_BACKGROUND = "background"
_PERSON_LABELS = ("person", "people", "human", "portrait", "selfie", "selfie_person", "foreground")
# Data sets that are known by the number of their classes, and the person's place in their lists.
_DATA_SETS = {
    2: ("the background comes first", 1),
    19: ("Cityscapes", 11),
    21: ("Pascal VOC", 15),
    150: ("ADE20K", 12),
}


@dataclass(frozen=True)
class Guess:
    """How a file is fed and read, and where each part of that comes from.

    Attributes:
        adaptation: the answer.
        reasons: a phrase for the input, the output and the person; "a guess" stands where the file does not say.
    """

    adaptation: Adaptation
    reasons: tuple[str, ...]


def guess(source: End, target: End, output: Layout, hints: Hints, overrides: Overrides, file: str) -> Guess:
    """Find out how a file is fed and read.

    Args:
        source: its input.
        target: its output.
        output: where rows, columns and channels are in the output.
        hints: what it says besides.
        overrides: what is known better.
        file: its name, for error messages.

    Raises:
        ModelFileError: the person's class is not in the file or cannot be found out, or class numbers are expected of
            an output that has several channels.
    """
    input_range, input_reason = _input_range(source, hints, overrides)
    kind, output_reason = _output_kind(target, hints, overrides)
    if kind is OutputKind.CLASSES and output.channels != 1:
        raise ModelFileError(
            f"{file} has {output.channels} output channels, and numbers of classes would be one: "
            "its output is probabilities or logits"
        )
    classes = hints.chosen_from if kind is OutputKind.CLASSES else output.channels
    channel, background, person_reason = _person(classes, hints.labels, overrides, file)
    adaptation = Adaptation(input_range, overrides.bgr, kind, channel, background)
    order = "BGR" if overrides.bgr else "RGB"
    return Guess(adaptation, (f"takes {order} in {input_range} ({input_reason})", output_reason, person_reason))


def stated_input_range(source: End, hints: Hints) -> tuple[InputRange, str] | None:
    """What a file itself says that it takes for the bytes 0 and 255, and which part of it does.

    Args:
        source: its input.
        hints: what it says besides.

    Returns:
        The range, and a phrase; None for a float input without metadata.
    """
    if not source.is_float:
        low, high = source.real_range
        if source.scale is None:
            return InputRange.uniform(low, high), "bytes as they are"
        for meant in _PICTURE_RANGES:
            slack = _SLACK * (meant[1] - meant[0])
            if abs(low - meant[0]) <= slack and abs(high - meant[1]) <= slack:
                return InputRange.uniform(*meant), "from its quantization"
        return InputRange.uniform(low, high), "all that its quantization can express"
    if hints.input_range is not None:
        return hints.input_range, "from its metadata"
    return None


def _input_range(source: End, hints: Hints, overrides: Overrides) -> tuple[InputRange, str]:
    if overrides.input_range is not None:
        return overrides.input_range, "as told"
    stated = stated_input_range(source, hints)
    return stated or (InputRange.uniform(0, 1), "a guess: the file does not say; it may be -1,1 or 0,255")


def _output_kind(target: End, hints: Hints, overrides: Overrides) -> tuple[OutputKind, str]:
    if overrides.output is not None:
        return overrides.output, f"gives {overrides.output} (as told)"
    if hints.producer in _ARGMAX:
        return OutputKind.CLASSES, f"gives the numbers of classes (from {hints.producer})"
    if hints.producer in _BOUNDED:
        return OutputKind.PROBABILITIES, f"gives probabilities (from {hints.producer})"
    if not target.is_float:
        if target.scale is None:
            return OutputKind.CLASSES, f"gives the numbers of classes (whole numbers, {target.dtype})"
        low, high = target.real_range
        if abs(low) <= _SLACK and abs(high - 1) <= _SLACK:
            return OutputKind.PROBABILITIES, "gives probabilities (from its quantization)"
    if hints.producer is None or hints.custom:
        return OutputKind.PROBABILITIES, "gives probabilities (a guess: the file does not say)"
    return OutputKind.LOGITS, f"gives logits (its last step is {hints.producer}, no sigmoid or softmax)"


def _person(classes: int | None, labels: tuple[str, ...], overrides: Overrides, file: str) -> tuple[int, bool, str]:
    """The class that is looked at, whether it is the background, and why."""
    told = overrides.person if overrides.person is not None else overrides.background
    of = "" if classes is None else f" of {classes}"
    if told is not None:
        if told < 0 or (classes is not None and told >= classes):
            raise ModelFileError(f"{file} has the classes 0 to {(classes or 1) - 1}, and no class {told}")
        background = overrides.background is not None
        what = "everything but class" if background else "class"
        return told, background, f"the person is {what} {told}{of} (as told)"
    words = [label.lower() for label in labels] if len(labels) == classes else []
    for word in _PERSON_LABELS:
        if word in words:
            index = words.index(word)
            return index, False, f"the person is class {index}{of} (its label is {labels[index]!r})"
    if classes == 1:
        if words == [_BACKGROUND]:
            return 0, True, f"the person is everything but class 0{of} (its label is {labels[0]!r})"
        return 0, False, "the person is its only channel"
    if classes in _DATA_SETS and not words:
        why, index = _DATA_SETS[classes]
        return index, False, f"the person is class {index}{of} (a guess: {why})"
    named = f" ({', '.join(labels[:8])}{', ...' if len(labels) > 8 else ''})" if words else ""
    raise ModelFileError(
        f"{file} does not say which of its {'classes' if classes is None else f'{classes} classes'}{named} is the "
        "person: give its number, from 0, or that of the background"
    )
