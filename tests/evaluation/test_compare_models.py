"""benchmarks/compare_models.py from its command line to its files, on the bundled portrait and the shipped model."""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from edge_deeplab.data.bundled import bundled_portrait
from edge_deeplab.data.opening import open_dataset
from edge_deeplab.evaluation.disturbances import DISTURBANCES
from edge_deeplab.evaluation.evaluate import evaluate
from edge_deeplab.image import resize_area, write_image
from edge_deeplab.runtime.opening import open_session
from edge_deeplab.weights import shipped_model

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"

Main = Callable[[Sequence[str]], None]


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Main:
    """The script's main function; the modules beside it are found as when it is started."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    function: Main = importlib.import_module("compare_models").main
    return function


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/ (two sources and a negative), film/ (three frames) and peers/ (the shipped file without its sidecar)."""
    root = tmp_path_factory.mktemp("comparison")
    photo = resize_area(bundled_portrait(), 256, 256)
    mask = np.zeros((256, 256), np.uint8)
    cv2.ellipse(mask, (112, 60), (45, 60), 0, 0, 360, (255,), cv2.FILLED)
    cv2.ellipse(mask, (112, 256), (95, 150), 0, 0, 360, (255,), cv2.FILLED)
    wall = np.full((90, 70, 3), (90, 120, 150), np.uint8)
    photos = {
        "near": ("studio", photo[:200, 20:220], mask[:200, 20:220]),
        "whole": ("studio", photo, mask),
        "other": ("street", photo[:, ::-1], mask[:, ::-1]),
        "wall": ("negative", wall, np.zeros((90, 70), np.uint8)),
    }
    (root / "data" / "masks").mkdir(parents=True)
    for id, (_, image, its_mask) in photos.items():
        write_image(root / "data" / "images" / f"{id}.jpg", np.ascontiguousarray(image))
        Image.fromarray(its_mask).save(root / "data" / "masks" / f"{id}.png")
    lines = ["id,source,split", *(f"{id},{source},val" for id, (source, _, _) in photos.items())]
    (root / "data" / "manifest.csv").write_text("\n".join(lines) + "\n")
    (root / "film" / "masks").mkdir(parents=True)
    for index in range(3):
        write_image(root / "film" / "frames" / f"{index}.png", np.roll(photo, 6 * index, axis=1))
        Image.fromarray(np.roll(mask, 6 * index, axis=1)).save(root / "film" / "masks" / f"{index}.png")
    (root / "peers").mkdir()
    shutil.copy(shipped_model(), root / "peers" / "stranger.tflite")
    return root


