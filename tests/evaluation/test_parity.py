from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_deeplab.data.bundled import bundled_images
from edge_deeplab.data.sample import Sample
from edge_deeplab.errors import ParityError
from edge_deeplab.evaluation.parity import Contender, compare
from edge_deeplab.evaluation.parity_images import DatasetImages, NamedImages
from edge_deeplab.runtime.opening import open_session
from edge_deeplab.spec import Format, Precision, Target
from edge_deeplab.weights import shipped_checkpoint, shipped_model

FLOAT32 = Target(Format.TFLITE, Precision.FLOAT32)
FLOAT16 = Target(Format.TFLITE, Precision.FLOAT16)
INT8 = Target(Format.TFLITE, Precision.INT8)

Change = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def ramp(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A network that takes bright red for a person."""
    return pixels[:, :, :1].astype(np.float32) / np.float32(255)


def photos(count: int = 6) -> NamedImages:
    rng = np.random.default_rng(0)
    return NamedImages([(f"photo {n}", rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)) for n in range(count)])


@pytest.fixture
def contender(session_of: Any) -> Callable[..., Contender]:
    def build(
        name: str, change: Change = lambda p: p, target: Target | None = None, allowed: float | None = None
    ) -> Contender:
        session = session_of(lambda pixels: change(ramp(pixels)), height=16, width=16)
        return Contender(name, session, size=123, target=target, allowed_drop=allowed)

    return build


Build = Callable[..., Contender]


def test_the_same_network_passes_with_nothing_lost(contender: Build) -> None:
    report = compare(contender("checkpoint"), [contender("same.tflite", target=FLOAT32)], photos())
    (row,) = report.rows
    assert report.passed
    assert row.failures == ()
    assert (row.agreement.max_error, row.agreement.mask_agreement, row.agreement.reference_iou) == (0, 1, 1)
    assert (row.size, row.runtime, row.accuracy, row.drop) == (123, "numpy", None, None)
    report.check()


def test_a_small_error_passes_as_float16_and_fails_as_float32_in_one_clear_sentence(contender: Build) -> None:
    off = lambda p: p + np.float32(5e-4)  # noqa: E731
    candidates = [contender("half.tflite", off, FLOAT16), contender("full.tflite", off, FLOAT32)]
    report = compare(contender("checkpoint"), candidates, photos())
    half, full = report.rows
    assert half.passed
    assert not full.passed
    assert not report.passed
    assert "full.tflite: the greatest error of a probability is 0.0005, over 0.0001 (" in full.failures[0]
    with pytest.raises(ParityError, match=r"^full\.tflite: the greatest error") as caught:
        report.check()
    assert "half.tflite" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda p: np.roll(p, 1, axis=1), "the masks agree"),
        (lambda p: p[:, ::-1], "the masks' IoU"),
        (lambda p: 1 - p, "the mean error"),
        (lambda p: np.full_like(p, np.nan), "not finite"),
        (lambda p: np.where(p > 0.7, np.float32(np.nan), p), "not finite"),
    ],
)
def test_an_int8_file_that_is_wrong_fails(contender: Build, fault: Change, words: str) -> None:
    report = compare(contender("checkpoint"), [contender("wrong.tflite", fault, INT8)], photos())
    assert any(words in failure for failure in report.rows[0].failures)


def test_an_int8_file_is_not_judged_by_single_pixels(contender: Build) -> None:
    def one_pixel(p: NDArray[np.float32]) -> NDArray[np.float32]:
        p = p.copy()
        p[0, 0] = 1 - p[0, 0]
        return p

    report = compare(contender("checkpoint"), [contender("fine.tflite", one_pixel, INT8)], photos())
    assert report.rows[0].agreement.max_error > 0.1
    assert report.passed


class TestTrueMasks:
    @staticmethod
    def images(dataset_of: Any, classes: tuple[str, ...] = ("person",)) -> DatasetImages:
        """Source easy: half of the picture is bright red; source hard: the same, dimmer."""
        samples = []
        for source, level in (("easy", 255), ("hard", 140)):
            image = np.zeros((16, 16, 3), dtype=np.uint8)
            image[:, :8, 0] = level
            mask = np.zeros((16, 16), dtype=np.uint8)
            mask[:, :8] = 255
            samples += [Sample(f"{source} {n}", source, image, mask) for n in range(2)]
        return DatasetImages(dataset_of(samples), classes)

    def test_accuracy_and_drop_by_hand(self, contender: Build, dataset_of: Any) -> None:
        dimmer = lambda p: p * np.float32(0.8)  # noqa: E731  # 140 / 255 * 0.8 = 0.44: the hard half is lost
        images = self.images(dataset_of)
        report = compare(contender("checkpoint"), [contender("dim.tflite", dimmer, INT8)], images)
        (row,) = report.rows
        assert report.accuracy is not None
        assert row.accuracy is not None
        assert row.drop is not None
        assert report.accuracy.total.person_iou == 1.0
        assert row.accuracy.sources["easy"].person_iou == 1.0
        assert row.accuracy.sources["hard"].person_iou == 0.0
        assert (row.drop.total, row.drop.worst, row.drop.worst_source) == (0.5, 1.0, "hard")
        assert "dim.tflite: person IoU drops by 1.0000 on hard, over 0.005" in row.failures[-1]

    def test_boundary_and_false_persons_by_hand(self, contender: Build, dataset_of: Any) -> None:
        """One photo with a person, of whom the artifact sees nothing; one without, of which it calls a quarter one."""
        person, nobody = np.zeros((16, 16, 3), dtype=np.uint8), np.zeros((16, 16, 3), dtype=np.uint8)
        person[:, :8, 0] = 255
        nobody[:8, :8, 0] = 100  # a probability of 0.39, and more than a half of 1 - p is elsewhere
        mask = np.zeros((16, 16), dtype=np.uint8)
        mask[:, :8] = 255
        samples = [Sample("person", "street", person, mask), Sample("nobody", "none", nobody, np.zeros_like(mask))]
        images = DatasetImages(dataset_of(samples), ("person",))
        faint = lambda p: np.where(p == 1, np.float32(0), p * np.float32(2))  # noqa: E731
        (row,) = compare(contender("checkpoint"), [contender("a", faint, INT8)], images).rows
        assert (row.boundary_drop, row.false_person_rise) == (1.0, 0.25)
        values = row.to_dict()
        assert (values["boundary_f_drop"], values["false_person_rise"]) == (1.0, 0.25)
        (without,) = compare(contender("checkpoint"), [contender("a", faint, INT8)], photos()).rows
        assert (without.boundary_drop, without.false_person_rise) == (None, None)

    def test_a_gain_is_no_drop(self, contender: Build, dataset_of: Any) -> None:
        half_blind = lambda p: np.where(np.arange(16)[:, None, None] < 1, np.float32(0), p)  # noqa: E731
        report = compare(
            contender("checkpoint", half_blind), [contender("better.tflite", target=INT8)], self.images(dataset_of)
        )
        (row,) = report.rows
        assert row.drop is not None
        assert row.drop.worst < 0
        assert not any("drops" in failure for failure in row.failures)

    @pytest.mark.parametrize(("allowed", "passed"), [(100.0, True), (99.0, False)])
    def test_a_drop_may_be_allowed_up_to_a_number_of_points(
        self, contender: Build, dataset_of: Any, allowed: float, passed: bool
    ) -> None:
        """The worst source counts, which has lost all of its IoU; the other numbers fail, too, and do not matter."""
        dimmer = lambda p: p * np.float32(0.8)  # noqa: E731
        images = self.images(dataset_of)
        candidate = contender("dim.tflite", dimmer, INT8, allowed)
        (plain,) = compare(contender("checkpoint"), [contender("dim.tflite", dimmer, INT8)], images).rows
        (row,) = compare(contender("checkpoint"), [candidate], images).rows
        assert row.passed is passed
        assert len(plain.failures) > 1
        if passed:
            assert row.override is not None
            assert (row.override.lost_points, row.override.failures) == (100.0, plain.failures)
        else:
            assert (row.override, row.failures) == (None, plain.failures)


class TestAllowedDropWithoutMasks:
    """What is lost is what the masks lack against the reference's."""

    @staticmethod
    def row(contender: Build, allowed: float, fault: Change) -> Any:
        return compare(contender("a"), [contender("b.tflite", fault, INT8, allowed)], photos()).rows[0]

    def test_the_reference_takes_the_place_of_the_truth(self, contender: Build) -> None:
        fewer = lambda p: np.where(np.arange(16)[:, None, None] < 2, np.float32(0), p)  # noqa: E731
        lost = 100 * (1 - self.row(contender, 0.0, fewer).agreement.reference_iou)
        assert 5 < lost < 20
        assert not self.row(contender, lost - 0.01, fewer).passed
        accepted = self.row(contender, lost + 0.01, fewer)
        assert accepted.passed
        assert accepted.override.lost_points == pytest.approx(lost)
        assert "reference's masks" in accepted.override.measured_by

    def test_it_never_makes_the_tolerance_stricter_and_is_no_record_where_nothing_failed(
        self, contender: Build
    ) -> None:
        row = self.row(contender, 0.0, lambda p: np.where(p == p.max(), np.float32(0), p))
        assert row.agreement.reference_iou < 1
        assert (row.passed, row.override) == (True, None)

    def test_values_that_are_not_finite_are_no_loss_to_allow(self, contender: Build) -> None:
        assert not self.row(contender, 100.0, lambda p: np.where(p > 0.7, np.float32(np.nan), p)).passed


class TestRefusals:
    def test_of_what_cannot_be_compared(self, contender: Build, session_of: Any) -> None:
        reference = contender("checkpoint")
        small = Contender("small", session_of(ramp, height=8, width=16), 0, INT8)
        cat = Contender("cat", session_of(ramp, height=16, width=16, classes=("cat",)), 0, INT8)
        with pytest.raises(ParityError, match="small takes 8x16 pixels and checkpoint 16x16"):
            compare(reference, [small], photos())
        with pytest.raises(ParityError, match="cat gives cat and checkpoint person"):
            compare(reference, [cat], photos())
        with pytest.raises(ParityError, match="stranger has no target"):
            compare(reference, [contender("stranger")], photos())
        with pytest.raises(ParityError, match="no images"):
            compare(reference, [contender("a", target=INT8)], NamedImages([]))
        with pytest.raises(ParityError, match="nothing to compare"):
            compare(reference, [], photos())

    def test_of_a_reference_that_is_broken_itself(self, contender: Build) -> None:
        broken = contender("checkpoint", lambda p: p * np.float32(np.inf))
        with pytest.raises(ParityError, match="the reference checkpoint itself"), np.errstate(invalid="ignore"):
            compare(broken, [contender("a", target=INT8)], photos())

    def test_of_outputs_of_another_size(self, contender: Build) -> None:
        with pytest.raises(ParityError, match=r"the reference gives \(16, 16, 1\) and the candidate \(8, 8, 1\)"):
            compare(contender("checkpoint"), [contender("a", lambda p: p[::2, ::2], INT8)], photos())


def test_pictures_are_taken_in_order_and_counted(contender: Build) -> None:
    told: list[tuple[int, int]] = []
    flip_darkest = lambda p: 1 - p if p.mean() < 0.4 else p  # noqa: E731
    images = NamedImages([(str(n), np.full((16, 16, 3), 255 - 40 * n, dtype=np.uint8)) for n in range(6)])
    report = compare(
        contender("checkpoint"),
        [contender("a", flip_darkest, INT8)],
        images,
        progress=lambda done, count: told.append((done, count)),
    )
    assert told == [(n, 6) for n in range(1, 7)]
    assert report.images == 6
    assert (report.rows[0].agreement.worst_image, report.rows[0].agreement.worst_index) == ("4", 4)


def test_a_checkpoint_agrees_with_itself_and_not_with_another(
    small_checkpoint: Path, small_spec: Any, small_network: Any, tmp_path: Path
) -> None:
    """The real thing: two checkpoints in PyTorch, of which the other has one weight in a thousand changed."""
    from edge_deeplab.checkpoint import load_checkpoint, save_checkpoint

    weights = dict(load_checkpoint(small_checkpoint).weights)
    name = max((name for name in weights if weights[name].ndim == 4), key=lambda name: weights[name].size)
    changed = weights[name].copy()
    changed.flat[::1000] = 0
    save_checkpoint(tmp_path / "other.safetensors", small_spec, weights | {name: changed})
    images = NamedImages(bundled_images()[:4])
    with (
        open_session(small_checkpoint, threads=1) as one,
        open_session(tmp_path / "other.safetensors", threads=1) as other,
    ):
        report = compare(
            Contender("reference", one, 1),
            [Contender("same", one, 1, FLOAT32), Contender("changed", other, 1, FLOAT32)],
            images,
        )
    assert [row.passed for row in report.rows] == [True, False]
    assert "PyTorch" in report.runtime


@pytest.mark.parametrize("workers", [1, 2, 5, 16])
def test_the_report_does_not_depend_on_how_many_pictures_are_on_their_way(contender: Build, workers: int) -> None:
    """Each session takes a while that depends on the picture, so that others overtake; the fixture's sessions refuse
    two threads at once.
    """

    def slow(p: NDArray[np.float32]) -> NDArray[np.float32]:
        time.sleep(float(p[0, 0, 0]) / 200)
        return np.where(p > p.mean(), p, np.float32(0))

    def report(workers: int) -> dict[str, Any]:
        candidates = [contender("a", slow, INT8), contender("b", lambda p: 1 - p, INT8), contender("c", slow, FLOAT16)]
        return compare(contender("checkpoint"), candidates, photos(12), workers=workers).to_dict()

    assert report(workers) == report(1)


def test_two_workers_give_the_numbers_of_one_bit_by_bit_with_real_runtimes() -> None:
    with (
        open_session(shipped_checkpoint(), threads=1) as pytorch,
        open_session(shipped_model(), threads=1) as litert,
    ):
        one, two = (
            compare(
                Contender("checkpoint", pytorch, 1),
                [Contender("shipped", litert, 1, INT8)],
                NamedImages(bundled_images()[:4]),
                workers=workers,
            ).to_dict()
            for workers in (1, 2)
        )
    assert one == two


def test_the_report_as_json_holds_numbers_tolerances_and_reasons(contender: Build, dataset_of: Any) -> None:
    report = compare(contender("checkpoint"), [contender("same.tflite", target=INT8)], TestTrueMasks.images(dataset_of))
    values = report.to_dict()
    (row,) = values["artifacts"]
    assert values["passed"] is True
    assert values["reference"]["accuracy"]["sources"]["hard"]["person_iou"] == 1.0
    assert row["target"] == "tflite-int8"
    assert row["tolerance"]["mask_agreement"]["bound"] == 0.99
    assert row["tolerance"]["max_error"]["bound"] is None
    assert row["iou_drop"] == {"total": 0.0, "worst_source": "easy", "worst": 0.0}
    assert json.loads(json.dumps(values)) == values
