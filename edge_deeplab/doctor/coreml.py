"""Core ML: which systems take a package, what Vision feeds, what its neural engine computes.

Apple publishes no list of the neural engine's operators ("There is no static documentation, as it changes based on
device generation, operating system version, tensor sizes etc.", a maintainer in apple/coremltools issue 1780). Named
here are those of which a maintainer, or a published measurement, says that it does not run them. Lists by observation,
such as hollance/neural-engine, call themselves incomplete and possibly wrong, and are not used: what that one says of
dilated convolutions, others deny. "Guide" is the one of Core ML Tools (apple.github.io/coremltools/docs-guides).
"""

from __future__ import annotations

from collections.abc import Iterator

from edge_deeplab.doctor.coreml_facts import CoremlFacts
from edge_deeplab.doctor.finding import Client, Effect, Finding
from edge_deeplab.doctor.words import counted
from edge_deeplab.runtime.coreml.tensor_types import ElementType

# Specification version to the least iOS: coremltools 9.0, its constants _SPECIFICATION_VERSION_IOS_*.
_SYSTEMS = {6: 15, 7: 16, 8: 17, 9: 18, 10: 26}
_USUAL = 16  # what `convert --ios` writes at the least besides 15
_ARGMAX = "reduce_argmax"
_OFF_THE_NEURAL_ENGINE = frozenset({"gru", "lstm", "rnn", "resample"})
UNCHECKED = "which other operators it leaves to the GPU or CPU: Apple has no list; Xcode's performance report says it"
_FLOATS = (ElementType.FLOAT16, ElementType.FLOAT32)


def system(facts: CoremlFacts) -> Iterator[Finding]:
    """The least iOS. coremltools' constants; an older system does not know the version of the file."""
    least = _SYSTEMS.get(facts.specification)
    if least is not None and least > _USUAL:
        yield Finding(
            "system",
            Client.COREML,
            Effect.NOTE,
            (),
            f"it needs iOS {least}: older systems refuse it",
            "ask for that system in the app, or convert another precision",
        )


def half_arrays(facts: CoremlFacts) -> Iterator[Finding]:
    """float16 arrays at the ends. Guide, "Typed execution": they are there from iOS 16."""
    names = tuple(feature.name for feature in (*facts.inputs, *facts.outputs) if feature.half)
    if names:
        yield Finding(
            "half-arrays",
            Client.COREML,
            Effect.NOTE,
            names,
            "an array of float16: the app must give or read numbers of that type",
            "state float32 for it when converting",
        )


def neural_engine_precision(facts: CoremlFacts) -> Iterator[Finding]:
    """float32 operators. Guide, "Typed execution workflow": float32 "will execute on a combination of the GPU and CPU".

    float16 is "eligible to execute on a combination of the Neural Engine, GPU and CPU". What scales a picture's bytes
    is float32 in every package of coremltools, and does not count.
    """
    pictures = {feature.name for feature in facts.inputs if feature.image}
    computing = [
        each
        for each in facts.operations
        if each.element in _FLOATS and each.type != "cast" and not pictures & each.reads
    ]
    wide = [each for each in computing if each.element is ElementType.FLOAT32]
    if wide:
        yield Finding(
            "float32",
            Client.NEURAL_ENGINE,
            Effect.SLOWER,
            tuple(each.output for each in wide),
            f"{len(wide)} of {len(computing)} operators compute in float32, which the GPU and CPU do, not it",
            "convert to float16 (coreml-float16)",
        )


def neural_engine_operators(facts: CoremlFacts) -> Iterator[Finding]:
    """Operators that it does not run.

    Recurrent ones: "RNN or LSTM ops are not supported on the neural engine" (a maintainer, apple/coremltools issue
    1780). resample (PyTorch's grid_sample): on the CPU in Xcode's performance report (measured by others, issue 1875).
    """
    left = [operation for operation in facts.operations if operation.type in _OFF_THE_NEURAL_ENGINE]
    if left:
        yield Finding(
            "operator",
            Client.NEURAL_ENGINE,
            Effect.SLOWER,
            tuple(operation.output for operation in left),
            f"it does not run {counted(operation.type for operation in left)}, which splits the program",
            "replace these operators in the network",
        )


def flexible_size(facts: CoremlFacts) -> Iterator[Finding]:
    """A choice of sizes. Measured by others: apple/coremltools issues 835 and 2370: it runs the default size only."""
    names = tuple(feature.name for feature in facts.inputs if feature.flexible)
    if names:
        yield Finding(
            "free-size",
            Client.NEURAL_ENGINE,
            Effect.SLOWER,
            names,
            "the app may choose a size, and others than the default have been seen to leave it",
            "convert it for one size",
        )


def image_input(facts: CoremlFacts) -> Iterator[Finding]:
    """An array for a picture. Guide, "Image input and output": the app gives it an MLMultiArray, and not a picture.

    Vision's reference: VNCoreMLRequest is "an image analysis request that uses a Core ML model to process images".
    """
    names = tuple(feature.name for feature in facts.inputs if not feature.image)
    if names:
        yield Finding(
            "image-input",
            Client.VISION,
            Effect.REFUSED,
            names,
            "it takes an array, and Vision gives pictures",
            "convert it with inputs=[ImageType(...)], scale 1/255 for RGB in 0 .. 1",
        )


def argmax_inside(facts: CoremlFacts) -> Iterator[Finding]:
    """Class numbers instead of probabilities, as in the other formats."""
    names = tuple(operation.output for operation in facts.operations if operation.type == _ARGMAX)
    if names:
        yield Finding(
            "argmax-inside",
            Client.ANY,
            Effect.LIMITED,
            names,
            "an argmax is inside: class numbers for each pixel, without a soft edge",
            "export the network up to its softmax or sigmoid, and leave the choice to the app",
        )


def batch(facts: CoremlFacts) -> Iterator[Finding]:
    """A first size above 1 of an array with four sizes."""
    for feature in facts.inputs:
        if not feature.image and len(feature.shape) == 4 and feature.shape[0] > 1:
            yield Finding(
                "batch",
                Client.ANY,
                Effect.LIMITED,
                (feature.name,),
                f"it takes {feature.shape[0]} pictures at once",
                "export it with batch 1",
            )
