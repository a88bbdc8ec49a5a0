"""Augmentations: nothing at strength 0, more at more strength, the same by the same seed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from texlens.data.pictures.augmentation import AUGMENTATIONS, MEDIA, Medium, augment, augment_as
from texlens.errors import InputError

Picture = NDArray[np.uint8]
RESIZE = ("rotation", "scale", "box", "equation_number", "neighbours", "tight_crop")
KEEP_SIZE = [name for name in AUGMENTATIONS if name not in RESIZE]


@pytest.fixture(scope="module")
def page() -> Picture:
    """Letters with margins, as smooth type is."""
    canvas = np.full((64, 240), 255, dtype=np.uint8)
    cv2.putText(canvas, "x+y=2", (20, 45), cv2.FONT_HERSHEY_SIMPLEX, 1.5, 0, 3, cv2.LINE_AA)
    return canvas


def rng(seed: int = 7) -> np.random.Generator:
    return np.random.default_rng(seed)


def distance(a: Picture, b: Picture) -> float:
    if b.ndim == 3:
        b = b.mean(axis=2)
    return float(np.abs(a.astype(float) - b).mean())


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_strength_zero_changes_nothing(page: Picture, name: str) -> None:
    assert augment(page, {name: 0.0}, rng()) is page


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_seed_decides(page: Picture, name: str) -> None:
    before = page.copy()
    first, again = augment(page, {name: 0.8}, rng(3)), augment(page, {name: 0.8}, rng(3))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, page)
    assert np.array_equal(page, before)  # the input is not touched
    others = [augment(page, {name: 0.8}, rng(seed)) for seed in range(4, 12)]
    assert any(o.shape != first.shape or not np.array_equal(o, first) for o in others)


@pytest.mark.parametrize("name", [name for name in KEEP_SIZE if name != "dark_background"])
def test_more_strength_is_further_away(page: Picture, name: str) -> None:
    def mean_distance(strength: float) -> float:
        runs = [augment(page, {name: strength}, rng(seed)) for seed in range(12)]
        return float(np.mean([distance(page, run) for run in runs]))

    assert 0 < mean_distance(0.1) < mean_distance(0.5) < mean_distance(1.0)


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (3, 2), (40, 60, 3)])
def test_any_shape_goes_through(name: str, shape: tuple[int, ...]) -> None:
    picture = rng().integers(0, 256, size=shape, dtype=np.uint8)
    result = augment(picture, {name: 1.0}, rng())
    assert result.dtype == np.uint8
    assert result.size > 0
    assert result.ndim in (2, 3)


def test_ink_weight_goes_both_ways(page: Picture) -> None:
    means = [float(augment(page, {"ink_weight": 1.0}, rng(seed)).mean()) for seed in range(20)]
    assert min(means) < page.mean() < max(means)


def test_dark_background_turns_light_and_dark(page: Picture) -> None:
    dark = augment(page, {"dark_background": 0.5}, rng())
    assert dark.shape == (*page.shape, 3)
    assert dark[0, 0].mean() < 80
    assert dark[page == 0].mean() > 150


def test_rotation_cuts_nothing_off(page: Picture) -> None:
    turned = augment(page, {"rotation": 1.0}, rng())
    assert turned.shape[0] > page.shape[0]
    ink = lambda picture: float((255.0 - picture).sum())  # noqa: E731
    assert ink(turned) == pytest.approx(ink(page), rel=0.03)


def test_geometry_fills_with_paper(page: Picture) -> None:
    cream = np.stack([page, page, (page * 0.8).astype(np.uint8)], axis=2)
    for name in ("rotation", "perspective"):
        result = augment(cream, {name: 1.0}, rng())
        assert tuple(result[0, 0]) == (255, 255, 204)


def test_a_tight_crop_loses_tips_and_no_bar(page: Picture) -> None:
    bars = page.copy()
    bars[10:12, 20:200] = 0  # a bar above
    bars[20:50, 8:10] = 0  # a bar on the left
    for seed in range(30):
        cut = augment(bars, {"tight_crop": 1.0}, rng(seed))
        assert (cut[0] == 0).sum() > 150
        assert (cut[:, 0] == 0).sum() == 30


def test_the_number_of_an_equation_is_far_from_its_ink(page: Picture) -> None:
    for seed in range(8):
        wide = augment(page, {"equation_number": 1.0}, rng(seed))
        blank = np.flatnonzero((wide > 200).all(axis=0))
        runs = np.split(blank, np.flatnonzero(np.diff(blank) > 1) + 1)
        assert max(map(len, runs)) > 60
        assert wide.shape[1] > page.shape[1] + 60


@pytest.mark.parametrize("medium", MEDIA)
@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_media_keep_ink_and_ground_apart(page: Picture, medium: Medium, strength: float) -> None:
    for seed in range(25):
        result = augment_as(page, medium, rng(seed), strength=strength)
        grey = result.mean(axis=2) if result.ndim == 3 else result
        smooth = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 1.5)
        assert np.ptp(smooth) > 50, f"seed {seed}: a blank"


def test_errors_are_one_sentence(page: Picture) -> None:
    with pytest.raises(InputError, match="no augmentation 'fog'"):
        augment(page, {"fog": 0.5}, rng())
    with pytest.raises(InputError, match="from 0 to 1"):
        augment(page, {"blur": 1.5}, rng())
    with pytest.raises(InputError, match="bytes"):
        augment(page.astype(np.float64), {"blur": 0.5}, rng())  # type: ignore[arg-type]
