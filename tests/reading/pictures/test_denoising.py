"""Noise is measured and averaged away, and what is clean stays as it is."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from texlens.reading.pictures.denoising import Grey, noise_level, without_noise


def words(em: int = 24, line: str = "a + bx = 2c") -> Grey:
    """Dark grey words on light grey, in Pillow's own font."""
    font = ImageFont.load_default(size=em)
    _, _, right, bottom = font.getbbox(line)
    picture = Image.new("L", (int(right) + 40, int(bottom) + 40), 210)
    ImageDraw.Draw(picture).text((20, 20), line, font=font, fill=50)
    return np.asarray(picture, dtype=np.float32)


@pytest.mark.parametrize("noise", [5.0, 12.0, 25.0])
def test_the_noise_of_a_picture_with_words_is_measured(noise: float) -> None:
    grain = np.random.default_rng(1).normal(0.0, noise, words().shape)
    assert noise_level(words() + grain.astype(np.float32)) == pytest.approx(noise, rel=0.15)


def test_a_slope_of_the_light_is_no_noise() -> None:
    slope = np.linspace(0.0, 200.0, 100, dtype=np.float32)
    assert noise_level(np.broadcast_to(slope, (60, 100))) < 0.1


@pytest.mark.parametrize("line", ["a + bx = 2c", "WMWMWMWMWM", "." * 30])
def test_a_clean_picture_stays_as_it_is(line: str) -> None:
    clean = words(line=line)
    assert np.array_equal(without_noise(clean), clean)


@pytest.mark.parametrize("noise", [12.0, 25.0])
def test_noise_goes_and_strokes_stay(noise: float) -> None:
    clean = words()
    grain = np.random.default_rng(2).normal(0.0, noise, clean.shape).astype(np.float32)
    better = without_noise(clean + grain)
    flat, inked = clean > 205, clean < 55
    assert np.std(better[flat]) < noise / 3
    assert np.mean(better[inked]) < 75
    assert np.sqrt(np.mean((better - clean) ** 2)) < noise / 2


def test_single_black_and_white_pixels_go_with_the_noise() -> None:
    clean = words()
    random = np.random.default_rng(3)
    noisy = clean + random.normal(0.0, 8.0, clean.shape).astype(np.float32)
    level = random.random(clean.shape)
    noisy[level < 0.005] = 0.0
    noisy[level > 0.995] = 255.0
    better = without_noise(noisy)
    far = clean > 205
    assert np.mean(np.abs(better - clean)[far] > 40) < np.mean(np.abs(noisy - clean)[far] > 40) / 5


def test_a_large_noisy_picture_is_halved_first() -> None:
    grain = np.random.default_rng(4).normal(0.0, 20.0, (1200, 1400))
    large = np.full((1200, 1400), 200.0, dtype=np.float32) + grain.astype(np.float32)
    assert without_noise(large).shape == (600, 700)