def test_a_copy_without_a_sidecar_gets_the_scores_of_the_shipped_file(
    main: Main, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    peers, numbers, sheet = tmp_path / "peers.toml", tmp_path / "made" / "numbers.json", tmp_path / "made" / "sheet.png"
    peers.write_text(
        '[[peer]]\nname = "the copy"\nfile = "stranger.tflite"\n'
        '[[peer]]\nname = "fed wrongly, 20 long"\nfile = "stranger.tflite"\nbgr = true\n'
    )
    main(
        f"--data {place}/data --peers {place}/peers --list {peers} --frames {place}/film --json {numbers} "
        f"--sheet {sheet}".split()
    )

    values = json.loads(numbers.read_text())
    ours, copy, wrong = values["models"]
    for key in ("sha256", "total", "sources", "sizes", "disturbed", "film"):
        assert ours[key] == copy[key]
    assert wrong["total"]["person_iou"] != ours["total"]["person_iou"]
    assert "BGR" in wrong["preprocessing"]
    assert "RGB" in copy["preprocessing"]

    with open_session(shipped_model()) as session:
        expected = evaluate(session, open_dataset(place / "data", split="val"))
    assert ours["total"]["person_iou"] == pytest.approx(expected.total.person_iou, abs=1e-6)
    assert ours["total"]["false_person"] == pytest.approx(expected.total.false_person, abs=1e-6)
    assert set(ours["sources"]) == {"negative", "studio", "street"}
    assert sum(scores["images"] for scores in ours["sizes"].values()) == 3
    assert ours["disturbed"].keys() == values["disturbances"].keys() == {each.name for each in DISTURBANCES}
    # Disturbed, the photos are others: no two of the scores are the same.
    scores = [ours["total"]["person_iou"], *(each["total"]["person_iou"] for each in ours["disturbed"].values())]
    assert len(set(scores)) == 1 + len(DISTURBANCES)
    assert ours["film"]["frames"] == 3
    assert ours["film"]["dt_ssd"] > 0

    with Image.open(sheet) as image:
        assert min(image.size) > 200
    printed = capsys.readouterr().out
    assert f"{expected.sources['studio'].person_iou:.3f}" in printed
    assert "takes BGR" in " ".join(printed.split())
    # Eighty columns are enough: no name is broken and no number cut.
    assert printed.count("\n fed wrongly, 20 long ") == 5  # tables
    assert "…" not in printed


def test_a_limit_takes_so_many_of_each_source(main: Main, place: Path, tmp_path: Path) -> None:
    numbers = tmp_path / "numbers.json"
    main(f"--data {place}/data --limit 1 --json {numbers}".split())
    (ours,) = json.loads(numbers.read_text())["models"]
    assert {source: scores["images"] for source, scores in ours["sources"].items()} == {
        "studio": 1,
        "street": 1,
        "negative": 1,
    }
    assert ours["film"] is None


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('name = "a"\nfile = "nowhere.tflite"', r"lacks nowhere\.tflite"),
        ('name = "a"', "no file"),
        ('name = "a"\nfile = "stranger.tflite"\nmean = 3', "unknown key 'mean'"),
        ('name = "a"\nfile = "stranger.tflite"\ninput_mean = [1, 2, 3]', r"'a' of .* makes no sense"),
        ('name = "a"\nfile = "stranger.tflite"\ninput_range = [1, -1]', "lower number first"),
        ('name = "a"\nfile = "stranger.tflite"\noutput = "colours"', "colours"),
        ('name = "a"\nfile = "stranger.tflite"\nbgr = "no"', "bgr = 'no' .* must be bool"),
        ('name = "a', "cannot be read"),
        ('name = "a"\nfile = "stranger.tflite"\n[[peer]]\nname = "a"\nfile = "stranger.tflite"', "one name"),
    ],
)
def test_a_bad_list_is_refused_before_anything_is_measured(
    main: Main, place: Path, tmp_path: Path, entry: str, message: str
) -> None:
    peers, numbers = tmp_path / "peers.toml", tmp_path / "numbers.json"
    peers.write_text(f"[[peer]]\n{entry}\n")
    with pytest.raises(SystemExit, match=message):
        main(f"--data {place}/data --peers {place}/peers --list {peers} --json {numbers}".split())
    assert not numbers.exists()


def test_an_empty_list_is_refused(main: Main, place: Path, tmp_path: Path) -> None:
    (tmp_path / "peers.toml").write_text("peer = 3\n")
    with pytest.raises(SystemExit, match="names none"):
        main(f"--data {place}/data --peers {place}/peers --list {tmp_path}/peers.toml".split())


def test_the_list_that_is_kept_makes_sense(main: Main, tmp_path: Path) -> None:
    """Its files are not here, so it is read with empty ones in their places."""
    read_peers = importlib.import_module("peer_list").read_peers
    names = [line.split('"')[1] for line in (BENCHMARKS / "peers.toml").read_text().splitlines() if "file = " in line]
    for name in names:
        (tmp_path / name).touch()
    peers = read_peers(BENCHMARKS / "peers.toml", tmp_path)
    assert [peer.path.name for peer in peers] == names
    sinet = next(peer for peer in peers if peer.name == "SINet")
    assert sinet.overrides.bgr
    assert sinet.overrides.input_range.high == pytest.approx((0.00948, 0.00897, 0.00757), abs=1e-5)
