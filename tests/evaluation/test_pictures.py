from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from edge_deeplab.data.sample import Sample
from edge_deeplab.errors import OutputError
from edge_deeplab.evaluation.contact_sheet import contact_sheet
from edge_deeplab.evaluation.drawing import EXTRA, MISSED, Tile, difference, sheet
from edge_deeplab.evaluation.evaluate import evaluate
from edge_deeplab.evaluation.exhibits import exhibits
from edge_deeplab.evaluation.parity import Contender, compare
from edge_deeplab.evaluation.parity_images import NamedImages
from edge_deeplab.evaluation.report import parity_picture, write_report
from edge_deeplab.evaluation.tables import evaluation_table, parity_tables, short_names
from edge_deeplab.image import read_rgb
from edge_deeplab.spec import Target

GREEN = (10, 200, 30)


def near(pixels: Any, colour: tuple[int, int, int], within: int = 60) -> Any:
    """Where a picture has about this colour: bool, HxW."""
    return np.abs(pixels.astype(int) - colour).max(axis=2) <= within


class TestDifference:
    def test_each_case_has_its_look(self) -> None:
        rgb = np.full((1, 5, 3), GREEN, dtype=np.uint8)
        predicted = np.array([[0, 1, 0, 1, 1]], dtype=np.uint8)
        truth = np.array([[0, 1, 1, 0, 255]], dtype=np.uint8)
        (background, agreed, missed, extra, ignored) = difference(rgb, predicted, truth)[0]
        assert tuple(agreed) == GREEN
        assert tuple(background) == tuple(ignored) == tuple(c // 3 for c in GREEN)
        assert near(missed[None, None], MISSED).all()
        assert near(extra[None, None], EXTRA).all()

    def test_another_class_is_a_miss(self) -> None:
        rgb = np.zeros((1, 1, 3), dtype=np.uint8)
        (pixel,) = difference(rgb, np.array([[2]], dtype=np.uint8), np.array([[1]], dtype=np.uint8))[0]
        assert near(pixel[None, None], MISSED, 70).all()


class TestSheet:
    def test_tiles_keep_their_shape_and_order(self) -> None:
        wide, tall = np.full((10, 40, 3), GREEN, np.uint8), np.full((40, 10, 3), MISSED, np.uint8)
        drawn = sheet([[Tile(wide), Tile(tall)]], title=(), height=80, width=80)
        green, orange = near(drawn, GREEN, 0), near(drawn, MISSED, 0)
        assert (np.ptp(np.nonzero(green)[0]) + 1, np.ptp(np.nonzero(green)[1]) + 1) == (20, 80)
        assert (np.ptp(np.nonzero(orange)[0]) + 1, np.ptp(np.nonzero(orange)[1]) + 1) == (80, 20)
        assert np.nonzero(green)[1].max() < np.nonzero(orange)[1].min()

    def test_words_are_drawn_and_stay_over_their_own_tile(self) -> None:
        rgb = np.zeros((40, 40, 3), np.uint8)
        tiles = [Tile(rgb, ("a very long name of a file that does not fit",)), Tile(rgb, ())]
        drawn = sheet([tiles], title=(), height=40, width=40)
        columns = np.nonzero((drawn > 200).all(axis=2).any(axis=0))[0]
        assert columns.size
        assert columns.max() < drawn.shape[1] / 2

    def test_the_same_tiles_give_the_same_bytes(self) -> None:
        tiles = [[Tile(np.full((9, 9, 3), GREEN, np.uint8), ("one",))]]
        first, again = (sheet(tiles, title=("title",), height=50, width=50) for _ in range(2))
        assert np.array_equal(first, again)

    def test_nothing_cannot_be_drawn(self) -> None:
        with pytest.raises(ValueError, match="at least one"):
            sheet([], title=(), height=10, width=10)


def test_the_contact_sheet_shows_the_worst_and_what_is_wrong_with_them(red_session: Any, dataset_of: Any) -> None:
    samples = []
    for n in range(6):
        image = np.full((32, 32, 3), (0, 200, 0), dtype=np.uint8)
        image[:, : 8 + 2 * n] = (255, 0, 0)
        mask = np.zeros((32, 32), dtype=np.uint8)
        mask[:, :8] = 255  # the red to the right of it is called a person wrongly: more of it in every picture
        samples.append(Sample(str(n), "a", image, mask))
    dataset = dataset_of(samples)
    result = evaluate(red_session, dataset)
    one = contact_sheet(result, red_session, dataset, title="one", count=1)
    all_six = contact_sheet(result, red_session, dataset, title="all", count=24)
    assert near(one, EXTRA).sum() > 5000  # the worst alone has the widest blue stripe
    assert all_six.shape[0] > one.shape[0]
    assert all_six.shape[1] > one.shape[1]
    assert not near(one, MISSED, 30).any()


@pytest.fixture
def comparison(session_of: Any) -> Any:
    """Arguments of a comparison of which the artifact is right on dark pictures and shifted on the last one."""

    def network(pixels: Any) -> Any:
        return pixels[:, :, :1].astype(np.float32) / np.float32(255)

    def faulty(pixels: Any) -> Any:
        return np.roll(network(pixels), 2, axis=1) if pixels[0, 0, 2] == 77 else network(pixels)

    pictures = []
    for n in range(6):
        rgb = np.zeros((24, 36, 3), dtype=np.uint8)
        rgb[:, 12:24, 0] = 255
        rgb[:, :, 2] = 77 if n == 5 else 0
        pictures.append((f"picture {n}", rgb))
    reference = Contender("model.safetensors", session_of(network, height=16, width=16), 9_000_000)
    artifact = Contender(
        "model-with-a-long-name-int8.tflite",
        session_of(faulty, height=16, width=16),
        2_500_000,
        Target.parse("tflite-int8"),
    )
    return reference, [artifact], NamedImages(pictures)


class TestParityReport:
    def test_the_picture_leads_with_where_the_artifact_is_wrong(self, comparison: Any) -> None:
        reference, candidates, images = comparison
        report = compare(reference, candidates, images)
        shown = exhibits(report, reference, candidates, images)
        worst = parity_picture(report, shown, count=1)
        three = parity_picture(report, shown)
        assert near(worst, MISSED).sum() > 500
        assert near(worst, EXTRA).sum() > 500
        assert three.shape[0] > 2 * worst.shape[0]

    def test_it_is_written_beside_the_files_as_numbers_picture_and_page(self, comparison: Any, tmp_path: Path) -> None:
        reference, candidates, images = comparison
        report = compare(reference, candidates, images)
        shown = exhibits(report, reference, candidates, images)
        numbers, picture, page = write_report(report, shown, tmp_path / "new/folder")
        assert json.loads(numbers.read_text()) == report.to_dict()
        assert np.array_equal(read_rgb(picture), parity_picture(report, shown))
        assert "model-with-a-long-name-int8.tflite" in page.read_text()

    def test_a_folder_that_cannot_be_written_to_is_named(self, comparison: Any, tmp_path: Path) -> None:
        reference, candidates, images = comparison
        report = compare(reference, candidates, images)
        (tmp_path / "file").write_text("")
        with pytest.raises(OutputError, match="file"):
            write_report(report, exhibits(report, reference, candidates, images), tmp_path / "file")

    @pytest.mark.parametrize("width", [80, 120])
    def test_no_number_is_cut_off_in_a_narrow_terminal_and_no_name_is_broken(self, comparison: Any, width: int) -> None:
        console = Console(width=width, record=True, force_terminal=False)
        console.print(parity_tables(compare(*comparison), width=width))
        text = console.export_text()
        for words in ("2.50 MB", "FAILED", "reference", "1.0e+00", "executed by numpy: model.safetensors"):
            assert words in text
        (row,) = [line for line in text.splitlines() if "FAILED" in line]
        name = "with-a-lon…int8.tflite" if width == 80 else "model-with-a-long-name-int8.tflite"
        assert row.split()[0] == name
        assert "…" not in text.replace(name, "")


class TestShortNames:
    def test_names_that_fit_stay(self) -> None:
        assert short_names(["a.safetensors", "a-int8.tflite"], 13) == ["a.safetensors", "a-int8.tflite"]

    def test_what_all_begin_with_goes_word_by_word(self) -> None:
        names = ["portrait-v2.safetensors", "portrait-v2-int8.tflite", "portrait-v2.onnx"]
        assert short_names(names, 20) == ["safetensors", "int8.tflite", "onnx"]
        assert short_names(["my-portrait.onnx", "my-postcard-float32.tflite"], 24) == [
            "portrait.onnx",
            "postcard-float32.tflite",
        ]

    def test_what_is_too_long_loses_its_middle_and_two_alike_are_numbered(self) -> None:
        assert short_names(["a", "abcdefghijkl.tflite"], 11) == ["a", "abcde…flite"]
        cut = short_names(["0123456789x0123456789", "0123456789y0123456789", "a"], 11)
        assert cut == ["0: 012…789", "1: 012…789", "2: a"]


@pytest.mark.parametrize("width", [60, 120])
def test_the_evaluation_s_table_has_a_row_for_each_source_and_the_total(
    red_session: Any, dataset_of: Any, width: int
) -> None:
    image = np.zeros((8, 8, 3), dtype=np.uint8)
    image[:, :4, 0] = 255
    person, nobody = np.zeros((8, 8), dtype=np.uint8), np.zeros((8, 8), dtype=np.uint8)
    person[:, :4] = 255
    result = evaluate(
        red_session, dataset_of([Sample("a", "street", image, person), Sample("b", "none", image, nobody)])
    )
    console = Console(width=width, record=True)
    console.print(evaluation_table(result, title="a model on data"))
    lines = {line.split()[0]: line.split() for line in console.export_text().splitlines() if line.split()}
    assert lines["street"][1:] == ["1", "1.0000", "1.0000", "1.0000", "-"]
    assert lines["none"][1] == "1"
    assert lines["none"][-1] == "50.00%"
    assert lines["total"][1:3] == ["2", "1.0000"]
