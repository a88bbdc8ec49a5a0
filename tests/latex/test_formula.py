from __future__ import annotations

import pytest
from formulas_strategy import texts
from hypothesis import given

from texlens.export import convert
from texlens.latex import formula_of, katex_valid, normalize
from texlens.latex.formula import unwrap
from texlens.metrics.scoring import score


@pytest.mark.parametrize(
    ("answer", "formula"),
    [
        ("$x$", "x"),
        ("$$ x $$", "x"),
        (r"\(x\)", "x"),
        (r"\[ x \]", "x"),
        (r"$$\[x\]$$", "x"),
        ("```latex\n$$\nx\n$$\n```", "x"),
        ("```\nx^2\n```", "x^2"),
        (r"\begin{equation*} x \end{equation*}", "x"),
        (r"\begin{displaymath}x\end{displaymath}", "x"),
        (r"\begin{math}x\end{math}", "x"),
        (r"\begin{align} x = 1 \\ \end{align}", "x = 1"),
        (r"\begin{gather*}x\end{gather*}", "x"),
        (r"$\text{a $x$}$", r"\text{a $x$}"),
        # Environments of a display of several lines or columns become what may stand in a formula.
        (r"\begin{align} x &= 1 \end{align}", r"\begin{aligned} x &= 1 \end{aligned}"),
        (r"\begin{gather}x\\y\end{gather}", r"\begin{gathered}x\\y\end{gathered}"),
        (r"\begin{multline}x\\y\end{multline}", r"\begin{gathered}x\\y\end{gathered}"),
        (r"\begin{eqnarray*}x&=&y\end{eqnarray*}", r"\begin{array}{rcl}x&=&y\end{array}"),
        (r"\begin{alignat}{1}x&=y\end{alignat}", r"\begin{alignedat}{1}x&=y\end{alignedat}"),
        (r"\begin{align}x&=1\tag{2}\end{align}", r"\begin{align}x&=1\tag{2}\end{align}"),
        # Several formulas become one.
        ("$a$ + $b$", "a + b"),
        ("$$a$$\n\n$$b$$", "a b"),
        (r"\[a\]+\[b\]", r"a + b"),
        (r"\[a\] \(b\\[2pt]c\)", r"a b\\[2pt]c"),
        (r"$a$ $=b \text{ if $c$}$", r"a =b \text{ if $c$}"),
        (
            r"\begin{align}a&=b\end{align} \begin{equation*}c\end{equation*}",
            r"\begin{aligned}a&=b\end{aligned}  c",
        ),
        # Comments and blank lines go.
        ("$$ a % c\n b $$", "a b"),
        ("\\alpha%\nb", r"\alpha b"),
        (r"50\% \$", r"50\% \$"),
        # Delimiters without a partner stay.
        (r"$x\$", r"$x\$"),
        ("$a + b", "$a + b"),
        (r"\[a$", r"\[a$"),
        ("$", "$"),
        ("$$", ""),
        ("", ""),
    ],
)
def test_the_formula_of_an_answer(answer: str, formula: str) -> None:
    assert formula_of(answer) == formula


@pytest.mark.parametrize(
    "answer", ["$a$ + $b$", r"\[a\] + \[b\]", "```latex\n$a + b$\n```", "$a + % here\n\nb$"]
)
def test_everything_takes_the_same_formula_from_an_answer(answer: str) -> None:
    assert katex_valid([answer]) == [True]
    assert normalize(answer) == "a + b"
    assert convert(answer, "typst") == convert("a + b", "typst")
    assert convert(answer, "inline").split() == ["$a", "+", "b$"]
    scores = score([("a+b", answer)], metrics=["layout", "katex_valid", "exprate"])
    assert [scores[key].value for key in ("layout", "katex_valid", "exprate")] == [1, 1, 1]


def test_a_control_space_at_the_end_keeps_its_space() -> None:
    assert formula_of("$a\\ $") == "a\\ "
    assert formula_of(" a\\\\ ") == "a\\\\"


@given(texts)
def test_nothing_more_comes_off_a_formula(text: str) -> None:
    for taken_off in (formula_of, unwrap):
        once = taken_off(text)
        assert taken_off(once) == once
