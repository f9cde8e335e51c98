"""What compare_models.py measures of one model: parts of the photos in processes of their own, and what they add up to.

A process has one thread, so that all cores are busy whatever the runtime makes of threads, and a photo is read once
for all that is done with it. A result does not depend on the number of processes.
"""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
from peer_list import Contestant

from edge_deeplab.data.opening import open_dataset
from edge_deeplab.errors import ModelFileError
from edge_deeplab.evaluation.disturbances import DISTURBANCES
from edge_deeplab.evaluation.evaluate import score_sample
from edge_deeplab.evaluation.film import Film
from edge_deeplab.evaluation.labels import labels_for
from edge_deeplab.evaluation.machine import describe_machine
from edge_deeplab.evaluation.scores import ImageScore, Scores, by_size, by_source, summarize
from edge_deeplab.files import sha256, size
from edge_deeplab.runtime.foreign.session import ForeignSession
from edge_deeplab.runtime.opening import from_elsewhere, open_any_session
from edge_deeplab.runtime.session import Session

Record = dict[str, Any]
"""What was measured of a model, as plain JSON types: see :func:`measure`."""

_PACKAGES = ("numpy", "opencv-python", "ai-edge-litert", "onnxruntime", "torch")
_STATE_DICT = ".pth"
_PHOTOS_A_PART = 16  # opening a model costs as much as one to three photos
_WORST = 24
_AS_IT_IS = ""


@dataclass(frozen=True)
class Task:
    """What every model is measured on.

    Attributes:
        data: folder of the data set.
        split: of the data set.
        photos: their places in the split.
        disturbed: those that are disturbed as well.
        frames: folder of the film; None: none.
    """

    data: Path
    split: str
    photos: tuple[int, ...]
    disturbed: frozenset[int]
    frames: Path | None


@dataclass(frozen=True)
class Opened:
    """What a model says when it is opened.

    Attributes:
        height: rows of its input.
        width: columns of it.
        runtime: who executes it.
        preprocessing: how it is fed and read, and how that is known.
    """

    height: int
    width: int
    runtime: str
    preprocessing: str


@dataclass(frozen=True)
class PhotoScores:
    """What came of some of the photos.

    Attributes:
        opened: the model.
        names: of the classes.
        scores: name of the disturbance ("": none) to the photos' scores.
        seconds: of the processor.
    """

    opened: Opened
    names: tuple[str, ...]
    scores: Mapping[str, list[ImageScore]]
    seconds: float


@contextmanager
def worker_processes(count: int) -> Iterator[Executor]:
    """Processes for :func:`measure`; what has not begun is dropped when something goes wrong."""
    # Not fork: the runtimes that this process may have loaded hold threads and locks.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context, initializer=_leave_interrupts_to_the_parent) as executor:
        try:
            yield executor
        except BaseException:
            executor.shutdown(wait=True, cancel_futures=True)
            raise


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def measure(contestant: Contestant, task: Task, executor: Executor, progress: Callable[[int, int], None]) -> Record:
    """Everything about one model.

    Args:
        contestant: the model.
        task: what it is measured on.
        executor: of :func:`worker_processes`.
        progress: told how many parts of the work are done, and of how many.

    Raises:
        EdgeDeeplabError: the model or the data cannot be used.
    """
    parts = [task.photos[start : start + _PHOTOS_A_PART] for start in range(0, len(task.photos), _PHOTOS_A_PART)]
    try:
        film = executor.submit(_score_film, contestant, task.frames) if task.frames else None
        photos = [executor.submit(_score_photos, contestant, replace(task, photos=part)) for part in parts]
        everything: list[Future[Any]] = [*photos, *([film] if film else [])]
        for done, future in enumerate(as_completed(everything), start=1):
            future.result()
            progress(done, len(everything))
    except BrokenProcessPool as error:
        raise ModelFileError(f"the runtime of {contestant.path} has crashed, and its process with it") from error
    return _record(contestant, [future.result() for future in photos], film.result() if film else None, task)


