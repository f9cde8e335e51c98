"""Source code for an app, made from the contract: a class for each file and each client that takes it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from edge_deeplab.bundle.contract import Client, Contract, Element, Model
from edge_deeplab.bundle.rendering import render
from edge_deeplab.errors import SpecError

_BYTES = {Element.FLOAT32: 4, Element.UINT8: 1, Element.INT8: 1}
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
# The cases of TensorFlowLite's Tensor.DataType in Swift; it has none for int8, and no tensor of it.
_SWIFT_TYPES = {Element.FLOAT32: "float32", Element.UINT8: "uInt8"}


@dataclass(frozen=True)
class Source:
    """A file of source code.

    Attributes:
        path: relative to the bundle.
        client: whose interface it uses.
        text: its content.
    """

    path: str
    client: Client
    text: str


def sources(contract: Contract) -> tuple[Source, ...]:
    """Write Kotlin for TFLite files (LiteRT, MediaPipe Tasks), and Swift for Core ML packages and TFLite files.

    The numbers, types, names and labels in them are those of the contract; that one who compiles them meets them in the
    file, too, they check themselves when the model is opened, as far as the client says.

    Raises:
        SpecError: two files that give the same class name, or a label that cannot stand in source code.
        MissingExtraError: jinja2 is not installed.
    """
    written = tuple(source for model in contract.models for source in _sources(model, contract.made_by))
    paths = [source.path for source in written]
    for path in paths:
        if paths.count(path) > 1:
            raise SpecError(f"two of the files would both have the source {path}: rename one of them")
    return written


def class_name(model: Model, client: Client) -> str:
    """ "PortraitInt8LiteRt" for ``models/portrait-int8.tflite`` and LiteRT."""
    words = re.split(r"[^A-Za-z0-9]+", PurePosixPath(model.path).stem)
    ending = {Client.LITERT: "LiteRt", Client.MEDIAPIPE: "MediaPipe", Client.COREML: "CoreMl"}[client]
    return "".join(word[:1].upper() + word[1:] for word in words) + ending


def require_plain_names(names: Sequence[str]) -> None:
    """See that files can be named in source code and in an app's build.

    Raises:
        SpecError: a name with other than letters, digits, dots, hyphens and underlines, or that begins with no letter.
    """
    for name in names:
        if not _PLAIN.fullmatch(name):
            raise SpecError(
                f"{name!r} cannot be the name of a file in an app: begin it with a letter, and go on with letters, "
                "digits, '.', '-' and '_'"
            )


def _sources(model: Model, made_by: str) -> list[Source]:
    written = []
    for client in model.clients:
        name = class_name(model, client)
        match client:
            case Client.LITERT:
                written.append(_source(model, client, f"android/{name}.kt", "litert.kt.jinja", made_by))
                if {model.input.tensor.type, model.output.tensor.type} <= _SWIFT_TYPES.keys():
                    written.append(_source(model, client, f"ios/{name}.swift", "litert.swift.jinja", made_by))
            case Client.MEDIAPIPE:
                written.append(_source(model, client, f"android/{name}.kt", "mediapipe.kt.jinja", made_by))
            case Client.COREML:
                written.append(_source(model, client, f"ios/{name}.swift", "coreml.swift.jinja", made_by))
    return written


def _source(model: Model, client: Client, path: str, template: str, made_by: str) -> Source:
    file = PurePosixPath(model.path)
    text = render(
        template,
        made_by=made_by,
        name=class_name(model, client),
        file=file.name,
        stem=file.stem,
        model=model,
        source=model.input.tensor,
        result=model.output.tensor,
        labels=", ".join(model.output.labels),
        quoted_labels=", ".join(_quoted(label) for label in model.output.labels),
        bytes=_BYTES,
        swift_types=_SWIFT_TYPES,
        ios=f"{model.system.removeprefix('iOS')}.0" if model.system else None,
    )
    return Source(path, client, text)


def _quoted(text: str) -> str:
    """A string literal of Kotlin and of Swift. Raises: SpecError: a character that begins something else in one."""
    if not text.isprintable() or set(text) & set('"\\$'):
        raise SpecError(f"{text!r} cannot stand in source code: use neither quotes, backslashes nor $")
    return f'"{text}"'
