"""The checks of single items: what counts as ink, what as the same picture, what is verified."""

from __future__ import annotations

import io

import layouts
import numpy as np
import pytest
from PIL import Image

from texlens.data import clean
from texlens.data.clean import Limits, clean_chunk, hash_ink, ink_mask, to_grey
from texlens.data.items import CleanItem, Drop, RawItem


def item(latex: str, image: bytes | None = None) -> RawItem:
    picture = layouts.picture(1) if image is None else image
    return RawItem("a", picture, latex, "printed", "ours")


def encode(picture: Image.Image, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form)
    return buffer.getvalue()


def outcome(raw: RawItem, **limits: object) -> CleanItem | Drop:
    (one,) = clean_chunk([raw], Limits(**limits))  # type: ignore[arg-type]
    return one


def test_pale_ink_on_grey_paper_is_ink_and_noise_is_not() -> None:
    rng = np.random.default_rng(0)
    paper = np.clip(rng.normal(150, 3, (60, 200)), 0, 255).astype(np.uint8)
    assert outcome(item("x", encode(Image.fromarray(paper)))) == Drop("a", "picture", "is blank")
    paper[20:24, 30:160] = 100
    mask = ink_mask(paper)
    assert mask[20:24, 30:160].all()
    assert mask.sum() == 4 * 130
    assert isinstance(outcome(item("x", encode(Image.fromarray(paper)))), CleanItem)


def test_one_picture_with_another_margin_or_depth_has_one_hash() -> None:
    grey = np.full((40, 90), 255, np.uint8)
    grey[10:30, 20:22] = 0
    grey[18:20, 10:60] = 120
    wide = np.pad(grey, ((0, 9), (5, 30)), constant_values=255)
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    rgba = Image.merge("RGBA", [Image.new("L", (90, 40), 0)] * 3 + [Image.fromarray(255 - grey)])
    greys = [grey, wide, to_grey(deep), to_grey(rgba)]
    assert len({hash_ink(one, ink_mask(one)) for one in greys}) == 1
    other = grey.copy()
    other[19, 59] = 0
    assert hash_ink(other, ink_mask(other)) != hash_ink(grey, ink_mask(grey))


@pytest.mark.parametrize(
    ("verify", "latex", "verified"),
    [
        ("changed", "x ^ { 2 }", False),
        ("changed", r"\frac12", True),
        ("all", "x ^ { 2 }", True),
        ("none", r"\frac12", False),
    ],
)
def test_what_is_verified(verify: str, latex: str, verified: bool) -> None:
    one = outcome(item(latex), verify=verify)
    assert isinstance(one, CleanItem)
    assert one.verified is verified


def test_a_normal_form_that_renders_differently_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("texlens.data.clean.normalize", lambda latex: "y")
    assert outcome(item("x")) == Drop("a", "verify", "its normal form draws another picture")


def test_the_header_alone_says_that_a_picture_is_too_large() -> None:
    large = encode(Image.new("1", (9000, 9000)))
    one = outcome(item("x", large))
    assert one == Drop("a", "picture", "is too large (9000 x 9000)")


@pytest.mark.parametrize(
    ("size", "words"), [((10_000, 10_000), "10000 x 10000"), ((20_000, 10_000), "more than")]
)
def test_a_huge_picture_is_dropped_by_its_header_and_without_a_warning(
    size: tuple[int, int], words: str, recwarn: pytest.WarningsRecorder
) -> None:
    """Of 100 million pixels Pillow warns, of 200 million it refuses to read the header."""
    one = outcome(item("x", encode(Image.new("1", size, 1))))
    assert isinstance(one, Drop)
    assert one.reason.startswith("is too large (")
    assert words in one.reason
    assert not recwarn.list


@pytest.mark.parametrize("ink", [0, 255])
def test_a_transparent_picture_becomes_dark_on_white(ink: int) -> None:
    one = outcome(item("x", layouts.transparent(3, ink)))
    assert isinstance(one, CleanItem)
    with Image.open(io.BytesIO(one.image)) as picture:
        assert not picture.has_transparency_data
        grey = np.asarray(picture.convert("L"))
    assert grey[0, 0] == 255
    assert grey.min() < 60


def test_an_opaque_picture_keeps_its_bytes() -> None:
    for picture in (
        layouts.picture(1),
        encode(Image.open(io.BytesIO(layouts.picture(1))).convert("RGBA")),
    ):
        one = outcome(item("x", picture))
        assert isinstance(one, CleanItem)
        assert one.image == picture


def test_an_item_on_which_a_check_fails_is_a_fault_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = clean.normalize

    def failing(text: str) -> str:
        if text == "guilty":
            raise IndexError("of ours")
        return honest(text)

    monkeypatch.setattr(clean, "normalize", failing)
    outcomes = clean_chunk([item("x"), item("guilty"), item(r"\frac{")], Limits())
    assert isinstance(outcomes[0], CleanItem)
    assert outcomes[1] == Drop("a", "fault", "IndexError: of ours")
    assert outcomes[2] == Drop("a", "valid", "does not parse (KaTeX)")
