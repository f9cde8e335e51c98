"""COCO's instance annotations (Lin et al. 2014), read with its authors' pycocotools (extra ``train``)."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.data.pairs import check_size
from edge_deeplab.data.sample import BACKGROUND, IGNORE, PERSON_CLASSES, MaskKind, Sample, mask_kind_of, with_background
from edge_deeplab.errors import DatasetError, MissingExtraError
from edge_deeplab.image import read_rgb


class CocoDataset:
    """Every photo of an annotation file, with the masks of the wanted categories drawn into one.

    Args:
        annotations: ``instances_*.json``.
        images: the folder that the annotations' file names are relative to.
        classes: one category for coverage masks of it (0 or 255: polygons have no soft edge); several for class
            indices in the order given, ``background`` in front.

    Photos without a wanted category are kept: they are the negatives. Where instances overlap, the smaller one is in
    front. Crowd regions (``iscrowd``) are ignored in class masks; in coverage nothing is ignored here, and a
    crowd counts as the class that it is a crowd of.

    Raises:
        DatasetError: the annotations cannot be read, list no photo, or have no such category.
        MissingExtraError: pycocotools is not installed.
    """

    def __init__(self, annotations: Path, images: Path, *, classes: Sequence[str] = PERSON_CLASSES) -> None:
        self.annotations = annotations
        self.images = images
        self.classes = with_background(classes)
        self.mask_kind = mask_kind_of(self.classes)
        coco = _load(annotations)
        wanted = [name for name in self.classes if name != BACKGROUND]
        by_name = {category["name"]: category["id"] for category in coco.dataset["categories"]}
        for name in wanted:
            if name not in by_name:
                raise DatasetError(f"{annotations} has no category {name!r}: it has {', '.join(by_name)}")
        self._index_of = {by_name[name]: index for index, name in enumerate(wanted, start=1)}
        self._photos = tuple(coco.imgs[id] for id in sorted(coco.imgs))
        # Only what is drawn is kept, the largest first: COCO's own index of everything is gigabytes in each worker.
        self._instances = {
            id: sorted(
                (a for a in coco.imgToAnns.get(id, ()) if a["category_id"] in self._index_of),
                key=lambda a: (not a.get("iscrowd", 0), -float(a.get("area", 0))),
            )
            for id in coco.imgs
        }
        if not self._photos:
            raise DatasetError(f"{annotations} lists no photo")

    def __len__(self) -> int:
        return len(self._photos)

    def __getitem__(self, index: int) -> Sample:
        photo = self._photos[index]
        path = self.images / photo["file_name"]
        image = read_rgb(path)
        mask = np.zeros((int(photo["height"]), int(photo["width"])), np.uint8)
        check_size(image, mask, path, self.annotations)
        for instance in self._instances[photo["id"]]:
            mask[self._decode(instance, mask.shape)] = self._value(instance)
        return Sample(Path(photo["file_name"]).with_suffix("").as_posix(), "coco", image, mask)

    def _value(self, instance: dict[str, Any]) -> int:
        if self.mask_kind is MaskKind.COVERAGE:
            return 255
        return IGNORE if instance.get("iscrowd", 0) else self._index_of[instance["category_id"]]

    def _decode(self, instance: dict[str, Any], shape: tuple[int, ...]) -> NDArray[np.bool_]:
        from pycocotools import mask as coco_mask

        outline = instance["segmentation"]
        try:
            if isinstance(outline, list):  # polygons, one for each visible part
                outline = coco_mask.merge(coco_mask.frPyObjects(outline, *shape))
            elif isinstance(outline["counts"], list):  # run lengths, not yet packed
                outline = coco_mask.frPyObjects(outline, *shape)
            decoded: NDArray[np.bool_] = coco_mask.decode(outline).astype(bool)
        except Exception as error:  # pycocotools raises bare Exception for what it cannot parse
            raise DatasetError(
                f"{self.annotations}: the outline of annotation {instance.get('id')} cannot be read ({error})"
            ) from error
        if decoded.shape != shape:
            raise DatasetError(
                f"{self.annotations}: annotation {instance.get('id')} has a mask of {decoded.shape[1]}x"
                f"{decoded.shape[0]} for a photo of {shape[1]}x{shape[0]}"
            )
        return decoded


def _load(annotations: Path) -> Any:
    try:
        from pycocotools.coco import COCO
    except ImportError as error:
        raise MissingExtraError("pycocotools", "train", "reading COCO annotations") from error
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it reports its progress by print
            coco = COCO(str(annotations))
        if not {"images", "annotations", "categories"} <= coco.dataset.keys():
            raise DatasetError(f"{annotations} is not an instance annotation file of COCO: get instances_*.json")
    except FileNotFoundError as error:
        raise DatasetError(f"there is no annotation file {annotations}") from error
    except (OSError, json.JSONDecodeError, UnicodeDecodeError, AssertionError, KeyError, TypeError) as error:
        raise DatasetError(f"{annotations} cannot be read as COCO annotations ({error!r}): get a fresh copy") from error
    return coco
