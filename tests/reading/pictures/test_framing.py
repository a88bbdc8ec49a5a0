"""Bringing pictures to what the model saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from texlens.data.pictures.augmentation import augment
from texlens.reading.pictures.framing import Frame, Grey, NoInk, clean_ink, frame_picture
from texlens.reading.pictures.opening import open_picture
from texlens.reading.pictures.type_size import type_size

FRAME = Frame(pixels_per_em=20.0)


def text(
    words: str = "a + bx = 2c", *, em: int = 20, margin: int = 12, ground: int = 255, ink: int = 0
) -> Image.Image:
    """Words in Pillow's own font."""
    font = ImageFont.load_default(size=em)
    left, top, right, bottom = font.getbbox(words)
    size = (int(right - left) + 2 * margin, int(bottom - top) + 2 * margin)
    image = Image.new("L", size, ground)
    ImageDraw.Draw(image).text((margin - left, margin - top), words, font=font, fill=ink)
    return image.convert("RGB")


def grey(image: Image.Image) -> Grey:
    return np.asarray(image.convert("L"), dtype=np.float32)


def similarity(one: Image.Image, other: Image.Image) -> float:
    """Correlation of two pictures of one size."""
    assert one.size == other.size
    return float(np.corrcoef(grey(one).ravel(), grey(other).ravel())[0, 1])


def test_a_clean_picture_keeps_its_pixels() -> None:
    picture = text()
    assert np.array_equal(clean_ink(picture), grey(picture))
    framed = frame_picture(picture, FRAME)
    ink = picture.convert("L").point(lambda value: 255 - value).getbbox()
    assert ink is not None
    width, height = ink[2] - ink[0], ink[3] - ink[1]
    here = framed.crop((5, 5, 5 + width, 5 + height))
    assert np.array_equal(grey(here), grey(picture.crop(ink)))


def test_sides_are_whole_visual_tokens_with_a_margin() -> None:
    framed = frame_picture(text(), FRAME)
    assert framed.width % 16 == framed.height % 16 == 0
    edge = grey(framed)
    assert edge[:5].min() == edge[-5:].min() == edge[:, :5].min() == edge[:, -5:].min() == 255


@pytest.mark.parametrize("margin", [0, 3, 200])
def test_margins_do_not_matter(margin: int) -> None:
    assert (
        similarity(frame_picture(text(margin=margin), FRAME), frame_picture(text(), FRAME)) > 0.999
    )


@pytest.mark.parametrize("em", [12, 16, 24, 60, 160])
def test_the_type_size_is_found(em: int) -> None:
    estimate = type_size(grey(text(em=em)))
    assert estimate is not None
    assert em / 1.35 < estimate < em * 1.35


@pytest.mark.parametrize("em", [60, 200])
def test_large_type_is_brought_to_the_models_size(em: int) -> None:
    small, large = frame_picture(text(em=20), FRAME), frame_picture(text(em=em), FRAME)
    assert 0.75 < large.width / small.width < 1.35


def test_a_dark_ground_is_turned_light() -> None:
    dark = text(ground=20, ink=230)
    assert similarity(frame_picture(dark, FRAME), frame_picture(text(), FRAME)) > 0.99


def test_colours_of_equal_brightness_are_told_apart() -> None:
    mask = text().convert("L")
    green, red = (
        Image.new("RGB", mask.size, (0, 150, 0)),
        Image.new("RGB", mask.size, (255, 17, 17)),
    )
    picture = Image.composite(green, red, mask)
    assert similarity(frame_picture(picture, FRAME), frame_picture(text(), FRAME)) > 0.98


def test_a_shadow_is_divided_out() -> None:
    picture = grey(text(em=20, margin=20))
    shadow = np.linspace(0.35, 1.0, picture.shape[1], dtype=np.float32)
    noise = np.random.default_rng(0).normal(0, 4, picture.shape)
    photo = Image.fromarray((picture * shadow * 0.85 + noise).clip(0, 255).astype(np.uint8))
    framed = frame_picture(photo.convert("RGB"), FRAME)
    clean = frame_picture(text(em=20, margin=20), FRAME)
    assert similarity(framed, clean) > 0.95
    assert np.median(grey(framed)) == 255


