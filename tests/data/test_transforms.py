"""Augmentation: the mask goes where the image goes, nothing leaves its range, and a seed decides all of it."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edge_deeplab.data.sample import IGNORE, MaskKind, Sample
from edge_deeplab.data.torch_dataset import EvaluationDataset, TrainingDataset
from edge_deeplab.data.transforms import (
    UNKNOWN,
    Augmentation,
    EvaluationTransform,
    TrainingTransform,
    random_view,
    recolour,
    replace_background,
)
from edge_deeplab.errors import SpecError
from edge_deeplab.image import resize_area

OFF = Augmentation(
    scale=(1.0, 1.0),
    aspect=(1.0, 1.0),
    rotation=0.0,
    flip=0.0,
    brightness=(1.0, 1.0),
    contrast=(1.0, 1.0),
    saturation=(1.0, 1.0),
    tint=(1.0, 1.0),
    grey=0.0,
    blur=0.0,
    noise=0.0,
)
GEOMETRY = dataclasses.replace(OFF, scale=(0.6, 2.0), aspect=(0.7, 1.4), rotation=40.0, turn=0.5, flip=0.5)
TURNED = dataclasses.replace(GEOMETRY, turn=0.5)


@pytest.fixture
def sample(photo: NDArray[np.uint8], coverage: NDArray[np.uint8]) -> Sample:
    return Sample("portrait", "bundled", photo, coverage)


def test_shapes_types_and_ranges(sample: Sample) -> None:
    torch.manual_seed(0)
    for _ in range(20):
        image, target = TrainingTransform(64, 96, MaskKind.COVERAGE)(sample)
        assert (image.shape, image.dtype) == ((3, 64, 96), torch.float32)
        assert (target.shape, target.dtype) == ((1, 64, 96), torch.float32)
        for values in (image, target):
            assert 0.0 <= float(values.min()) <= float(values.max()) <= 1.0
    labelled = dataclasses.replace(sample, mask=np.where(sample.mask > 127, 7, 0).astype(np.uint8))
    labelled.mask[:9] = IGNORE
    image, target = TrainingTransform(64, 96, MaskKind.CLASSES)(labelled)
    assert (target.shape, target.dtype) == ((64, 96), torch.int64)
    assert set(target.unique().tolist()) <= {0, 7, IGNORE}


@pytest.mark.parametrize(("height", "width"), [(152, 114), (64, 48), (300, 201)])
def test_without_augmentation_it_is_the_deployed_resize(sample: Sample, height: int, width: int) -> None:
    image, target = TrainingTransform(height, width, MaskKind.COVERAGE, OFF)(sample)
    expected, expected_target = EvaluationTransform(height, width, MaskKind.COVERAGE)(sample)
    # Area average against torchvision's triangle filter where it shrinks; the same bilinear where it grows.
    assert float((image - expected).abs().mean()) < 0.02
    assert float((target - expected_target).abs().mean()) < 0.01
    if height >= 152:
        assert float((image - expected).abs().max()) < 0.02


def test_evaluation_is_the_one_resize(sample: Sample) -> None:
    image, target = EvaluationTransform(64, 48, MaskKind.COVERAGE)(sample)
    resized, mask = resize_area(sample.image, 64, 48), resize_area(sample.mask, 64, 48)
    np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), resized / np.float32(255))
    np.testing.assert_array_equal(target[0].numpy(), mask / np.float32(255))
    labelled = dataclasses.replace(sample, mask=np.where(sample.mask > 127, 7, IGNORE).astype(np.uint8))
    _, indices = EvaluationTransform(64, 48, MaskKind.CLASSES)(labelled)
    assert (indices.shape, indices.dtype) == ((64, 48), torch.int64)
    assert set(indices.unique().tolist()) == {7, IGNORE}


def test_mask_moves_with_the_image(sample: Sample) -> None:
    """A photo that is its own mask stays its own mask, however it is turned, zoomed and mirrored."""
    own = Sample("own", "", np.repeat(sample.mask[:, :, None], 3, axis=2), sample.mask)
    torch.manual_seed(1)
    moved = 0
    for _ in range(30):
        image, target = TrainingTransform(80, 64, MaskKind.COVERAGE, GEOMETRY)(own)
        torch.testing.assert_close(image[:1], target, atol=1e-6, rtol=0)
        still = EvaluationTransform(80, 64, MaskKind.COVERAGE)(own)[1]
        moved += float((target - still).abs().mean()) > 0.02
    assert moved > 25


@pytest.mark.parametrize("kind", MaskKind)
def test_a_photo_stands_on_each_of_its_sides(sample: Sample, kind: MaskKind) -> None:
    """Turned before the stretch: what comes out is the whole turned photo, with its mask."""
    if kind is MaskKind.CLASSES:
        sample = dataclasses.replace(sample, mask=np.where(sample.mask > 127, 7, 0).astype(np.uint8))
    still, turning = (TrainingTransform(80, 64, kind, dataclasses.replace(OFF, turn=share)) for share in (0.0, 0.4))
    sides = []
    for quarters in range(4):
        image, mask = (np.ascontiguousarray(np.rot90(plane, quarters)) for plane in (sample.image, sample.mask))
        sides.append(still(Sample("turned", "", image, mask)))
    assert all(float((a[0] - b[0]).abs().mean()) > 0.05 for a, b in itertools.combinations(sides, 2))
    seen = [0, 0, 0, 0]
    torch.manual_seed(0)
    for _ in range(200):
        image, target = turning(sample)
        (side,) = (place for place, (turned, _) in enumerate(sides) if torch.equal(image, turned))
        assert torch.equal(target, sides[side][1])
        seen[side] += 1
    assert 100 < seen[0] < 140  # 120 expected, with a deviation of 7
    assert min(seen[1:]) > 12  # 27 expected of each, with a deviation of 5


def test_class_mask_moves_with_the_image(sample: Sample) -> None:
    hard = np.where(sample.mask > 127, 255, 0).astype(np.uint8)
    own = Sample("own", "", np.repeat(hard[:, :, None], 3, axis=2), (hard // 255 * 3).astype(np.uint8))
    torch.manual_seed(1)
    for _ in range(20):
        image, target = TrainingTransform(80, 64, MaskKind.CLASSES, GEOMETRY)(own)
        agree = (image[0] > 0.5) == (target == 3)
        assert float(agree.float().mean()) > 0.99  # they may differ on the edge, where nearest rounds


def test_coverage_stays_soft(sample: Sample) -> None:
    torch.manual_seed(0)
    target = TrainingTransform(300, 300, MaskKind.COVERAGE, GEOMETRY)(sample)[1]
    soft = ((target > 0.02) & (target < 0.98)).float().mean()
    assert float(soft) > 0.005


def test_geometry_makes_no_new_edges(sample: Sample) -> None:
    """A photo of one colour with a mask of one value stays so: no border is filled with anything else."""
    flat = Sample("flat", "", np.full_like(sample.image, 200), np.full_like(sample.mask, 255))
    torch.manual_seed(0)
    for _ in range(20):
        image, target = TrainingTransform(64, 64, MaskKind.COVERAGE, GEOMETRY)(flat)
        torch.testing.assert_close(image, torch.full_like(image, 200 / 255), atol=1e-5, rtol=0)
        torch.testing.assert_close(target, torch.ones_like(target), atol=1e-5, rtol=0)


def test_rotation_keeps_right_angles_in_the_photo() -> None:
    """The camera is turned before the stretch: two arrows at 90 degrees in the photo's pixels stay at 90 degrees."""
    augmentation = dataclasses.replace(OFF, rotation=40.0)
    torch.manual_seed(3)
    for _ in range(10):
        view = random_view((100, 300), augmentation)[:, :2] * torch.tensor([[150.0], [50.0]])
        across, down = view[:, 0], view[:, 1]
        assert abs(float(across @ down)) < 1e-2
        assert float(across.norm()) == pytest.approx(150.0, rel=1e-5)
        assert float(down.norm()) == pytest.approx(50.0, rel=1e-5)