def open_contestant(contestant: Contestant, *, threads: int | None = None) -> Session:
    """A model of the list as a session.

    Raises:
        ModelFileError: it cannot be used.
    """
    if contestant.path.suffix.lower() == _STATE_DICT:
        from mediapipe_deeplab import MediapipeDeepLab

        return MediapipeDeepLab(contestant.path, threads=threads)
    return open_any_session(contestant.path, threads=threads, overrides=contestant.overrides)


def identity(contestant: Contestant) -> dict[str, Any]:
    """What must be the same for a record to hold: the file's content, and what is known of it besides."""
    told = asdict(contestant.overrides) if contestant.overrides else {}
    return {
        "sha256": sha256(contestant.path),
        "sidecar": not from_elsewhere(contestant.path),
        "told": {key: str(value) for key, value in told.items() if value not in (None, False)},
    }


def _score_photos(contestant: Contestant, task: Task) -> PhotoScores:
    start = time.process_time()
    cv2.setNumThreads(1)
    dataset = open_dataset(task.data, split=task.split)
    scores: dict[str, list[ImageScore]] = {_AS_IT_IS: [], **{each.name: [] for each in DISTURBANCES}}
    lock = threading.Lock()
    with open_contestant(contestant, threads=1) as session:
        labels = labels_for(session.classes, dataset)
        for place in task.photos:
            sample = dataset[place]
            scores[_AS_IT_IS].append(score_sample(session, labels, sample, place, lock))
            if place in task.disturbed:
                for each in DISTURBANCES:
                    scores[each.name].append(score_sample(session, labels, each(sample), place, lock))
        opened = Opened(session.height, session.width, session.runtime, _preprocessing(session, contestant))
    return PhotoScores(opened, labels.names, scores, time.process_time() - start)


def _score_film(contestant: Contestant, frames: Path) -> tuple[dict[str, float | None], float]:
    start = time.process_time()
    cv2.setNumThreads(1)
    with open_contestant(contestant, threads=1) as session:
        scores = Film(frames).score(session).to_dict()
    return scores, time.process_time() - start


def _preprocessing(session: Session, contestant: Contestant) -> str:
    if isinstance(session, ForeignSession) or contestant.path.suffix.lower() == _STATE_DICT:
        return "; ".join(session.reasons)  # type: ignore[union-attr]
    return "fed and read as its own description says"


def _record(
    contestant: Contestant, parts: Sequence[PhotoScores], film: tuple[dict[str, float | None], float] | None, task: Task
) -> Record:
    names = parts[0].names
    scores = {
        name: sorted((score for part in parts for score in part.scores[name]), key=lambda score: score.index)
        for name in parts[0].scores
    }
    clean = scores.pop(_AS_IT_IS)
    worst = sorted(clean, key=lambda score: (-score.badness, score.index))[:_WORST]
    seconds = sum(part.seconds for part in parts) + (film[1] if film else 0)
    return {
        "name": contestant.name,
        "file": contestant.path.name,
        "ours": contestant.overrides is None,
        "bytes": size(contestant.path),
        "identity": identity(contestant),
        **asdict(parts[0].opened),
        "machine": describe_machine(_PACKAGES),
        "processor_seconds": round(seconds, 1),
        **_by_source(clean, names),
        "sizes": {name: _numbers(found) for name, found in by_size(clean, names).items()},
        "undisturbed": _by_source([score for score in clean if score.index in task.disturbed], names),
        "disturbed": {name: _by_source(images, names) for name, images in scores.items()},
        "film": {key: _rounded(value) for key, value in film[0].items()} if film else None,
        "worst": [{"index": score.index, "id": score.id, "badness": _rounded(score.badness)} for score in worst],
    }


def _by_source(images: Sequence[ImageScore], names: Sequence[str]) -> dict[str, Any]:
    return {
        "total": _numbers(summarize(images, names)),
        "sources": {source: _numbers(scores) for source, scores in by_source(images, names).items()},
    }


def _numbers(scores: Scores) -> dict[str, Any]:
    return {
        "images": scores.images,
        "negatives": scores.negatives,
        "person_iou": _rounded(scores.person_iou),
        "boundary_f": _rounded(scores.boundary_f),
        "false_person": _rounded(scores.false_person),
    }


def _rounded(value: float | None) -> float | None:
    return value if value is None or isinstance(value, int) else round(value, 6)
