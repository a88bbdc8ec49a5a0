"""`cdm` by both engines: the official score, with its faults of judgement but not its bugs."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from texlens.metrics.base import Drawings, Pair
from texlens.metrics.cache import DrawingStore
from texlens.metrics.cdm import mathjax_boxes as cdm_mathjax
from texlens.metrics.cdm.metric import Cdm
from texlens.metrics.cdm.tokens import Painted, paint


@pytest.fixture(scope="module")
def drawings() -> Drawings:
    return DrawingStore(on_disk=False)


def cdm(gt: str, pred: str, drawings: Drawings, engine: str = "mathjax") -> float | None:
    (item,) = Cdm(engine=engine).score_items([Pair.of(gt, pred)], drawings)  # type: ignore[arg-type]
    return item.values["cdm"]


# By the official code, its faults of judgement included.
PUBLISHED = [
    (r"x^2", r"x_2", 1.0),
    (r"\bigcup A", r"\bigcap A", 1.0),
    (r"\phi(x) = 1", r"\varphi(x) = 1", 1.0),
    (r"A^\top", "A^T", 1.0),
    (r"a \cdots b", r"a \ldots b", 1.0),
    (r"x \le y", r"x \leq y", 1.0),
    (r"\frac{a}{b} + c", r"{a \over b} + c", 1.0),
    (r"A _ { c v } ^ { n , K }", "A_{cv}^{n,k}", 0.833),
    (r"{ \tilde { D } } _ { 9 }", r"\hat{D}_{q}", 0.333),
    (r"y < x", r"y \lt x", 0.8),
    (r"E = m c ^ 2", r"E = m \bar{c} ^ 2", 0.909),
]


@pytest.mark.parametrize(("gt", "pred", "f1"), PUBLISHED)
def test_official_scores_by_mathjax(gt: str, pred: str, f1: float, drawings: Drawings) -> None:
    assert cdm(gt, pred, drawings) == f1


@pytest.mark.slow
def test_official_scores_by_tex(pdflatex: str, drawings: Drawings) -> None:
    pytest.importorskip("pypdfium2")
    items = Cdm(engine="tex").score_items(
        [Pair.of(gt, pred) for gt, pred, _ in PUBLISHED], drawings
    )
    assert [item.values["cdm"] for item in items] == [f1 for *_, f1 in PUBLISHED]


DRAWABLE = [
    "x",
    r"\left( \begin{array}{cc} a & b \\ c & \frac{d}{e} \end{array} \right)",
    r"\sum_{i=1}^{\infty} \int_0^1 \lim_{x \to 0} \overline{a} \underbrace{b}_{c}",
    r"\hat{x} \widetilde{ab} \acute{e} \sqrt[3]{y} \binom{n}{k} \not= \ldots",
    r"\begin{gathered} a \\ b \end{gathered}",
    r"\unknown{x} \mathit{y} {\bf z} \operatorname*{max}_i \bm{v}",
    r"$$ \text{if } x \in A $$",
    " + ".join(f"a_{{{n}}}" for n in range(150)),
]


@pytest.mark.parametrize("latex", DRAWABLE)
def test_a_formula_matches_itself(latex: str, drawings: Drawings) -> None:
    assert cdm(latex, latex, drawings) == 1


def test_a_long_formula_counts_every_token(drawings: Drawings) -> None:
    gt = " + ".join(f"a_{{{n}}}" for n in range(100, 250))
    assert cdm(gt, gt.replace("a_{249}", "b_{249}"), drawings) == round(748 / 749, 3)


@pytest.mark.parametrize(
    "pred",
    ["", "   ", "{", r"\frac{", "\x00", r"\mathrm{", "{" * 3000, "a" * 30_000, r"\phantom{x}"],
)
def test_what_cannot_be_drawn_scores_0(pred: str, drawings: Drawings) -> None:
    (item,) = Cdm().score_items([Pair.of("x + y", pred)], drawings)
    assert item.values == {"cdm": 0.0, "exprate_cdm": 0.0}
    assert item.warnings == ("cdm: the prediction cannot be drawn",)


def test_a_reference_that_cannot_be_drawn_does_not_count(drawings: Drawings) -> None:
    (item,) = Cdm().score_items([Pair.of(r"\frac{", "x")], drawings)
    assert item.values == {"cdm": None, "exprate_cdm": None}
    assert item.warnings == ("cdm: the reference cannot be drawn",)


def test_a_command_cut_off_before_its_argument_draws_nothing(drawings: Drawings) -> None:
    assert cdm("x", r"x \operatorname*", drawings) == 1


def test_a_broken_prediction_scores_what_tex_would_draw_of_it(drawings: Drawings) -> None:
    assert cdm("a + b", r"a + b \undefined", drawings) == 1
    assert cdm(r"a + b = c", r"\left( a + b = c", drawings) == 0.909


def test_a_colour_of_the_prediction_itself_belongs_to_no_token(drawings: Drawings) -> None:
    assert cdm(r"a \wedge b", r"a \color{red}\wedge b", drawings) > 0.5
    assert cdm(r"a \wedge b", r"a \color{blue}\wedge b", drawings) > 0.5


def test_exprate_is_1_where_cdm_is_1(drawings: Drawings) -> None:
    pairs = [Pair.of("a + b", "a + b"), Pair.of("a + b", "a - b")]
    first, second = Cdm().score_items(pairs, drawings)
    assert first.values == {"cdm": 1.0, "exprate_cdm": 1.0}
    assert second.values == {"cdm": 0.667, "exprate_cdm": 0.0}


def test_a_pair_scores_the_same_in_any_company(drawings: Drawings) -> None:
    pairs = [Pair.of(gt, pred) for gt in DRAWABLE for pred in DRAWABLE[:3]]
    alone = [Cdm().score_items([pair], drawings)[0].values for pair in pairs]
    order = list(range(len(pairs)))
    random.Random(0).shuffle(order)
    together = Cdm().score_items([pairs[i] for i in order], drawings)
    assert [alone[i] for i in order] == [item.values for item in together]
    assert all(0 <= value <= 1 for values in alone for value in values.values())  # type: ignore[operator]


def test_every_token_has_its_own_colour_and_place(drawings: Drawings) -> None:
    painted = paint(r"\left( \frac{a}{b} \right) + c^{2}")
    assert isinstance(painted, Painted)
    (inked,) = cdm_mathjax.draw([painted], drawings)
    assert inked is not None
    assert (
        inked.tokens == painted.tokens == ("\\left(", "\\frac", "a", "b", "\\right)", "+", "c", "2")
    )
    box = dict(zip(inked.tokens, inked.boxes, strict=True))
    assert box["\\left("][2] < box["a"][0] < box["a"][2] < box["\\right)"][0]
    assert box["a"][3] <= box["\\frac"][3] <= box["b"][3]
    assert box["2"][3] < box["c"][3]
    assert inked.boxes.min() == 7  # the crop leaves 8 pixels, the box is widened by 1


def test_explain_shows_which_ink_matches(drawings: Drawings) -> None:
    found = Cdm().explain(Pair.of("a + b", "a + c"), drawings)
    assert found is not None
    assert [box.char for box in found.reference.boxes] == ["a", "+", "b"]
    assert found.reference.matched == (True, True, False)
    assert found.prediction.matched == (True, True, False)
    assert found.partners == ((0, 0), (1, 1))
    assert Cdm().explain(Pair.of("a", r"\frac{"), drawings) is None


def test_the_signature_names_the_engine() -> None:
    signature = Cdm().signature("cdm")
    assert signature.startswith("cdm|revision:1|tokens:unimernet-5a2c80d|")
    assert "mathjax:" in signature
    by_tex = Cdm(engine="tex").signature("cdm")
    assert "|engine:pdftex:" in by_tex
    assert ",pdfium:" in by_tex
    assert ",dpi:200|" in by_tex


@pytest.fixture
def official(shared_data: Path) -> list[dict[str, float]]:
    text = (shared_data / "cdm_official_pairs.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_parity_with_the_official_scores(
    official: list[dict[str, float]], drawings: Drawings
) -> None:
    rows = official[::7]
    items = Cdm().score_items([Pair.of(str(r["gt"]), str(r["pred"])) for r in rows], drawings)
    differences = [
        abs((item.values["cdm"] or 0) - row["official_f1"])
        for item, row in zip(items, rows, strict=True)
    ]
    assert len(differences) == 80
    assert sum(differences) / len(differences) <= 0.015
    assert sum(difference <= 0.05 for difference in differences) >= 0.95 * len(differences)


def test_chemistry_is_compared_by_its_glyphs(drawings: Drawings) -> None:
    reference = r"\ce{SO4^2- + Ba^2+ -> BaSO4 v}"
    alike = (r"\ce{SO_4^{2-} + Ba^{2+} -> BaSO4 (v)}", r"\ce{SO4^2- +} \ce{Ba^2+ -> BaSO4 v}")
    other = (r"\ce{SO4^2- + Ba^2+ -> BaSO3 v}", r"\ce{SO4 2- + Ba 2+ -> BaSO4}", r"\ce{SO4", "S")
    pairs = [Pair.of(reference, text) for text in (*alike, *other)]
    values = [item.values["cdm"] for item in Cdm().score_items(pairs, drawings)]
    assert values[0] == values[1] == 1
    assert values[2] == pytest.approx(16 / 17, abs=0.001)
    assert all(value is not None and value < 1 for value in values[3:])
    assert values[4] == 0
    water = Pair.of(r"\mathrm{H_{2}O}", r"\ce{H2O}")
    assert Cdm().score_items([water], drawings)[0].values["cdm"] == 1
    explained = Cdm().explain(pairs[2], drawings)
    assert explained is not None
    assert explained.reference.matched.count(False) == 1
    assert "chemistry:" in Cdm().signature("cdm")
