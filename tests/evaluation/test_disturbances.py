"""Every test of what all disturbances share runs over the list itself: a new one is tested as soon as it is listed."""

from __future__ import annotations

import dataclasses
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_deeplab.data.bundled import bundled_portrait
from edge_deeplab.data.sample import Sample
from edge_deeplab.errors import DatasetError
from edge_deeplab.evaluation.disturbances import (
    DISTURBANCES,
    Disturbance,
    DisturbedDataset,
    blur,
    far_crop,
    jpeg,
    low_light,
    noise,
    quarter_turn,
    tight_crop,
)

Array = NDArray[np.uint8]

every = pytest.mark.parametrize("disturbance", DISTURBANCES, ids=lambda disturbance: disturbance.name)


def random() -> np.random.Generator:
    return np.random.default_rng(3)


def person(height: int, width: int) -> tuple[Array, Array]:
    """Two flat colours: red where the mask is, green elsewhere; the person is a disc that the lower border cuts."""
    mask = np.zeros((height, width), np.uint8)
    cv2.circle(mask, (width // 3, 2 * height // 3), max(1, min(height, width) // 3), (255,), cv2.FILLED)
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0], image[..., 1] = mask, 255 - mask
    return image, mask


def sample(id: str, height: int = 61, width: int = 47) -> Sample:
    image, mask = person(height, width)
    return Sample(id, "made", image // 2 + 60, mask)


@every
class TestEveryDisturbance:
    def test_the_same_id_gives_the_same_bytes(self, disturbance: Disturbance) -> None:
        one, other = disturbance(sample("a")), disturbance(sample("a"))
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.mask, other.mask)
        assert (one.id, one.source) == ("a", "made")

    def test_the_input_is_left_alone(self, disturbance: Disturbance) -> None:
        given, kept = sample("a"), sample("a")
        disturbance(given)
        np.testing.assert_array_equal(given.image, kept.image)
        np.testing.assert_array_equal(given.mask, kept.mask)

    @pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (2, 3), (31, 17), (120, 201)], ids=str)
    @pytest.mark.parametrize("cover", ["nobody", "some", "all"])
    def test_every_size_gives_a_photo_with_its_mask(
        self, disturbance: Disturbance, size: tuple[int, int], cover: str
    ) -> None:
        image, mask = person(*size)
        mask = {"nobody": np.zeros_like(mask), "some": mask, "all": np.full_like(mask, 255)}[cover]
        result = disturbance(Sample("b", "made", image, mask))
        assert result.image.dtype == result.mask.dtype == np.uint8
        assert result.image.shape == (*result.mask.shape, 3)
        assert result.mask.size > 0
        # Nobody is lost, and nobody comes.
        assert (result.mask >= 128).any() == (mask >= 128).any()

    def test_the_mask_moves_with_the_image(self, disturbance: Disturbance) -> None:
        # Red is the person, whatever happens: but for JPEG and blur at the outline, the mask is where red beats green.
        for id in ("a", "b", "c", "d"):  # both turns, several places
            image, mask = person(150, 111)
            result = disturbance(Sample(id, "made", image, mask))
            red = result.image[..., 0].astype(int) > result.image[..., 1]
            inside = result.mask >= 128
            outline = cv2.dilate(inside.astype(np.uint8), np.ones((3, 3))) != cv2.erode(
                inside.astype(np.uint8), np.ones((3, 3))
            )
            assert np.array_equal(red[~outline], inside[~outline])
            assert inside.any()
            assert not inside.all()


def test_chance_depends_on_the_id_and_the_disturbance() -> None:
    grey = np.full((40, 30, 3), 128, np.uint8)
    mask = np.zeros((40, 30), np.uint8)
    first = Disturbance("first", "", noise)
    one, other = (first(Sample(id, "", grey, mask)).image for id in ("a", "b"))
    renamed = dataclasses.replace(first, name="second")(Sample("a", "", grey, mask)).image
    assert (one != other).mean() > 0.5
    assert (one != renamed).mean() > 0.5


