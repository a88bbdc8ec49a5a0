"""The normal form never changes the picture: the same glyphs in the same places."""

from __future__ import annotations

import lzma
import random
from pathlib import Path

from formulas_strategy import formulas
from hypothesis import given, settings
from hypothesis import strategies as st

from texlens.latex import formula_of, katex_valid, normalize
from texlens.render.compare import same_picture

FORMULAS = (Path(__file__).parent / "formulas.txt").read_text("utf-8").splitlines()


def moved(latex: list[str]) -> list[str]:
    """The formulas whose picture the normal form changes."""
    pairs = [(formula_of(formula), normalize(formula)) for formula in latex]
    return [a for (a, _), same in zip(pairs, same_picture(pairs), strict=True) if same is False]


def test_real_formulas_keep_their_picture() -> None:
    assert all(katex_valid(FORMULAS))
    assert moved(FORMULAS) == []


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(formulas, min_size=8, max_size=8))
def test_generated_formulas_keep_their_picture(batch: list[str]) -> None:
    assert moved(batch) == []


def test_the_comparison_can_fail() -> None:
    pairs = [("a{=}b", "a=b"), ("x_1^2", "x_2^1"), (r"\text{a b}", r"\text{ab}"), (r"a\,b", "ab")]
    assert same_picture(pairs) == [False] * 4


def test_a_sample_of_the_stacks_project_keeps_its_picture(shared_data: Path) -> None:
    with lzma.open(shared_data / "stacks_formulas_val.tsv.xz", "rt", encoding="utf-8") as lines:
        latex = [line.rstrip("\n").split("\t")[2] for line in lines]
    sample = random.Random(0).sample(latex, 400)
    valid = [a for a, ok in zip(sample, katex_valid(sample), strict=True) if ok]
    assert len(valid) > 390
    assert moved(valid) == []
