"""A data set from a path: the layout is recognised by what lies there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_deeplab.data.coco import CocoDataset
from edge_deeplab.data.folder import FolderDataset
from edge_deeplab.data.manifest import MANIFEST, ManifestDataset
from edge_deeplab.data.sample import PERSON_CLASSES, SegmentationDataset
from edge_deeplab.data.voc import VocDataset
from edge_deeplab.errors import DatasetError

_LAYOUTS = (
    "manifest.csv with images/ and masks/; "
    "images/ and masks/; "
    "Pascal VOC (JPEGImages/, SegmentationClass/, ImageSets/Segmentation/); "
    "COCO (annotations/instances_SPLIT*.json with images in SPLIT*/, images/SPLIT*/ or images/)"
)


def open_dataset(
    path: Path, *, split: str | None = None, classes: Sequence[str] = PERSON_CLASSES
) -> SegmentationDataset:
    """Open a data set of any layout that is known.

    Args:
        path: its folder.
        split: train, val, test, ...; None for everything.
        classes: one class for coverage masks, several for class indices.

    Raises:
        DatasetError: no layout is recognised (the message lists them), or the one that is has something missing.
        MissingExtraError: a COCO data set without pycocotools.
    """
    if not path.is_dir():
        raise DatasetError(f"there is no folder {path}: give the folder of a data set")
    if (path / MANIFEST).is_file():
        return ManifestDataset(path, split=split, classes=classes)
    if (path / "SegmentationClass").is_dir():
        return VocDataset(path, split=split, classes=classes)
    if any((path / "annotations").glob("instances_*.json")):
        annotations = _coco_annotations(path / "annotations", split)
        return CocoDataset(annotations, _coco_images(path, annotations), classes=classes)
    if (path / "images").is_dir() and (path / "masks").is_dir():
        if split is not None:
            raise DatasetError(f"{path} is a plain folder without splits: give the folder of {split!r} itself")
        return FolderDataset(path, classes=classes)
    raise DatasetError(f"{path} has none of the layouts that are known: {_LAYOUTS}")


def _coco_annotations(folder: Path, split: str | None) -> Path:
    """``instances_val2017.json`` for the split ``val`` (or ``val2017``); the only file where no split is asked for."""
    found = sorted(folder.glob("instances_*.json"))
    names = [path.stem.removeprefix("instances_") for path in found]
    chosen = [
        path
        for path, name in zip(found, names, strict=True)
        if split is None or name == split or name.rstrip("0123456789") == split
    ]
    if not chosen:
        raise DatasetError(f"{folder} has no split {split!r}: it has {', '.join(names)}")
    if len(chosen) > 1:
        raise DatasetError(f"{folder} has several annotation files: choose a split from {', '.join(names)}")
    return chosen[0]


def _coco_images(root: Path, annotations: Path) -> Path:
    name = annotations.stem.removeprefix("instances_")
    candidates = (root / name, root / "images" / name, root / "images")
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise DatasetError(f"{root} has no photos for {annotations.name}: looked in {', '.join(map(str, candidates))}")
