"""``edge-deeplab portrait``: the background of a photo, a folder, a video or a camera out of focus."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_deeplab.cli.model_options import foreign_model_options, open_model
from edge_deeplab.errors import OutputError, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from demo_app.sinks.sink import Sink
    from demo_app.sources.source import Source
    from edge_deeplab.runtime.foreign.adaptation import Overrides

_VIDEO_SUFFIX = ".mp4"


class _Kind(Enum):
    PHOTO = "photo"
    FOLDER = "folder"
    VIDEO = "video"
    CAMERA = "camera"


@click.command()
@click.argument("source", metavar="INPUT")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="A picture for a photo, a folder for a folder, an .mp4 (without sound) for a video or a camera.",
)
@click.option("--model", type=click.Path(path_type=Path), help="Model file; the shipped int8 one if not given.")
@foreign_model_options
@click.option(
    "--f-number",
    type=click.FloatRange(min=0.5, max=64.0),
    default=2.0,
    show_default=True,
    help="Strength of the blur, as on a lens: 1 is strong, 16 next to nothing.",
)
@click.option("--threads", type=click.IntRange(min=1), help="Threads to use; all cores if not given.")
@click.option("--seconds", type=click.FloatRange(min=0.0, min_open=True), help="Stop a camera after this long.")
def command(
    source: str,
    output: Path,
    model: Path | None,
    overrides: Overrides,
    f_number: float,
    threads: int | None,
    seconds: float | None,
) -> int:
    """Blur the background of INPUT: a photo, a folder of photos, a video file, or a camera's number (0, 1, ...).

    Ctrl-C ends a video or a camera; what was written until then is a playable file. A photo of a folder that cannot
    be read is named and left out, and the exit status is 1.
    """
    kind = _kind(source)
    if seconds is not None and kind is not _Kind.CAMERA:
        raise click.UsageError("--seconds is for a camera only.")
    _check_output(kind, source, output)

    import cv2

    from demo_app.backdrops.gaussian import GaussianBlur
    from demo_app.compositor import Compositor
    from demo_app.loop import run
    from demo_app.matte.photo import refine
    from demo_app.matte.tighten import tighten
    from demo_app.pacing import at_constant_rate
    from edge_deeplab.cli.progress import image_progress
    from edge_deeplab.segmenter import Segmenter
    from edge_deeplab.weights import shipped_model

    if threads is not None:
        cv2.setNumThreads(threads)
    still = kind in (_Kind.PHOTO, _Kind.FOLDER)
    bad: list[SourceError] = []

    def report(error: SourceError) -> None:
        bad.append(error)
        click.echo(f"edge-deeplab: {error}", err=True)

    done = 0
    try:
        with (
            open_model(model or shipped_model(), threads=threads, overrides=overrides) as session,
            _open_source(kind, source, report) as frames,
            _open_sink(kind, output, frames.fps) as sink,
            image_progress(f"portrait of {source}") as progress,
        ):
            segmenter = Segmenter(session)
            compose = Compositor(GaussianBlur(f_number), refine=not still)
            portraits = run(frames, segmenter.coarse, refine if still else tighten, compose)
            if kind is _Kind.CAMERA:
                portraits = at_constant_rate(portraits, frames.fps, seconds)
            for portrait in portraits:
                sink.write(portrait)
                done += 1
                progress(done + len(bad), frames.total)
    except KeyboardInterrupt:
        if kind is not _Kind.CAMERA or done == 0:
            raise
    if bad:
        raise SourceError(
            f"{len(bad)} of {done + len(bad)} photos of {source} could not be read, the others are in {output}"
        )
    click.echo(f"{output}: {done} {'portrait' if still else 'frame'}{'' if done == 1 else 's'}")
    return 0


def _kind(source: str) -> _Kind:
    from edge_deeplab.image import IMAGE_SUFFIXES

    path = Path(source)
    if source.isdecimal() and not path.exists():
        return _Kind.CAMERA
    if path.is_dir():
        return _Kind.FOLDER
    if not path.exists():
        raise SourceError(f"there is no file or folder {path}")
    return _Kind.PHOTO if path.suffix.lower() in IMAGE_SUFFIXES else _Kind.VIDEO


def _check_output(kind: _Kind, source: str, output: Path) -> None:
    """Refuse an output of the wrong kind, or in the place of the input, before any work is done."""
    from edge_deeplab.image import IMAGE_SUFFIXES

    if kind is not _Kind.CAMERA and output.exists() and output.samefile(source):
        raise OutputError(f"{output} is the input itself, and would be overwritten: choose another name")
    if kind is _Kind.FOLDER:
        if output.exists() and not output.is_dir():
            raise OutputError(f"{output} is a file, and a folder of photos needs a folder: choose another name")
        return
    suffixes = IMAGE_SUFFIXES if kind is _Kind.PHOTO else {_VIDEO_SUFFIX}
    if output.is_dir():
        name = Path(source).name if kind is _Kind.PHOTO else f"{Path(source).stem}{_VIDEO_SUFFIX}"
        raise OutputError(f"{output} is a folder, and a {kind.value} needs a file's name: for example {output / name}")
    if output.suffix.lower() not in suffixes:
        endings = ", ".join(sorted(suffixes))
        raise OutputError(f"cannot write a {kind.value} as {output.name}: end its name in {endings}")


def _open_source(kind: _Kind, source: str, report: Callable[[SourceError], None]) -> Source:
    from demo_app.sources.camera import CameraSource
    from demo_app.sources.folder import FolderSource
    from demo_app.sources.photo import PhotoSource
    from demo_app.sources.video import VideoSource

    match kind:
        case _Kind.PHOTO:
            return PhotoSource(Path(source))
        case _Kind.FOLDER:
            return FolderSource(Path(source), report)
        case _Kind.VIDEO:
            return VideoSource(Path(source))
        case _Kind.CAMERA:
            return CameraSource(int(source), lambda line: click.echo(f"edge-deeplab: {line}", err=True))


def _open_sink(kind: _Kind, output: Path, fps: float) -> Sink:
    from demo_app.sinks.folder import FolderSink
    from demo_app.sinks.photo import PhotoSink
    from demo_app.sinks.video import VideoSink

    match kind:
        case _Kind.PHOTO:
            return PhotoSink(output)
        case _Kind.FOLDER:
            return FolderSink(output)
        case _Kind.VIDEO | _Kind.CAMERA:
            return VideoSink(output, fps)
