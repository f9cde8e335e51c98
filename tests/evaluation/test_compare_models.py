"""benchmarks/compare_models.py from its command line to its files, on the bundled portrait and the shipped model."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from edge_deeplab.data.bundled import bundled_portrait
from edge_deeplab.data.opening import open_dataset
from edge_deeplab.errors import ModelFileError
from edge_deeplab.evaluation.disturbances import DISTURBANCES, DisturbedDataset
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
    peers, numbers, sheets = tmp_path / "peers.toml", tmp_path / "made" / "numbers.json", tmp_path / "sheets"
    peers.write_text(
        '[[peer]]\nname = "the copy"\nfile = "stranger.tflite"\n'
        '[[peer]]\nname = "fed wrongly, 20 long"\nfile = "stranger.tflite"\nbgr = true\n'
        '[[peer]]\nname = "waits"\nfile = "nowhere.tflite"\nslow = true\n'
        '[[left_out]]\nname = "other"\nfile = "other.pth"\nreason = "no network"\n'
    )
    main(
        f"--data {place}/data --model {shipped_model()} --peers {place}/peers --list {peers} --frames {place}/film "
        f"--json {numbers} --sheets {sheets} --latency 2".split()
    )

    values = json.loads(numbers.read_text())
    ours, copy, wrong = values["models"]
    for key in ("total", "sources", "sizes", "undisturbed", "disturbed", "film", "worst"):
        assert ours[key] == copy[key]
    assert ours["identity"]["sha256"] == copy["identity"]["sha256"]
    assert wrong["total"]["person_iou"] != ours["total"]["person_iou"]
    assert "BGR" in wrong["preprocessing"]
    assert "RGB" in copy["preprocessing"]
    assert [one["name"] for one in values["left_out"]] == ["waits", "other"]

    dataset = open_dataset(place / "data", split="val")
    with open_session(shipped_model()) as session:
        expected = evaluate(session, dataset)
        noisy = evaluate(session, DisturbedDataset(dataset, DISTURBANCES[1]))
    assert ours["total"]["person_iou"] == pytest.approx(expected.total.person_iou, abs=1e-6)
    assert ours["total"]["boundary_f"] == pytest.approx(expected.total.boundary_f, abs=1e-6)
    assert ours["total"]["false_person"] == pytest.approx(expected.total.false_person, abs=1e-6)
    assert ours["disturbed"]["noise"]["total"]["person_iou"] == pytest.approx(noisy.total.person_iou, abs=1e-6)
    assert [photo["id"] for photo in ours["worst"]] == [score.id for score in expected.worst(24)]
    assert set(ours["sources"]) == {"negative", "studio", "street"}
    assert sum(scores["images"] for scores in ours["sizes"].values()) == 3
    assert ours["disturbed"].keys() == values["conditions"]["disturbances"].keys() == {one.name for one in DISTURBANCES}
    # Disturbed, the photos are others: no two of the scores are the same.
    scores = [ours["total"]["person_iou"], *(each["total"]["person_iou"] for each in ours["disturbed"].values())]
    assert len(set(scores)) == 1 + len(DISTURBANCES)
    assert ours["undisturbed"]["total"] == ours["total"]
    assert ours["film"]["frames"] == 3
    assert ours["film"]["dt_ssd"] > 0

    assert values["latency"]["against"] == "the copy"
    times = {one["name"]: one for one in values["latency"]["models"]}
    assert set(times) == {"portrait.tflite", "the copy", "fed wrongly, 20 long"}
    assert times["the copy"]["ratio"] is None
    assert all(one["median_ms"] > 0 for one in times.values())

    assert {path.name for path in sheets.iterdir()} == {
        "portrait.tflite.jpg",
        "the-copy.jpg",
        "fed-wrongly-20-long.jpg",
    }
    with Image.open(sheets / "portrait.tflite.jpg") as image:
        assert min(image.size) > 200
    printed = capsys.readouterr().out
    assert f"{expected.sources['studio'].person_iou:.3f}" in printed
    assert "takes BGR" in " ".join(printed.split())
    # Eighty columns are enough: no name is broken and no number cut.
    assert printed.count("\n fed wrongly, 20 long ") == 5  # tables
    assert "…" not in printed


def test_what_was_measured_is_not_measured_again(main: Main, place: Path, tmp_path: Path) -> None:
    """The numbers in the file are changed: where the model is measured again they would come back."""
    numbers = tmp_path / "numbers.json"
    small = f"--data {place}/data --limit 1 --disturbed 1 --workers 1 --json {numbers}"
    main(f"{small} --model {shipped_model()}".split())
    values = json.loads(numbers.read_text())
    (ours,) = values["models"]
    # Of each source so many photos, and of a source with two the first.
    assert {source: scores["images"] for source, scores in ours["sources"].items()} == {
        "studio": 1,
        "street": 1,
        "negative": 1,
    }
    assert ours["film"] is None
    assert values["conditions"]["photos"] == {"studio": 1, "street": 1, "negative": 1}

    ours["total"]["person_iou"] = 0.125
    numbers.write_text(json.dumps(values))
    stranger = place / "peers" / "stranger.tflite"
    main(f"{small} --model {shipped_model()} --model {stranger}".split())
    before, new = json.loads(numbers.read_text())["models"]
    assert before == ours
    assert new["name"] == "stranger.tflite"
    assert new["total"]["person_iou"] > 0.5

    # What is not asked for stays.
    other = shutil.copy(BENCHMARKS / "portrait_width05_float.safetensors", tmp_path / "other.safetensors")
    main(f"{small} --model {other}".split())
    assert [one["name"] for one in json.loads(numbers.read_text())["models"]] == [
        "other.safetensors",
        "portrait.tflite",
        "stranger.tflite",
    ]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ("--limit 2 --disturbed 1", "another photos"),
        ("--limit 1 --disturbed 1 --frames {place}/film", "another film"),
        ("--limit 1 --disturbed 1 --only portrait.tflite --only nobody", "no model 'nobody'"),
    ],
)
def test_what_does_not_belong_together_is_refused(
    main: Main, place: Path, tmp_path: Path, changed: str, message: str
) -> None:
    numbers = tmp_path / "numbers.json"
    compare_models = importlib.import_module("compare_models")
    _, conditions = compare_models.look_through(place / "data", "val", 1, 1, None)
    before = json.dumps({"conditions": conditions, "latency": None, "left_out": [], "models": []})
    numbers.write_text(before)
    with pytest.raises(SystemExit, match=message):
        main(f"--data {place}/data --json {numbers} --model {shipped_model()} {changed.format(place=place)}".split())
    assert numbers.read_text() == before


def test_a_process_that_dies_is_told_of(main: Main, place: Path) -> None:
    measuring, lists = importlib.import_module("comparison_measuring"), importlib.import_module("peer_list")
    task = measuring.Task(data=place / "data", split="val", photos=(0,), disturbed=frozenset({0}), frames=None)
    model = lists.Contestant("ours", shipped_model())
    with measuring.worker_processes(1) as executor:
        executor.submit(os._exit, 1)
        with pytest.raises(ModelFileError, match=r"the runtime of .*portrait\.tflite has crashed"):
            measuring.measure(model, task, executor, lambda done, count: None)


def test_a_changed_photo_is_another_data_set(main: Main, place: Path, tmp_path: Path) -> None:
    look_through = importlib.import_module("compare_models").look_through
    copy = shutil.copytree(place / "data", tmp_path / "data")
    _, before = look_through(place / "data", "val", None, 1, None)
    assert look_through(copy, "val", None, 1, None)[1] == before
    mask = cv2.imread(str(copy / "masks" / "near.png"), cv2.IMREAD_GRAYSCALE)
    mask[0, 0] = 255
    Image.fromarray(mask).save(copy / "masks" / "near.png")
    assert look_through(copy, "val", None, 1, None)[1]["data_sha256"] != before["data_sha256"]


def test_the_models_by_default_are_the_shipped_ones_and_their_parents(main: Main) -> None:
    names = [one.name for one in importlib.import_module("compare_models").ours([])]
    models = ("portrait", "portrait-fast", "portrait-open")
    assert names == [f"{model} {precision}" for model in models for precision in ("int8", "float")]


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
        ('name = "a"\nfile = "stranger.tflite"\n[[left_out]]\nname = "b"\nfile = "b"', "no reason"),
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
    content = tomllib.loads((BENCHMARKS / "peers.toml").read_text())
    names = [entry["file"] for entry in content["peer"]]
    for name in names:
        (tmp_path / name).touch()
    quick, everything = (read_peers(BENCHMARKS / "peers.toml", tmp_path, slow=slow) for slow in (False, True))
    assert [peer.path.name for peer in everything.measured] == names
    assert [one.name for one in quick.left_out] == ["AISeg DeepLab float", *(one.name for one in everything.left_out)]
    sinet = next(peer for peer in quick.measured if peer.name == "SINet")
    assert sinet.overrides.bgr
    assert sinet.overrides.input_range.high == pytest.approx((0.00948, 0.00897, 0.00757), abs=1e-5)