def test_zoomed_window_stays_within_the_photo() -> None:
    torch.manual_seed(0)
    views = torch.stack(
        [random_view((100, 80), dataclasses.replace(OFF, scale=(1.0, 3.0), flip=0.5)) for _ in range(200)]
    )
    half = views[:, [0, 1], [0, 1]].abs()
    assert float((views[:, :, 2].abs() + half).max()) <= 1 + 1e-6
    assert 0.3 < float((views[:, 0, 0] < 0).float().mean()) < 0.7  # mirrored
    assert float(half.min()) < 0.4


def test_shrinking_does_not_alias() -> None:
    """A fine grid at 5:1 is grey also in training; point sampling would make black and white stripes."""
    grid = np.zeros((320, 320, 3), np.uint8)
    grid[:, ::2] = 255
    torch.manual_seed(0)
    transform = TrainingTransform(64, 64, MaskKind.COVERAGE, dataclasses.replace(OFF, rotation=15.0))
    image, _ = transform(Sample("grid", "", grid, grid[:, :, 0]))
    assert float((image - 0.5).abs().max()) < 0.15


@pytest.mark.parametrize(
    "setting",
    [
        {"brightness": (1.3, 1.4)},
        {"contrast": (0.5, 0.6)},
        {"saturation": (0.3, 0.4)},
        {"tint": (0.7, 1.3)},
        {"grey": 1.0},
        {"blur": 1.0, "blur_sigma": (1.0, 2.0)},
        {"noise": 1.0, "noise_sigma": (0.05, 0.05)},
    ],
)
def test_each_recolouring_does_something_and_stays_in_range(sample: Sample, setting: dict[str, object]) -> None:
    image = torch.from_numpy(sample.image).permute(2, 0, 1).float() / 255
    torch.testing.assert_close(recolour(image, OFF), image)
    torch.manual_seed(0)
    changed = recolour(image, dataclasses.replace(OFF, **setting))  # type: ignore[arg-type]
    assert changed.shape == image.shape
    assert 0.0 <= float(changed.min()) <= float(changed.max()) <= 1.0
    assert float((changed - image).abs().mean()) > 0.005
    if "grey" in setting:
        torch.testing.assert_close(changed[0], changed[2])