PHOTOGRAPHS = {
    "noise": {"noise": 0.5},
    "specks, pale": {"background": 0.6, "noise": 0.6},
    "shadow": {"shadow": 0.9},
    "noise in a shadow": {"shadow": 0.6, "noise": 0.4},
    "dark ground": {"dark_background": 0.7, "shadow": 0.5, "noise": 0.4},
    "poor photograph": {"background": 0.5, "shadow": 0.6, "blur": 0.2, "noise": 0.4, "jpeg": 0.3},
}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("look", PHOTOGRAPHS)
def test_a_legible_photograph_keeps_its_ink_and_its_type_size(look: str, seed: int) -> None:
    picture = text("f(x) = 2b + 3x", em=26, margin=16)
    photo = augment(np.asarray(picture), PHOTOGRAPHS[look], np.random.default_rng(seed))
    ink, clean = clean_ink(Image.fromarray(photo)), grey(picture)
    size, expected = type_size(ink), type_size(clean)
    assert size is not None
    assert expected is not None
    assert size == pytest.approx(expected, rel=0.15)
    assert np.mean(ink[clean < 40] < 128) > 0.9
    assert np.mean(ink[clean == 255] > 128) > 0.97


def test_a_steep_shadow_is_no_ink() -> None:
    picture = grey(text("abc = def + ghk", em=30, margin=30))
    height, width = picture.shape
    down, across = np.mgrid[:height, :width]
    lit = 1.0 / (1.0 + np.exp((across / width + down / height - 0.6) * 20.0))
    photo = Image.fromarray((picture * (0.4 + 0.6 * lit)).astype(np.uint8)).convert("RGB")
    ink = clean_ink(photo)
    assert np.corrcoef(ink.ravel(), picture.ravel())[0, 1] > 0.95


def test_specks_do_not_widen_the_picture() -> None:
    picture = text(em=48, margin=60)
    speckled = picture.copy()
    for place in ((3, 3), (picture.width - 4, 5), (9, picture.height - 6)):
        speckled.putpixel(place, (0, 0, 0))
    assert similarity(frame_picture(speckled, FRAME), frame_picture(picture, FRAME)) > 0.999


def test_a_dot_of_the_formula_is_no_speck() -> None:
    with_dot, without = (frame_picture(text(words), FRAME) for words in ("abc.", "abc"))
    assert with_dot.size != without.size or not np.array_equal(grey(with_dot), grey(without))


@pytest.mark.parametrize(
    "blank",
    [
        Image.new("RGB", (300, 200), "white"),
        Image.new("RGB", (300, 200), "black"),
        Image.new("RGB", (1, 1), "white"),
        Image.new("RGB", (1, 1), "black"),
        Image.new("RGB", (40_000, 3), "white"),
        Image.effect_noise((300, 200), 6).convert("RGB"),
        Image.linear_gradient("L").convert("RGB"),
    ],
)
def test_blank_pages_hold_no_ink(blank: Image.Image) -> None:
    with pytest.raises(NoInk):
        frame_picture(blank, FRAME)


def test_a_strip_too_thin_to_hold_a_formula() -> None:
    strip = Image.new("RGB", (40_000, 3), "white")
    ImageDraw.Draw(strip).line((0, 1, 40_000, 1), fill="black")
    with pytest.raises(NoInk):
        frame_picture(strip, FRAME)


def test_the_area_is_bounded() -> None:
    frame = Frame(pixels_per_em=20.0, max_pixels=20_000)
    framed = frame_picture(text("a + b = c " * 20), frame)
    assert framed.width * framed.height <= 20_000


def test_blurred_large_photos_are_framed_in_bounded_work() -> None:
    photo = text(em=400, margin=300).filter(ImageFilter.GaussianBlur(6)).resize((4000, 3000))
    framed = frame_picture(photo, FRAME)
    assert framed.width * framed.height < 100_000


def test_the_type_of_real_pictures_is_measured(shared_data: Path) -> None:
    """im2latex pictures have one type size, 13.84 pixels an em, in all of their formulas."""
    import pyarrow.parquet as pq

    table = pq.read_table(shared_data / "im2latex_train.parquet", columns=["image"])
    sizes = [
        type_size(clean_ink(open_picture(row["bytes"])))
        for row in table["image"].slice(6500, 200).to_pylist()
    ]
    errors = np.array([np.log(size / 13.84) for size in sizes if size is not None])
    assert len(errors) >= 198
    assert np.std(errors) < np.log(1.1)
    assert np.mean(np.abs(errors) > np.log(1.25)) < 0.04
