"""The table of a run's epochs, and its picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_deeplab.errors import CheckpointError
from edge_deeplab.training.curves import EpochScores, curves_plot, read_curves, write_curves

_FIRST = EpochScores(epoch=1, steps=239, learning_rate=1e-3, train_loss=0.5, val_loss=0.25, val_iou=0.875)
_SECOND = replace(_FIRST, epoch=2, steps=478, learning_rate=0.0, val_iou=0.9375)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "curves.csv"
    assert read_curves(path) == ()
    write_curves(path, [_FIRST, _SECOND])
    assert read_curves(path) == (_FIRST, _SECOND)
    header = "epoch,steps,learning_rate,train_loss,val_loss,val_iou"
    assert path.read_text().splitlines()[:2] == [header, "1,239,0.001,0.5,0.25,0.875"]


def test_a_damaged_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "curves.csv"
    for text in ("epoch,steps\n1,2\n", "epoch,steps,learning_rate,train_loss,val_loss,val_iou\n1,2,x,0,0,0\n"):
        path.write_text(text)
        with pytest.raises(CheckpointError, match=r"curves\.csv is damaged"):
            read_curves(path)


def test_the_picture_follows_the_numbers() -> None:
    one, same, other = (
        curves_plot(epochs, "float")
        for epochs in ([_FIRST, _SECOND], [_FIRST, _SECOND], [replace(_FIRST, val_iou=0.5), _SECOND])
    )
    assert one == same
    assert one != other
    picture = cv2.imdecode(np.frombuffer(one, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (400, 1300, 3)