def test_a_seed_decides_everything(sample: Sample) -> None:
    transform = TrainingTransform(
        64, 64, MaskKind.COVERAGE, Augmentation(blur=0.5, noise=0.5, grey=0.3, background=0.5)
    )
    dataset = TrainingDataset(_Listed([sample] * 3), transform)
    runs = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        runs.append(torch.stack([dataset[index % 3][0] for index in range(8)]))
    torch.testing.assert_close(runs[0], runs[1], atol=0, rtol=0)
    assert not torch.equal(runs[0], runs[2])
    assert not torch.equal(runs[0][0], runs[0][3])


class _Listed:
    """Samples from memory."""

    classes = ("person",)
    mask_kind = MaskKind.COVERAGE

    def __init__(self, samples: list[Sample]) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]


def test_workers_differ_and_repeat_with_the_seed(sample: Sample) -> None:
    dataset = TrainingDataset(_Listed([sample] * 4), TrainingTransform(32, 32, MaskKind.COVERAGE))
    runs = []
    for seed in (5, 5):
        torch.manual_seed(seed)
        loader = torch.utils.data.DataLoader(dataset, batch_size=2, num_workers=2, multiprocessing_context="fork")
        runs.append(torch.cat([images for images, _ in loader]))
    torch.testing.assert_close(runs[0], runs[1], atol=0, rtol=0)
    assert len({image.numpy().tobytes() for image in runs[0]}) == 4  # the workers do not draw the same numbers


def test_background_is_replaced_and_the_person_kept(sample: Sample) -> None:
    other = Sample("field", "", np.full((40, 70, 3), (10, 200, 30), np.uint8), np.zeros((40, 70), np.uint8))
    mixed = replace_background(sample, other)
    np.testing.assert_array_equal(mixed.mask, sample.mask)
    np.testing.assert_array_equal(mixed.image[sample.mask == 255], sample.image[sample.mask == 255])
    assert (mixed.image[sample.mask == 0] == (10, 200, 30)).all()
    half = dataclasses.replace(sample, mask=np.full_like(sample.mask, 128))
    expected = (sample.image * (128 / 255) + np.array([10, 200, 30]) * (127 / 255)).round()
    np.testing.assert_allclose(replace_background(half, other).image, expected, atol=1)


def test_people_in_the_new_background_stay_people(sample: Sample) -> None:
    crowd = dataclasses.replace(sample, mask=np.full_like(sample.mask, 255))
    assert (replace_background(sample, crowd).mask == 255).all()
    half = dataclasses.replace(sample, mask=np.full_like(sample.mask, 128))
    np.testing.assert_allclose(replace_background(half, half).mask, 255 * (1 - (127 / 255) ** 2), atol=1)


def test_backgrounds_come_from_where_they_are_asked_for(sample: Sample) -> None:
    green = Sample("green", "", np.full_like(sample.image, 0), np.zeros_like(sample.mask))
    transform = TrainingTransform(152, 114, MaskKind.COVERAGE, dataclasses.replace(OFF, background=1.0))
    image, target = TrainingDataset(_Listed([sample]), transform, _Listed([green]))[0]
    assert float(image[:, target[0] == 0].max()) < 1e-6
    assert float(image[:, target[0] == 1].mean()) > 0.1


def test_photo_without_a_person_keeps_its_background(sample: Sample) -> None:
    """Nothing of it would be left but the other photo."""
    negative = dataclasses.replace(sample, mask=np.zeros_like(sample.mask))
    transform = TrainingTransform(152, 114, MaskKind.COVERAGE, dataclasses.replace(OFF, background=1.0))
    black = Sample("black", "", np.zeros_like(sample.image), np.zeros_like(sample.mask))
    image, _ = TrainingDataset(_Listed([negative]), transform, _Listed([black]))[0]
    assert float(image.mean()) > 0.1


