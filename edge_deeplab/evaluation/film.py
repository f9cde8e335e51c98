"""What a model is worth on a film with true masks: every frame for itself, without any smoothing over time."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from edge_deeplab.data.pairs import read_pair
from edge_deeplab.data.sample import PERSON_CLASSES
from edge_deeplab.errors import DatasetError
from edge_deeplab.evaluation.matting import Alphas
from edge_deeplab.evaluation.metrics import Mask, iou, person_mask
from edge_deeplab.evaluation.parallel import Progress
from edge_deeplab.evaluation.temporal import dt_ssd, flicker, still_pixels
from edge_deeplab.image import Rgb, list_images
from edge_deeplab.runtime.session import Session
from edge_deeplab.segmenter import Segmenter

_SIDE = 256  # mattes of networks of different sizes are compared at one


@dataclass(frozen=True)
class FilmScores:
    """A model's scores on a film.

    Attributes:
        frames: how many.
        person_iou: mean over the frames with a person, at their own size.
        dt_ssd: :func:`~edge_deeplab.evaluation.temporal.dt_ssd` of the mattes at 256x256.
        flicker: :func:`~edge_deeplab.evaluation.temporal.flicker` of the same; None where all of the picture moves.
    """

    frames: int
    person_iou: float | None
    dt_ssd: float
    flicker: float | None

    def to_dict(self) -> dict[str, float | None]:
        """Plain JSON types."""
        return asdict(self)


class Film:
    """The frames of ``FOLDER/frames`` with the masks of ``FOLDER/masks``, by name; the frames are read anew each time.

    Raises:
        DatasetError: fewer than two frames, or another number of masks.
        ImageError: a folder is missing or empty.
    """

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self._frames, self._masks = list_images(folder / "frames"), list_images(folder / "masks")
        if len(self._frames) < 2 or [path.stem for path in self._frames] != [path.stem for path in self._masks]:
            raise DatasetError(
                f"{folder} has {len(self._frames)} frames and {len(self._masks)} masks: give two frames or more, and "
                "for each a mask of its name"
            )

    def score(self, session: Session, *, progress: Progress | None = None) -> FilmScores:
        """Run a model over the film.

        Raises:
            DatasetError: a mask of another size than its frame, or frames of different sizes.
            ImageError: a picture cannot be read.
            ModelFileError: the model knows no person.
        """
        segmenter = Segmenter(session)
        mattes: list[Alphas] = []
        exact: list[Alphas] = []
        still: list[Mask] = []
        ious: list[float] = []
        before: Rgb | None = None
        for frame, mask in zip(self._frames, self._masks, strict=True):
            sample = read_pair(frame, mask, id=frame.stem, source=self.name, classes=PERSON_CLASSES)
            truth, alpha = person_mask(sample.mask), segmenter(sample.image)
            if truth.any():
                ious.append(iou(person_mask(alpha), truth))
            mattes.append(_small(alpha))
            exact.append(_small(truth.astype(np.float32)))
            if before is not None:
                if before.shape != sample.image.shape:
                    raise DatasetError(f"{frame} is of another size than the frame before it: a film has one size")
                still.append(still_pixels(before, sample.image, _SIDE, _SIDE))
            before = sample.image
            if progress is not None:
                progress(len(mattes), len(self._frames))
        return FilmScores(
            frames=len(mattes),
            person_iou=float(np.mean(ious)) if ious else None,
            dt_ssd=dt_ssd(mattes, exact),
            flicker=flicker(mattes, still) if any(where.any() for where in still) else None,
        )


def _small(alpha: Alphas) -> Alphas:
    return cv2.resize(alpha, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]