class TestStrength:
    """On the bundled portrait; the mask plays no part but in the crops."""

    mask = np.zeros((512, 512), np.uint8)

    def error(self, image: Array) -> float:
        return float(np.sqrt(np.mean((image.astype(float) - bundled_portrait()) ** 2)))

    def test_noise_has_its_deviation(self) -> None:
        grey = np.full((200, 200, 3), 128, np.uint8)
        for deviation in (5.0, 25.0):
            noisy, _ = noise(grey, self.mask[:200, :200], random(), deviation=deviation)
            assert noisy.std() == pytest.approx(deviation, rel=0.02)
            assert noisy.mean() == pytest.approx(128, abs=0.5)

    def test_low_light_is_dark_by_what_it_says_and_noisier_the_less_light_there_is(self) -> None:
        grey = np.full((200, 200, 3), 186, np.uint8)  # half the linear light
        more, less = (
            low_light(grey, self.mask[:200, :200], random(), light=light, brightened=0.25 / light)[0]
            for light in (1 / 4, 1 / 16)
        )
        for dark in (more, less):
            assert (dark / 255.0).mean() ** 2.2 == pytest.approx(0.25 / 2, rel=0.02)
        # Of n electrons (half of the light's 5000) and the readout: sqrt(n + 16), brightened to the same.
        expected = 4 * np.sqrt(2500 / 16 + 16) / np.sqrt(2500 / 4 + 16)
        assert less.std() / more.std() == pytest.approx(expected, rel=0.03)

    def test_blur_is_the_same_for_a_photo_of_twice_the_size(self) -> None:
        def width_of_the_edge(side: int) -> int:
            image = np.zeros((side, side, 3), np.uint8)
            image[:, side // 2 :] = 255
            row = blur(image, np.zeros((side, side), np.uint8), random())[0][side // 2, :, 0]
            return int(((row > 25) & (row < 230)).sum())

        assert width_of_the_edge(800) == pytest.approx(2 * width_of_the_edge(400), abs=2)
        photo = bundled_portrait()
        errors = [self.error(blur(photo, self.mask, random(), sigma=sigma)[0]) for sigma in (0.002, 0.01, 0.03)]
        assert errors == sorted(errors)

    def test_jpeg_keeps_the_colours_and_loses_by_quality(self) -> None:
        photo = bundled_portrait()
        errors = [self.error(jpeg(photo, self.mask, random(), quality=quality)[0]) for quality in (95, 20, 3)]
        assert errors == sorted(errors)
        assert errors[0] < 3 < errors[1] < errors[2]

    def test_a_quarter_turn_can_be_turned_back(self) -> None:
        photo, (_, mask) = bundled_portrait()[:300], person(300, 512)
        turned = [quarter_turn(photo, mask, np.random.default_rng(seed)) for seed in range(8)]
        ways = set()
        for image, its_mask in turned:
            way = next(way for way in (1, 3) if np.array_equal(np.rot90(image, way), photo))
            np.testing.assert_array_equal(np.rot90(its_mask, way), mask)
            ways.add(way)
        assert ways == {1, 3}

    def test_a_tight_crop_cuts_the_person_on_all_sides(self) -> None:
        mask = np.zeros((100, 80), np.uint8)
        mask[20:60, 30:70] = 255
        image = np.arange(100 * 80 * 3, dtype=np.uint32).astype(np.uint8).reshape(100, 80, 3)
        cropped, its_mask = tight_crop(image, mask, random(), kept=0.5)
        assert its_mask.shape == pytest.approx((20, 20), abs=1)
        assert its_mask.all()
        rows, columns = its_mask.shape
        top, left = next(
            (y, x)
            for y in range(20, 60)
            for x in range(30, 70)
            if np.array_equal(image[y : y + rows, x : x + columns], cropped)
        )
        assert (top, left) == pytest.approx((30, 40), abs=1)

    def test_a_tight_crop_between_two_persons_has_one_of_them(self) -> None:
        mask = np.zeros((20, 100), np.uint8)
        mask[:, :8] = mask[:, 90:] = 255
        _, cropped = tight_crop(np.zeros((20, 100, 3), np.uint8), mask, random(), kept=0.3)
        assert cropped.any()

    def test_a_far_person_is_small_and_stands_before_a_background_without_a_person(self) -> None:
        image, mask = person(300, 240)
        for scale in (0.5, 0.25):
            far, its_mask = far_crop(image, mask, random(), scale=scale)
            assert its_mask.mean() == pytest.approx(mask.mean() * scale**2, rel=0.05)
            assert far.shape == image.shape
            behind = far[its_mask == 0]
            # Beside the person's place a trace of red may come through where the whole window was person.
            assert np.median(behind[:, 0]) <= 1
            assert np.median(behind[:, 1]) >= 254


class TestDataset:
    def test_it_is_the_data_set_with_every_sample_disturbed(self, dataset_of: Any) -> None:
        samples = [sample("a"), sample("b", 20, 30)]
        for disturbance in DISTURBANCES:
            disturbed = DisturbedDataset(dataset_of(samples), disturbance)
            assert len(disturbed) == 2
            assert disturbed.classes == ("person",)
            for index, original in enumerate(samples):
                np.testing.assert_array_equal(disturbed[index].image, disturbance(original).image)
                np.testing.assert_array_equal(disturbed[index].mask, disturbance(original).mask)

    def test_class_indices_are_refused(self, dataset_of: Any) -> None:
        with pytest.raises(DatasetError, match="one class"):
            DisturbedDataset(dataset_of([sample("a")], ("background", "cat", "person")), DISTURBANCES[0])

    def test_doubts_that_would_have_to_move_with_the_photo_are_refused(self, dataset_of: Any) -> None:
        doubted = dataclasses.replace(sample("a"), ignored=np.ones((61, 47), np.bool_))
        with pytest.raises(DatasetError, match="a has doubts about its mask"):
            DisturbedDataset(dataset_of([doubted]), DISTURBANCES[0])[0]
