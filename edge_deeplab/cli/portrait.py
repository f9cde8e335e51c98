"""``edge-deeplab portrait``: the background of a photo, a folder of photos or a video out of focus, or another one."""

from __future__ import annotations

from contextlib import ExitStack, closing
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_deeplab.cli.effect_options import Background, effect_options, open_background
from edge_deeplab.cli.model_options import foreign_model_options, open_model
from edge_deeplab.cli.model_path import model_option
from edge_deeplab.errors import OutputError, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from demo_app.frame import Frame
    from demo_app.sinks.sink import Sink
    from demo_app.sources.source import Source
    from demo_app.still.search import Sharpen
    from edge_deeplab.runtime.foreign.adaptation import Overrides
    from edge_deeplab.segmenter import Segmenter

_VIDEO_SUFFIX = ".mp4"


class _Kind(Enum):
    PHOTO = "photo"
    FOLDER = "folder"
    VIDEO = "video"


class _Mode(Enum):
    BLUR = "blur"
    PRIVACY = "privacy"
    CUT_OUT = "cut-out"


@click.command()
@click.argument("source", metavar="INPUT")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="A picture for a photo, a folder for a folder, an .mp4 for a video; for its cut-out a new folder.",
)
@model_option
@click.option(
    "--mode",
    type=click.Choice([mode.value for mode in _Mode]),
    default=_Mode.BLUR.value,
    show_default=True,
    help="Blur the background, blur the person instead (privacy), or keep the person alone, with alpha (cut-out).",
)
@effect_options
@click.option("--crf", is_flag=True, help="Photos only: draw the edge by the dense CRF of DeepLab V1 and V2 first.")
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Threads of each stage; if not given: all cores for photos, one for videos, whose stages run side by side.",
)
@foreign_model_options
def command(
    source: str,
    output: Path,
    model: Path,
    mode: str,
    f_number: float,
    background: str | None,
    crf: bool,
    threads: int | None,
    overrides: Overrides,
) -> int:
    """Make portraits of INPUT: a photo, a folder of photos or a video file. For a camera there is edge-deeplab demo.

    Photos keep their EXIF, colour profile and resolution, videos their sound where ffmpeg is installed. Ctrl-C ends a
    video; what was written until then is a playable file. A photo of a folder that cannot be read is named and left
    out, and the exit status is 1. Privacy always blurs as by f/0.5, and a rim around the
    person.
    """
    kind, chosen = _kind(source, output), _Mode(mode)
    if background is not None and chosen is not _Mode.BLUR:
        raise click.UsageError(f"--background does not go with --mode {mode}: there it has no place.")
    if crf and (kind is _Kind.VIDEO or chosen is _Mode.PRIVACY):
        reason = "it takes seconds a frame" if kind is _Kind.VIDEO else "what is hidden needs room, not a sharp edge"
        raise click.UsageError(f"--crf is for portraits and cut-outs of photos: {reason}.")
    _check_output(kind, chosen, source, output)

    import cv2

    from edge_deeplab.cli.progress import image_progress
    from edge_deeplab.segmenter import Segmenter

    still = kind is not _Kind.VIDEO
    if threads is None and not still:
        threads = 1
    if threads is not None:
        cv2.setNumThreads(threads)
    bad: list[SourceError] = []

    def report(error: SourceError) -> None:
        bad.append(error)
        _note(str(error))

    done = 0
    with ExitStack() as stack:
        behind = open_background(stack, background)
        session = stack.enter_context(open_model(model, threads=threads, overrides=overrides))
        frames = _open_source(kind, source, report)
        sink = stack.enter_context(_open_sink(kind, chosen, source, output, frames.fps))
        progress = stack.enter_context(image_progress(f"portrait of {source}"))
        segmenter = Segmenter(session)
        portraits = stack.enter_context(
            closing(
                _photos(frames, segmenter, chosen, f_number, behind, _crf() if crf else None)
                if still
                else _film(frames, segmenter, chosen, f_number, behind)
            )
        )
        for portrait in portraits:
            sink.write(portrait)
            done += 1
            progress(done + len(bad), frames.total)
    if bad:
        raise SourceError(
            f"{len(bad)} of {done + len(bad)} photos of {source} could not be read, the others are in {output}"
        )
    if done == 0:  # a cut-out of nobody; it was said
        return 1
    click.echo(f"{output}: {done} {'portrait' if still else 'frame'}{'' if done == 1 else 's'}")
    return 0


def _note(sentence: str) -> None:
    click.echo(f"edge-deeplab: {sentence}", err=True)


