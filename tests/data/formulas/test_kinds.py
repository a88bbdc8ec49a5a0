"""Formulas of one kind: valid, as varied as they should be, the same by the same seed."""

from __future__ import annotations

from random import Random

import pytest

from texlens.data.formulas.chemistry import vary_chemistry
from texlens.data.formulas.kinds import MADE_KINDS
from texlens.data.formulas.recombine import vary
from texlens.engine import get_engine
from texlens.latex import normalize


@pytest.mark.parametrize("name", MADE_KINDS)
def test_formulas_are_valid_varied_and_seeded(name: str) -> None:
    made = [MADE_KINDS[name](Random(seed)) for seed in range(60)]
    assert made == [MADE_KINDS[name](Random(seed)) for seed in range(60)]
    assert len(set(made)) > 25
    failures = get_engine().parse(made)
    assert [text for text, failure in zip(made, failures, strict=True) if failure] == []


@pytest.mark.parametrize(
    ("name", "least"),
    [("long", 80), ("aligned", 15), ("matrix", 10)],
)
def test_long_kinds_are_long(name: str, least: int) -> None:
    lengths = [len(normalize(MADE_KINDS[name](Random(seed))).split()) for seed in range(20)]
    assert sorted(lengths)[10] > least
    assert max(lengths) < 420


def test_chemistry_is_varied_as_it_is_written() -> None:
    formula = r"\ce{*OH + CH3CD2CD2CH3 -> Products}"
    varied = {vary(formula, Random(seed)) for seed in range(30)}
    assert len(varied) > 15
    for text in varied:
        assert text.startswith(r"\ce{*")
        assert text.endswith("-> Products}")
        assert len(text) - len(formula) < 8


@pytest.mark.parametrize("seed", range(20))
def test_an_element_has_one_name_in_a_formula(seed: int) -> None:
    left, right = vary_chemistry(r"\ce{NaH + NaH}", Random(seed))[4:-1].split(" + ")
    assert left == right
