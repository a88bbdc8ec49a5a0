from __future__ import annotations

import time
from pathlib import Path

import pytest
from formulas_strategy import formulas, texts
from hypothesis import example, given

from texlens.latex import braces_balanced, normalize

FORMULAS = (Path(__file__).parent / "formulas.txt").read_text("utf-8").splitlines()


@pytest.mark.parametrize(
    ("latex", "normal"),
    [
        # spaces, arguments, scripts, primes
        (r"\frac12", r"\frac { 1 } { 2 }"),
        ("x^2_1", "x _ { 1 } ^ { 2 }"),
        (r"x_\mathrm{out}", r"x _ { \mathrm { o u t } }"),
        ("f''_1", r"f _ { 1 } ^ { \prime \prime }"),
        ("f'^2", r"f ^ { \prime 2 }"),
        ("^2x", "{ } ^ { 2 } x"),
        (r"x\sb1\sp2", "x _ { 1 } ^ { 2 }"),
        (r"a\ b~c", "a ~ b ~ c"),
        (r"x = 1 \, ~", "x = 1"),
        (r"\sum_a\nolimits^b", r"\sum _ a \nolimits ^ b"),
        # braces
        ("{a}{{b}}", "a b"),
        ("{a=}", "a ="),
        ("x^{{+}}", "x ^ { { + } }"),
        (r"\begin{array}{c}{a\hfill}\end{array}", r"\begin{array} { c } { a \hfill } \end{array}"),
        (r"\mathop{\mathrm{lim}}\nolimits\limits_x", r"\mathop { \mathrm { l i m } } \nolimits \limits _ { x }"),
        ("a{=}b", "a { = } b"),
        ("x^{{a+b}}", "x ^ { a + b }"),
        (r"{\frac{1}{2}}x", r"\frac { 1 } { 2 } x"),
        (r"\overset{a}{{=}}", r"\overset { a } { { = } }"),
        ("{}^1", "{ } ^ { 1 }"),
        (r"\left({a}\right)", r"\left( a \right)"),
        # synonyms
        (r"a\ne b\le c\to d", r"a \neq b \leq c \rightarrow d"),
        (r"\lbrace\vert\rbrack", r"\{ | ]"),
        (r"\left\lvert x\right>", r"\left| x \right\rangle"),
        ("α≤β", r"\alpha \leq \beta"),
        (r"\mathbf{α}", r"\mathbf { α }"),
        (r"p\;\Longrightarrow\;q", r"p \implies q"),
        (r"a \not= b", r"a \neq b"),
        # operators, fonts, infix commands
        (r"\operatorname{s i n}x", r"\sin x"),
        (r"\operatorname*{lim}_x", r"\lim _ { x }"),
        (r"\mathop{\mathrm{Hom}}\nolimits+A", r"\operatorname { H o m } + A"),
        (r"\mathop{\rm colim}A", r"\mathrm { c o l i m } \, A"),
        (r"\mathop{\mathrm{x}}", r"\mathop { \mathrm { x } }"),
        (r"{\rm d}x {\cal L}^{\bf 2}", r"\mathrm { d } x \mathcal { L } ^ { \mathbf { 2 } }"),
        (r"x \rm y", r"x \rm y"),
        (r"{a \over b}", r"\frac { a } { b }"),
        (r"{\bf a \over b}", r"\mathbf { \frac { a } { b } }"),
        (r"{a \bf b \over c}", r"{ a \bf b \over c }"),
        (r"{n\choose k}", r"\binom { n } { k }"),
        (r"x^{a \atop b}", r"x ^ { a \atop b }"),
        (r"{a \atop b}", r"{ a \atop b }"),
        (r"\begin{align}a&=b\\\end{align}", "a = b"),
        (r"x\begin{aligned}a\\\end{aligned}", r"x \begin{aligned} a \\ \end{aligned}"),
        # environments
        (r"\begin{array}{c}{a=}\\{b}\\\end{array}", r"\begin{array} { c } a = \\ b \end{array}"),
        (r"\begin{matrix}a\cr b\end{matrix}", r"\begin{matrix} a \\ b \end{matrix}"),
        (r"\begin{split}a&=b\\&=c\end{split}", r"\begin{aligned} a & = b \\ & = c \end{aligned}"),
        (r"\begin{align}a_1&=b\end{align}", "a _ { 1 } = b"),
        (r"\begin{align}a&=b\\c&=d\nonumber\end{align}", r"\begin{aligned} a & = b \\ c & = d \end{aligned}"),
        (r"\begin{eqnarray}a&=&b\\c&=&d\end{eqnarray}", r"\begin{eqnarray*} a & = & b \\ c & = & d \end{eqnarray*}"),
        (r"\begin{aligned}{=a}&{=b}\end{aligned}", r"\begin{aligned} { = a } & { = b } \end{aligned}"),
        (r"\begin{foo}a_1\end{foo}", r"\begin{foo} a _ 1 \end{foo}"),
        (r"{\begin{split}a\\\end{split}}", r"\begin{aligned} a \end{aligned}"),
        # text and arguments that are no formulas
        (r"\text{if $x_1$  ok}", r"\text {if $x _ { 1 }$ ok}"),
        (r"\hspace{1 cm}x\label{eq:1}", r"\hspace {1cm} x"),
        (r"{\color{red} x}_1", r"{ \color {red} x } _ { 1 }"),
        (r"\unknown{a}{_b}x^1", r"\unknown { a } { _ b } x ^ { 1 }"),
        # upright words
        *(
            (f"x = {word}y", r"x = ~ \mathrm { f o r ~ a l l } ~ y")
            for word in (
                r"\text{ for all }", r"\mbox{ for all }", r"\hbox{ for\ all }", r"\textrm{ for~all }",
                r"\mathrm{~for~all~}", r"~\textnormal{for all}\ ", r"{\rm ~for~all~}",
            )
        ),
        (r"{\text{ a b }}c{\rm ~de}^2", r"~ \mathrm { a ~ b } ~ c { ~ \mathrm { d e } } ^ { 2 }"),
        (r"{a \over b \operatorname{Hom} c}", r"\frac { a } { b \, \mathrm { H o m } \, c }"),
        (r"\text{a, b }c", r"\text {a, b} ~ c"),
        (r"\frac{1}{x_{\mbox{a b}}}", r"\frac { 1 } { x _ { \mbox {a b} } }"),
        (r"\text{R}^2 \bar{\textrm{x}}", r"\text {R} ^ { 2 } \bar { \text {x} }"),
        (r"\textbf{ab} \textbf{a b}", r"\mathbf { a b } \textbf {a b}"),
        (r"\text{ }a\text{}", r"\text { } a \text {}"),
        (r"\boldsymbol{\text{ab}}", r"\boldsymbol { \text {ab} }"),
        # operators
        (r"x_{\text{max}}=\mathrm{sin}(x)", r"x _ { \max } = \sin ( x )"),
        (r"a\,\mathrm{sin}\,x", r"a \sin x"),
        (r"a\mathrm{sin}x-\mathrm{sin}x", r"a \mathrm { s i n } x - \mathrm { s i n } x"),
        (r"=\mathrm{max}_x(a)", r"= \mathrm { m a x } _ { x } ( a )"),
        (r"=\operatorname{Tr}(A)-B\operatorname{Tr}A", r"= \mathrm { T r } ( A ) - B \, \mathrm { T r } \, A"),
        (r"-\operatorname{Tr}A", r"- \, \mathrm { T r } \, A"),
        (r"e^{\operatorname{Tr}A}", r"e ^ { \operatorname { T r } A }"),
        (r"\underline{\mathrm{lim}}", r"\underline { \mathrm { l i m } }"),
        (r"{{a\le\mathrm{min}(x)}}", r"a \leq \min ( x )"),
        (r"\tg x", r"\mathrm { t g } \, x"),
        # chemistry
        (r"\ce { SO_4^2- + Ba^{2+}  -> BaSO4 (v)}", r"\ce {SO4^{2-} + Ba^{2+} -> BaSO4 v}"),
        (r"\ce{H2C\bond{2}CH2 + H^+ → C2H5^+ }", r"\ce {H2C=CH2 + H+ -> C2H5+}"),
        (r"\ce{^14C + $n$ H_2O ->[\Delta] A_x}", r"\ce {^14C + $n$ H_2O ->[\Delta] A_{x}}"),
        (r"\ce{^14C\bond{#}N}", r"\ce {^{14}C#N}"),
        (r"x\ce{\frac{a}{b}  A}_1", r"x \ce {\frac{a}{b} A} _ { 1 }"),
        (r"\pu{ 1.2e3  kJ//mol }", r"\pu {1.2e3 kJ//mol}"),
        # left alone
        (r"\def\a{x}\a_1", r"\def \a { x } \a _ 1"),
        ("x^2^3", "x ^ 2 ^ 3"),
        ("{a", "{ a"),
        ("a_1 & b", "a _ 1 & b"),
    ],
)  # fmt: skip
def test_the_normal_form(latex: str, normal: str) -> None:
    assert normalize(latex) == normal
    assert normalize(normal) == normal


