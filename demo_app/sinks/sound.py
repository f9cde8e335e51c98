"""The sound of one film under the pictures of another, by FFmpeg."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from edge_deeplab.errors import OutputError

_SECONDS = 600.0  # copying packets takes seconds; a disk that hangs is not waited for without end


def add_sound(pictures: Path, sound_of: Path, seconds: float, target: Path) -> None:
    """Write an .mp4 with the video of one file, bit for bit, and all audio streams of another.

    Audio keeps its time to the other file's video, and is copied, or becomes AAC where an .mp4 cannot hold it (PCM).
    A file without audio gives a film without.

    Args:
        pictures: an .mp4.
        sound_of: any film that FFmpeg reads.
        seconds: length of the pictures; what is heard after it is cut off.
        target: the file to write; one that is there is overwritten.

    Raises:
        OutputError: ffmpeg is not installed, or fails.
    """
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise OutputError("ffmpeg is not installed: install it and have it on the PATH")
    # "file:" keeps a name that begins with "-" from being an option, and one with a colon from being a protocol.
    # fmt: off
    command = [
        ffmpeg, "-nostdin", "-hide_banner", "-loglevel", "error", "-y",
        "-i", f"file:{pictures}",
        "-itsoffset", f"{-_video_start(sound_of):.6f}", "-i", f"file:{sound_of}",
        "-map", "0:v", "-map", "1:a?", "-c:v", "copy", "-t", f"{seconds:.6f}",
    ]
    # fmt: on
    done = _run([*command, "-c:a", "copy", f"file:{target}"])
    if done.returncode != 0:
        done = _run([*command, "-c:a", "aac", f"file:{target}"])
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise OutputError(f"ffmpeg cannot add the sound of {sound_of} ({lines[-1]})")


def _video_start(film: Path) -> float:
    """Seconds from a film's start, which FFmpeg counts as 0, to its first picture, which is our 0; 0.0: not known."""
    ffprobe = shutil.which("ffprobe")
    if ffprobe is None:
        return 0.0
    starts = []
    for entry in (
        ["-select_streams", "v:0", "-show_entries", "stream=start_time"],
        ["-show_entries", "format=start_time"],
    ):
        done = _run([ffprobe, "-v", "error", *entry, "-of", "csv=p=0", f"file:{film}"])
        try:
            starts.append(float(done.stdout.split()[0]))
        except (IndexError, ValueError):  # "N/A"
            return 0.0
    return starts[0] - starts[1]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, in a group of its own: the terminal's Ctrl-C is for us, who know what to keep."""
    try:
        return subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=False,
            start_new_session=True,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise OutputError(f"{Path(command[0]).name} does not run ({error})") from error
