"""What every client makes of a file alike, because it is in the graph."""

from __future__ import annotations

from collections.abc import Iterator

from edge_deeplab.doctor.facts import Alignment, GraphFacts, ResizeFacts
from edge_deeplab.doctor.finding import Client, Effect, Finding
from edge_deeplab.doctor.words import plural

# An output that one of these computes has no bounds. Others (LOGISTIC, SOFTMAX, a custom operator, ...) may have.
UNBOUNDED = frozenset(
    {
        "ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV",
        "Add", "BatchNormalization", "Conv", "ConvTranspose", "Gemm", "MatMul",
    }
)  # fmt: skip


def argmax_inside(facts: GraphFacts) -> Iterator[Finding]:
    """Class numbers instead of probabilities. That they are no matte follows from what an argmax is."""
    if facts.hints.producer in ("ARG_MAX", "ArgMax"):
        chosen = facts.hints.chosen_from
        classes = f"{chosen} classes" if chosen else "the classes"
        yield Finding(
            "argmax-inside",
            Client.ANY,
            Effect.LIMITED,
            _outputs(facts),
            f"an argmax over {classes} is inside: the output is a class number for each pixel, without a soft edge",
            "export the network up to its softmax or sigmoid, and leave the choice to the app",
        )


def logits(facts: GraphFacts) -> Iterator[Finding]:
    """Numbers without bounds instead of probabilities, as the last operator that computes tells."""
    if facts.hints.producer in UNBOUNDED:
        yield Finding(
            "logits",
            Client.ANY,
            Effect.LIMITED,
            _outputs(facts),
            f"the output comes from {facts.hints.producer} and not from a sigmoid or softmax: it is no probability",
            "put the sigmoid (one class) or softmax (several) into the graph, or let the app apply it",
        )


def batch(facts: GraphFacts) -> Iterator[Finding]:
    """A fixed first size above 1, of what looks like a picture: the app must fill all of it for one frame."""
    for place in facts.graph.inputs:
        value = facts.graph.values[place]
        if value.shape is not None and len(value.shape) == 4 and isinstance(value.shape[0], int) and value.shape[0] > 1:
            yield Finding(
                "batch",
                Client.ANY,
                Effect.LIMITED,
                (value.name,),
                f"it takes {value.shape[0]} pictures at once, and computes all of them for one frame",
                "export it with batch 1",
            )


def resize_alignment(facts: ResizeFacts) -> Iterator[Finding]:
    """A resize other than with half-pixel centres.

    It is the network's own business if it was trained so (Google's DeepLab has aligned corners). In a file of this
    project (docs/architecture.md: half-pixel centres in every resize) a converter has changed it: the mask is moved.
    """
    others = [resize for resize in facts.resizes if resize.alignment is not Alignment.HALF_PIXEL]
    kinds = " and ".join(sorted({str(resize.alignment) for resize in others}))
    names = tuple(resize.name for resize in others)
    if others and facts.half_pixel_promised:
        yield Finding(
            "resize-alignment",
            Client.ANY,
            Effect.WRONG,
            names,
            f"{plural(len(others), 'resize')} with {kinds} in a file whose network has half-pixel centres: the mask is "
            "moved against the picture",
            "convert the checkpoint again",
        )
    elif others:
        yield Finding(
            "resize-alignment",
            Client.ANY,
            Effect.NOTE,
            names,
            f"{plural(len(others), 'resize')} with {kinds}: right only if the network was trained so",
            "if it was trained with half-pixel centres (PyTorch's align_corners=False), convert it again with them",
        )


def _outputs(facts: GraphFacts) -> tuple[str, ...]:
    return tuple(facts.graph.values[place].name for place in facts.graph.outputs)