def _photos(
    photos: Source,
    segmenter: Segmenter,
    mode: _Mode,
    f_number: float,
    behind: Background,
    sharpen: Sharpen | None,
) -> Generator[Frame, None, None]:
    """Photos at full quality."""
    from demo_app.still.background import AsItIs, OutOfFocus
    from demo_app.still.photos import cut_outs, hidden, portraits
    from demo_app.still.portrait import StillPortrait

    backdrop = behind.backdrop
    match mode:
        case _Mode.BLUR:
            background = OutOfFocus(f_number) if backdrop is None else AsItIs(backdrop)
            return portraits(photos, StillPortrait(segmenter.coarse, background, sharpen=sharpen), _note)
        case _Mode.PRIVACY:
            return hidden(photos, segmenter.coarse, _note)
        case _Mode.CUT_OUT:
            return cut_outs(photos, StillPortrait(segmenter.coarse, sharpen=sharpen), _note)


def _crf() -> Sharpen:
    """The dense CRF on one person's probability."""
    from edge_deeplab.crf.post_process import CrfPostProcessing

    crf = CrfPostProcessing()
    return lambda picture, alpha: crf(picture, alpha[:, :, None])[:, :, 0]


def _film(
    film: Source, segmenter: Segmenter, mode: _Mode, f_number: float, behind: Background
) -> Generator[Frame, None, None]:
    """Every frame of a film, by the effects of the live portrait."""
    from demo_app.live.controls import Mode
    from demo_app.live.effects import CHROMA_GREEN, Effects
    from demo_app.live.governor import Quality
    from demo_app.live.inference import Matting
    from demo_app.loop import run
    from demo_app.temporal.smoothing import MatteSmoother

    match mode:
        case _Mode.PRIVACY:
            effect = Mode.PRIVACY
        case _Mode.CUT_OUT:
            effect = Mode.CUT_OUT
        case _Mode.BLUR if behind.colour is not None:
            effect = Mode.COLOUR
        case _Mode.BLUR:
            effect = Mode.BLUR if behind.picture is None else Mode.PICTURE
    effects = Effects(behind.colour or CHROMA_GREEN, behind.picture)
    matting = Matting(segmenter.coarse, MatteSmoother(), lambda: 1, segmenter.shrunk)
    return run(film, matting, effects(effect, f_number, Quality.FULL).still)


def _kind(source: str, output: Path) -> _Kind:
    from edge_deeplab.image import IMAGE_SUFFIXES

    path = Path(source)
    if path.is_dir():
        return _Kind.FOLDER
    if not path.exists():
        if source.isdecimal():
            raise SourceError(
                f"a camera is for the live portrait: edge-deeplab demo {source} --no-window --record {output}"
            )
        raise SourceError(f"there is no file or folder {path}")
    return _Kind.PHOTO if path.suffix.lower() in IMAGE_SUFFIXES else _Kind.VIDEO


def _check_output(kind: _Kind, mode: _Mode, source: str, output: Path) -> None:
    """Refuse an output of the wrong kind, or in the place of the input, before any work is done."""
    from demo_app.still.photo_file import holds_alpha
    from edge_deeplab.image import IMAGE_SUFFIXES

    if output.exists() and output.samefile(source):
        raise OutputError(f"{output} is the input itself, and would be overwritten: choose another name")
    if kind is _Kind.FOLDER:
        if output.exists() and not output.is_dir():
            raise OutputError(f"{output} is a file, and a folder of photos needs a folder: choose another name")
        return
    if kind is _Kind.VIDEO and mode is _Mode.CUT_OUT:
        if output.suffix:
            raise OutputError(
                f"cannot write a video's cut-out as {output.name}: it becomes numbered PNG files in a new folder, so "
                f"give a folder's name, for example {output.with_suffix('')}"
            )
        return
    suffixes = IMAGE_SUFFIXES if kind is _Kind.PHOTO else {_VIDEO_SUFFIX}
    if output.is_dir():
        name = Path(source).name if kind is _Kind.PHOTO else f"{Path(source).stem}{_VIDEO_SUFFIX}"
        raise OutputError(f"{output} is a folder, and a {kind.value} needs a file's name: for example {output / name}")
    if mode is _Mode.CUT_OUT:
        suffixes = {suffix for suffix in suffixes if holds_alpha(Path(f"a{suffix}"))}
    if output.suffix.lower() not in suffixes:
        endings = ", ".join(sorted(suffixes))
        raise OutputError(f"cannot write a {kind.value} as {output.name}: end its name in {endings}")


def _open_source(kind: _Kind, source: str, report: Callable[[SourceError], None]) -> Source:
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


def _open_sink(kind: _Kind, mode: _Mode, source: str, output: Path, fps: float) -> Sink:
    from demo_app.sinks.cutout_sequence import CutoutSequenceSink
    from demo_app.sinks.folder import FolderSink
    from demo_app.sinks.photo import PhotoSink
    from demo_app.sinks.video import VideoSink

    match kind:
        case _Kind.PHOTO:
            return PhotoSink(output)
        case _Kind.FOLDER:
            return FolderSink(output)
        case _Kind.VIDEO if mode is _Mode.CUT_OUT:
            return CutoutSequenceSink(output)
        case _Kind.VIDEO:
            return VideoSink(output, fps, sound_of=Path(source), on_event=_note)
