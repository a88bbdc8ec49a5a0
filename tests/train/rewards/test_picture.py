"""The reward `picture`: right answers are worth more than wrong ones, and nothing ends a run."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import pytest
from PIL import Image

from texlens.render.pdflatex import tex_available
from texlens.render.tex import render_tex
from texlens.train.rewards import picture as picture_reward
from texlens.train.rewards.functions import REWARDS, score_completions
from texlens.train.rewards.matching import FEATURES, features
from texlens.train.rewards.picture import Matched, Model, score_pictures

needs_tex = pytest.mark.skipif(not tex_available(), reason="TeX is not installed")

FORMULA = r"\frac { a + b } { 2 } \leq \sum _ { i = 1 } ^ { n } x _ { i } ^ { 2 }"
WRONG = {
    "a sign": FORMULA.replace("+", "-"),
    "a letter": FORMULA.replace("x", "y"),
    "a script": FORMULA.replace("^ { 2 }", ""),
    "an order": FORMULA.replace(r"\leq", r"\geq"),
    "more": FORMULA + " + 1",
}


def drawn(formula: str, dpi: float = 100.0) -> Image.Image:
    found = render_tex([formula], dpi=dpi)[0]
    assert isinstance(found, np.ndarray)
    return Image.fromarray(found)


@needs_tex
@pytest.mark.parametrize("dpi", [100.0, 150.0])
def test_a_right_answer_is_worth_more_than_wrong_ones(dpi: float) -> None:
    picture = drawn(FORMULA, dpi)
    right, *wrong = score_pictures([(picture, answer) for answer in (FORMULA, *WRONG.values())])
    assert right.error is None
    assert right.value > 0.6
    for kind, one in zip(WRONG, wrong, strict=True):
        assert one.value < right.value - 0.05, kind


@needs_tex
def test_bad_inputs_are_worth_0_with_a_reason() -> None:
    picture = drawn("a + b")
    blank = Image.new("L", (60, 30), 255)
    pairs: list[tuple[Any, str]] = [
        (blank, "a + b"),
        (b"no picture", "a + b"),
        (None, "a + b"),
        (picture, r"\frac { a"),
        (picture, "x" * 2_001),
        (picture, r"\sqrt{" * 200 + "x" + "}" * 200),
        (picture, r"\hspace { 1 em }"),
        (picture, r"\rule { 900 em } { 900 em }"),
        (picture, "a + b"),
    ]
    found = score_pictures(pairs)
    assert [one.value > 0 for one in found] == [False] * 8 + [True]
    for one, reason in zip(
        found,
        ("has no ink", "cannot be opened", "cannot be opened", "does not parse", "too many to render",
         "too deep", "", ""),
        strict=False,
    ):  # fmt: skip
        assert one.error
        assert reason in one.error
    assert found[-1].error is None


def ends(pairs: Any) -> Any:
    import os

    if any(answer == "bad" for _, answer in pairs):
        os._exit(1)
    return [Matched(0.5) for _ in pairs]


def scorer_that_ends() -> Any:
    return ends


def test_an_answer_that_ends_its_process_is_worth_0_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_reward, "_scorer", scorer_that_ends)
    good, bad = score_pictures([(b"", "good"), (b"", "bad")])
    assert good.value == 0.5
    assert bad.value == 0
    assert bad.error is not None
    assert bad.error.startswith("fault")


def test_what_is_not_a_number_is_worth_0(monkeypatch: pytest.MonkeyPatch) -> None:
    def nan(pairs: Any) -> list[Matched]:
        return [Matched(math.nan) for _ in pairs]

    monkeypatch.setattr(picture_reward, "score_pictures", nan)
    scored = score_completions(["x"], ["x"], rewards=["picture", "exact"], pictures=[b""])[0]
    assert scored.rewards == {"picture": 0.0, "exact": 1.0}
    assert scored.error == "fault: picture is not a number"


def test_without_pictures_it_is_0() -> None:
    scored = score_completions(["x"], ["x"], rewards=["picture"])[0]
    assert scored.rewards == {"picture": 0.0}
    assert scored.error == "the picture is not known"


@needs_tex
def test_as_a_function_for_trl() -> None:
    picture = drawn("a + b")
    values = REWARDS["picture"](["a + b", "a"], ["", ""], image=[picture, picture])
    assert values[0] > values[1]


def test_features_of_what_cannot_be_matched() -> None:
    one = np.zeros((20, 20), np.float32)
    one[5:15, 5:15] = 1
    assert features(one, np.zeros_like(one), 28.0) is None, "nothing drawn"
    checkered = np.zeros((200, 200), np.float32)
    checkered[::4, ::4] = 1
    assert features(one, checkered, 28.0) is None, "2,500 pieces"
    assert features(one, np.ones((20, 7_000), np.float32), 28.0) is None, "too wide"
    found = features(one, one, 28.0)
    assert found is not None
    assert len(found) == len(FEATURES)
    assert all(map(math.isfinite, found))


def test_a_model_gives_probabilities() -> None:
    model = Model(np.zeros(2), np.ones(2), np.array([1.0, -1.0]), 0.0)
    assert model.probability([0, 0]) == 0.5
    assert model.probability([9, 0]) == pytest.approx(1 / (1 + math.exp(-9)))
    buffer = io.BytesIO()
    Image.new("L", (4, 4), 255).save(buffer, "PNG")
    shipped = picture_reward.shipped_model()
    assert len(shipped.weights) == len(FEATURES)
