"""The sound of the input, as FFmpeg itself finds it in the output: a beep that comes with a flash."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import wave
from pathlib import Path

import cv2
import numpy as np
import pytest

from demo_app.frame import Frame
from demo_app.sinks.video import VideoSink
from demo_app.sources.video import VideoSource

from .conftest import ffmpeg, needs_ffmpeg

pytestmark = needs_ffmpeg

FPS = 12.0
FLASH = 12  # the frame, so a second after the first
RATE = 16_000


def make_film(
    path: Path, *options: object, beep: float = 1.0, picture_delay: float = 0.0, sound_delay: float = 0.0
) -> Path:
    """Two seconds of dark frames with a flash after one, and a sound file with a beep, put together with delays."""
    silent, sound = path.with_name("silent.avi"), path.with_name("sound.wav")
    writer = cv2.VideoWriter(str(silent), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (96, 64))
    for index in range(24):
        writer.write(np.full((64, 96, 3), 255 if index == FLASH else 0, np.uint8))
    writer.release()
    times = np.arange(int(2.5 * RATE)) / RATE
    tone = np.where((times >= beep) & (times < beep + 0.2), np.sin(2 * np.pi * 1000 * times), 0.0)
    with wave.open(str(sound), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((tone * 20_000).astype("<i2").tobytes())
    delayed = ("-itsoffset", picture_delay, "-i", silent, "-itsoffset", sound_delay, "-i", sound)
    ffmpeg(*delayed, "-map", "0:v", "-map", "1:a", "-c:v", "mpeg4", *options, f"file:{path}")
    for part in (silent, sound):
        part.unlink()
    return path


def copy_film(film: Path, out: Path, frames: int | None = None, error: BaseException | None = None) -> list[str]:
    """What the demo does to a film, without the portrait; gives the lines that were told."""
    events: list[str] = []
    with VideoSource(film) as source, VideoSink(out, source.fps, film, events.append) as sink:
        for count, frame in enumerate(source):
            if count == frames:
                break
            sink.write(frame)
        if error is not None:
            raise error
    return events


def streams(path: Path) -> dict[str, list[str]]:
    """{"video": [codec], "audio": [codec, ...]}, as far as there are any."""
    found: dict[str, list[str]] = {}
    for stream in _probe(path)["streams"]:
        found.setdefault(stream["codec_type"], []).append(stream["codec_name"])
    return found


def _probe(path: Path) -> dict[str, list[dict[str, str]]]:
    command = ["ffprobe", "-v", "error", "-show_streams", "-of", "json", f"file:{path}"]
    result: dict[str, list[dict[str, str]]] = json.loads(
        subprocess.run(command, capture_output=True, check=True).stdout
    )
    return result


def sound_length(path: Path) -> float:
    """Seconds of the first audio stream."""
    return next(float(stream["duration"]) for stream in _probe(path)["streams"] if stream["codec_type"] == "audio")


def flash_and_beep(path: Path) -> tuple[float, float]:
    """Seconds from the first frame at which the flash is seen and the beep begins to be heard."""
    with VideoSource(path) as source:
        bright = [float(frame.rgb.mean()) for frame in source]
        seen = int(np.argmax(bright)) / source.fps
    # first_pts=0 puts silence where a stream begins later than the film.
    filters = "aresample=async=1:first_pts=0"
    data = ffmpeg("-i", f"file:{path}", "-map", "0:a:0", "-af", filters, "-ar", RATE, "-f", "s16le", "-")
    heard = int(np.argmax(np.abs(np.frombuffer(data, "<i2").astype(int)) > 4_000)) / RATE
    return seen, heard


@pytest.mark.parametrize(
    ("name", "options", "codec"),
    [
        ("in.mp4", ("-c:a", "aac"), "aac"),
        ("in.mkv", ("-c:a", "ac3"), "ac3"),  # copied, for an .mp4 can hold it
        ("in.mkv", ("-c:a", "pcm_s16le"), "aac"),  # an .mp4 cannot
        ("in.ts", ("-c:a", "mp2"), "mp3"),  # an .mp4 has one name for both
    ],
    ids=["mp4-aac", "mkv-ac3", "mkv-pcm", "ts-mp2"],
)
def test_the_sound_is_kept_in_time(tmp_path: Path, name: str, options: tuple[str, ...], codec: str) -> None:
    film, out = make_film(tmp_path / name, *options), tmp_path / "out.mp4"
    assert copy_film(film, out) == []
    assert streams(out) == {"video": ["mpeg4"], "audio": [codec]}
    seen, heard = flash_and_beep(out)
    assert seen == pytest.approx(FLASH / FPS, abs=0.5 / FPS)
    assert heard == pytest.approx(seen, abs=0.5 / FPS)
    assert sound_length(out) == pytest.approx(2.0, abs=0.1)  # the beep's file has 2.5 s
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [name, "out.mp4"]


@pytest.mark.parametrize(
    ("picture_delay", "sound_delay"), [(0.5, 0.0), (0.0, 0.5)], ids=["pictures later", "sound later"]
)
def test_streams_that_begin_apart_stay_together(tmp_path: Path, picture_delay: float, sound_delay: float) -> None:
    film = make_film(
        tmp_path / "in.mkv",
        *("-c:a", "aac"),
        beep=1.0 + picture_delay - sound_delay,
        picture_delay=picture_delay,
        sound_delay=sound_delay,
    )
    assert copy_film(film, tmp_path / "out.mp4") == []
    seen, heard = flash_and_beep(tmp_path / "out.mp4")
    assert heard == pytest.approx(seen, abs=0.5 / FPS)


def test_an_interrupted_film_has_its_sound_up_to_there(tmp_path: Path) -> None:
    film, out = make_film(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    with pytest.raises(KeyboardInterrupt):
        copy_film(film, out, frames=15, error=KeyboardInterrupt())
    with VideoSource(out) as source:
        assert len(list(source)) == 15
    assert sound_length(out) == pytest.approx(15 / FPS, abs=0.1)


def test_a_film_without_sound_gives_one_without(tmp_path: Path) -> None:
    film = tmp_path / "in.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc=size=96x64:rate=12:duration=1", "-c:v", "mpeg4", film)
    assert copy_film(film, tmp_path / "out.mp4") == []
    assert streams(tmp_path / "out.mp4") == {"video": ["mpeg4"]}


def test_names_that_look_like_options_are_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    film = make_film(Path("-in:a $(x).mp4"))
    assert copy_film(film, Path("-out:1.mp4")) == []
    assert streams(Path("-out:1.mp4")) == {"video": ["mpeg4"], "audio": ["aac"]}


def test_the_same_film_gives_the_same_bytes(tmp_path: Path) -> None:
    film = make_film(tmp_path / "in.mp4")
    for name in ("a.mp4", "b.mp4"):
        copy_film(film, tmp_path / name)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_without_ffmpeg_the_pictures_are_kept_and_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film, out = make_film(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    monkeypatch.setenv("PATH", str(tmp_path))
    (line,) = copy_film(film, out)
    assert "out.mp4 has no sound: ffmpeg is not installed" in line
    with VideoSource(out) as source:
        assert len(list(source)) == 24


def test_when_ffmpeg_fails_the_pictures_are_kept_and_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no film")
    events: list[str] = []
    with VideoSink(tmp_path / "out.mp4", FPS, tmp_path / "notes.txt", events.append) as sink:
        for _ in range(5):
            sink.write(Frame(np.zeros((64, 96, 3), np.uint8), "film"))
    assert len(events) == 1
    assert "out.mp4 has no sound: ffmpeg cannot add the sound of" in events[0]
    assert "\n" not in events[0]
    with VideoSource(tmp_path / "out.mp4") as source:
        assert len(list(source)) == 5
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["notes.txt", "out.mp4"]


def test_ctrl_c_while_the_sound_is_added_keeps_the_pictures(tmp_path: Path) -> None:
    """An "ffmpeg" that takes long, and somebody who does not want to wait."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "ffmpeg").write_text("#!/bin/sh\nkill -INT $PPID\nexec sleep 60\n")
    (tools / "ffmpeg").chmod(0o755)
    code = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from demo_app.frame import Frame\n"
        "from demo_app.sinks.video import VideoSink\n"
        "try:\n"
        "    with VideoSink(Path('out.mp4'), 12.0, Path('in.mp4'), print) as sink:\n"
        "        for _ in range(5):\n"
        "            sink.write(Frame(np.zeros((64, 96, 3), np.uint8), 'film'))\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"},
        timeout=50,
    )
    assert done.stdout.splitlines() == ["out.mp4 has no sound: it was interrupted", "interrupted"], done
    assert done.stderr == ""
    with VideoSource(tmp_path / "out.mp4") as source:
        assert len(list(source)) == 5
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["out.mp4", "tools"]