@given(texts)
@example("\\text{ %")
def test_the_normal_form_of_any_text_is_its_own(text: str) -> None:
    once = normalize(text)
    assert normalize(once) == once


@given(formulas)
@example(r"{a \atop {a \over \operatorname{Hom}}}")
def test_the_normal_form_of_a_formula_is_its_own(formula: str) -> None:
    once = normalize(formula)
    assert normalize(once) == once
    assert not once or braces_balanced(once) >= braces_balanced(formula)


@pytest.mark.parametrize("formula", FORMULAS)
def test_the_normal_form_of_real_formulas_is_their_own(formula: str) -> None:
    once = normalize(formula)
    assert "  " not in once
    assert normalize(once) == once


@pytest.mark.parametrize(
    "latex",
    [
        "{" * 10_000 + "x" + "}" * 10_000,
        "x^{" * 5_000 + "}" * 5_000,
        "\\left(" * 10_000,
        "\\frac" * 100_000,
        "$" * 10**6,
        "\\begin{array}{c}" * 20_000,
        "{a}" * 333_333,
        "x_1^2 " * 160_000,
        "\\text{$" * 100_000,
        "\\unknown{" * 100_000,
        "'" * 10**6,
        "x" + "'" * 90_000,
    ],
)
def test_huge_and_deep_input_is_answered_within_two_seconds(latex: str) -> None:
    start = time.process_time()
    once = normalize(latex)
    assert time.process_time() - start < 2
    assert normalize(once) == once


def test_odd_characters_are_kept() -> None:
    assert normalize("\x00 \ud800 \u202e x") == "\x00 \ud800 \u202e x"