def test_evaluation_dataset_repeats_itself(sample: Sample) -> None:
    dataset = EvaluationDataset(_Listed([sample]), EvaluationTransform(32, 32, MaskKind.COVERAGE))
    assert len(dataset) == 1
    assert torch.equal(dataset[0][0], dataset[0][0])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"scale": (2.0, 1.0)}, r"scale is 2\.0\.\.1\.0"),
        ({"blur_sigma": (0.0, 1.0)}, r"blur_sigma is 0\.0"),
        ({"flip": 1.5}, r"flip is 1\.5: a probability"),
        ({"rotation": -3.0}, r"rotation is -3\.0"),
    ],
)
def test_impossible_settings_are_refused(setting: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Augmentation(**setting)  # type: ignore[arg-type]


@pytest.fixture
def doubted(sample: Sample) -> Sample:
    """The photo with doubts about the lower third of its mask."""
    rows = np.arange(len(sample.mask))[:, None]
    return dataclasses.replace(sample, ignored=np.broadcast_to(rows >= len(rows) * 2 // 3, sample.mask.shape))


def test_unchanged_size_ignores_exactly_what_is_doubted(doubted: Sample) -> None:
    assert doubted.ignored is not None
    expected = np.where(doubted.ignored, UNKNOWN, doubted.mask / np.float32(255))
    evaluated = EvaluationTransform(152, 114, MaskKind.COVERAGE)(doubted)[1][0]
    trained = TrainingTransform(152, 114, MaskKind.COVERAGE, OFF)(doubted)[1][0]
    np.testing.assert_array_equal(evaluated.numpy(), expected)
    np.testing.assert_allclose(trained.numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("size", [(41, 57), (80, 64), (300, 200)])
def test_whatever_is_touched_by_a_doubt_is_ignored(doubted: Sample, size: tuple[int, int]) -> None:
    """A photo that is white where it is doubted: what is not black of it counts for nothing, wherever it went."""
    assert doubted.ignored is not None
    white = np.repeat(doubted.ignored[:, :, None] * np.uint8(255), 3, axis=2)
    own = dataclasses.replace(doubted, image=white)
    torch.manual_seed(1)
    seen = 0
    for _ in range(20):
        image, target = TrainingTransform(*size, MaskKind.COVERAGE, TURNED)(own)
        touched = image[:1] > 0.01
        assert (target[touched] == UNKNOWN).all()
        assert (target[image[:1] == 0] >= 0).all()
        seen += bool(touched.any()) and not bool(touched.all())
    assert seen > 15
    image, target = EvaluationTransform(*size, MaskKind.COVERAGE)(own)
    assert torch.equal(target == UNKNOWN, image[:1] > 0)


def test_no_doubt_changes_nothing(doubted: Sample) -> None:
    """Not by a bit: a plane of doubts that is empty, and none at all."""
    empty = dataclasses.replace(doubted, ignored=np.zeros_like(doubted.ignored))
    none = dataclasses.replace(doubted, ignored=None)
    for transform in (
        TrainingTransform(80, 64, MaskKind.COVERAGE, TURNED),
        EvaluationTransform(80, 64, MaskKind.COVERAGE),
    ):
        results = []
        for one in (empty, none):
            torch.manual_seed(4)
            results.append(transform(one))
        assert torch.equal(results[0][0], results[1][0])
        assert torch.equal(results[0][1], results[1][1])


def test_what_is_doubted_keeps_its_own_background(doubted: Sample) -> None:
    """A label without shoulders must not cut them off: they come along, and count for nothing there either."""
    green = Sample("field", "", np.full((40, 70, 3), (10, 200, 30), np.uint8), np.zeros((40, 70), np.uint8))
    assert doubted.ignored is not None
    mixed = replace_background(doubted, green)
    np.testing.assert_array_equal(mixed.image[doubted.ignored], doubted.image[doubted.ignored])
    assert (mixed.image[(doubted.mask == 0) & ~doubted.ignored] == (10, 200, 30)).all()
    assert mixed.ignored is not None
    np.testing.assert_array_equal(mixed.ignored, doubted.ignored)


def test_what_is_doubted_in_the_new_background_is_ignored_where_it_is_seen(doubted: Sample) -> None:
    known = dataclasses.replace(doubted, ignored=None)
    behind = dataclasses.replace(
        doubted,
        image=resize_area(doubted.image, 90, 70),
        mask=np.zeros((90, 70), np.uint8),
        ignored=np.ones((90, 70), np.bool_),
    )
    mixed = replace_background(known, behind)
    assert mixed.ignored is not None
    np.testing.assert_array_equal(mixed.ignored, doubted.mask < 255)
    assert replace_background(known, known).ignored is None
