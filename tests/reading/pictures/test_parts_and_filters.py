"""Parts, blurring and closing have scipy's results to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from texlens.reading.pictures.filters import gaussian_blur, grey_closing
from texlens.reading.pictures.parts import connected_parts

TOUCHING = np.ones((3, 3), dtype=bool)


@pytest.mark.parametrize("seed", range(50))
def test_parts_are_those_of_scipy(seed: int) -> None:
    random = np.random.default_rng(seed)
    shape = tuple(random.integers(1, 60, 2).tolist())
    smooth = ndimage.gaussian_filter(random.random(shape), random.choice([0.001, 0.7, 1.5]))
    ink = smooth < np.quantile(smooth, random.random())
    labels, count = ndimage.label(ink, structure=TOUCHING)
    parts = connected_parts(ink)
    assert parts.count == count
    assert parts.areas().tolist() == np.bincount(labels.ravel(), minlength=count + 1)[1:].tolist()
    most = int(random.integers(1, 30))
    boxes = ndimage.find_objects(labels, max_label=min(count, most)) if count else []
    heights, widths = parts.sizes(most)
    assert heights.tolist() == [rows.stop - rows.start for rows, _ in boxes]
    assert widths.tolist() == [columns.stop - columns.start for _, columns in boxes]
    chosen = random.random(count) < 0.5
    assert np.array_equal(parts.mask(chosen, ink.shape), np.r_[False, chosen][labels])


def test_one_part_may_wind_through_the_whole_picture() -> None:
    comb = np.zeros((101, 401), dtype=bool)
    comb[:, ::4] = True  # teeth that only the last row joins
    comb[-1] = True
    snake = np.zeros((101, 401), dtype=bool)
    snake[::2] = True
    snake[1::4, -1] = snake[3::4, 0] = True
    for ink in (comb, snake):
        assert [side.tolist() for side in connected_parts(ink).sizes(5)] == [[101], [401]]


@pytest.mark.parametrize("seed", range(50))
def test_blurring_and_closing_are_those_of_scipy(seed: int) -> None:
    random = np.random.default_rng(seed)
    grey = (random.random(random.integers(1, 60, 2)) * 255).astype(np.float32)
    sigma, window = random.uniform(0.3, 9), int(random.integers(1, 20))
    assert np.array_equal(gaussian_blur(grey, sigma), ndimage.gaussian_filter(grey, sigma))
    assert np.array_equal(gaussian_blur(grey[0], sigma), ndimage.gaussian_filter1d(grey[0], sigma))
    closed = ndimage.grey_closing(grey, size=(window, window), mode="nearest")
    assert np.array_equal(grey_closing(grey, window), closed)


def test_a_picture_of_several_blocks_is_blurred_whole() -> None:
    grey = (np.random.default_rng(0).random((700, 900)) * 255).astype(np.float32)
    assert np.array_equal(gaussian_blur(grey, 3.0), ndimage.gaussian_filter(grey, 3.0))
