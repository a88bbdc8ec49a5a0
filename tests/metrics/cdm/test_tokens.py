"""The official tokens: what the grammar prints, what is drawn, which tokens are the same."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from texlens.metrics.cdm.repair import repaired
from texlens.metrics.cdm.tokens import MAX_CHARACTERS, first_tokens, normalise, paint, same_token

# What the official code prints after both normalisations.
NORMALISED = [
    (r"\dfrac12", r"\frac { 1 } { 2 }"),
    (r"a \over b", r"\frac { a } { b }"),
    (r"x_1^2", "x _ { 1 } ^ { 2 }"),
    (r"x^2_1{}^3", "x _ { 1 } ^ { 2 } { } ^ { 3 }"),
    ("f''", r"f ^ { \prime \prime }"),
    ("x'^2", "x ^ { 2 }"),
    (r"\sin x + \max x", r"\mathrm { s i n } x + \operatorname* { m a x } x"),
    (r"\operatorname{sin} x", r"\mathrm { s i n } x"),
    (r"\operatorname{tanh} x", r"\operatorname { t a n h } x"),
    (r"\operatorname*{argmax}", r"\operatorname { a r g m a x }"),
    (r"\sum\limits_i", r"\sum _ { i }"),
    (r"\lim\nolimits_i", r"\lim _ { i }"),
    (r"a \ldots b \cdots", ". . .".join(["a ", " b ", ""])),
    (r"\text{if } x", r"\mathrm { i f ~ } x"),
    (r"\mathrm{\alpha\Gamma}", r"\mathrm { \ a l p h a \Gamma }"),
    (r"{\rm x y}", r"\mathrm { x y }"),
    (r"\hat x", r"\hat { x }"),
    (r"\sqrt[3]x", r"\sqrt [ 3 ] { x }"),
    (r"\widehat\mathbf x", r"\widehat { \mathbf { x } }"),
    (r"\overline{x}", r"\overline { { x } }"),
    (r"\frac{4}\cal x", r"\frac { 4 } { 4 } x"),
    (r"\Bigl( x \bigr\}", r"\Bigl( x \bigr\}"),
    (r"\left( x \right.", r"\left( x \right."),
    (r"\begin{pmatrix} a & b \\ & \\ c \end{pmatrix}",
     r"\left( \begin{array} {ll} { a } & { b } \\ { c } \end{array} \right)"),
    (r"\begin{array}{l|r@{}} a & \\ \end{array}", r"\begin{array} {lr} { a } & \end{array}"),
    (r"\begin{align*} a &= b \\[2pt] c \end{align*}",
     r"\begin{array} {rl} { a } & { { } = b } \\ { c } \end{array}"),
    (r"\begin{cases} a \\ b \end{cases}",
     r"\left\{ \begin{array} {ll} { a } \\ { b } \end{array} \right."),
    (r"a \\ b", r"a \, b"),
    ("a % b", "a"),
    (r"50\%", r"5 0 \%"),
    (r"$$x$$ \label{eq}", "x"),
    (r"\hspace{1cm} \hspace{-1cm}", r"\hspace{1cm} \hspace { - 1 c m }"),
    (r"\rule{1.50pt}{2pt}", r"\rule{1.5pt}{2pt}"),
    (r"\unknown{x}", r"\unknown { x }"),
    (r"\textcolor{red}{x}", "{ x }"),
]  # fmt: skip
# What its grammar refuses: then the text is split at spaces.
REFUSED = [
    r"\sqrt\sqrt x",
    r"{\color{red} x}",
    r"\begin{gathered} a \\ b \end{gathered}",
    r"\begin{matrix} a \\ [b] \end{matrix}",
    "{ x",
    "x }",
    r"\left( x",
    r"a & b",
    r"\mathop{x}\limits_y",
    r"a \over b \over c",
    r"\left= x \right)",
    "",
]


@pytest.mark.parametrize(("latex", "tokens"), NORMALISED)
def test_normalised_as_the_official_code_does(latex: str, tokens: str) -> None:
    assert normalise(latex) == (tokens.split(), True)


@pytest.mark.parametrize("latex", REFUSED)
def test_refused_as_the_official_code_does(latex: str) -> None:
    assert first_tokens(latex) is None
    assert normalise(latex)[1] is False


def drawn(latex: str) -> str:
    painted = paint(latex)
    assert painted is not None
    return " ".join(painted.tokens)


@pytest.mark.parametrize(
    ("latex", "tokens"),
    [
        (r"x_{i+1}^2", "x i + 1 2"),
        (r"\frac{a}{b}", r"\frac a b"),
        (r"\hat{x}", r"\hat x"),
        (r"\sqrt[3]{x}", r"\sqrt 3 x"),
        (r"x = [a]", "x = [ a ]"),
        (r"[a]", "[ a"),  # a slip: one of the first three tokens is taken for a root's
        (r"\mathbf{x} \mathrm{ab}", "x a b"),
        (r"\left( x \right.", r"\left( x \right."),
        (r"\begin{matrix} a & \hline b \end{matrix}", "a b"),
        (r"a \phantom{b} \quad c \displaystyle d", "a c d"),
        (r"\overset{a}{=}", "a ="),
        (r"\mathit{x}", r"\mathit x"),
        (r"a b} c", "a b} c"),
    ],
)
def test_what_is_drawn(latex: str, tokens: str) -> None:
    assert drawn(latex) == tokens


def test_the_end_of_a_root_with_three_fractions_hides_a_token_as_the_official_code_does() -> None:
    fractions = r"\frac{a}{b} \frac{c}{d} \frac{e}{f}"
    assert drawn(fractions) == r"\frac a b \frac c d \frac e f"
    assert drawn(rf"\sqrt{{{fractions}}}") == r"\sqrt \frac a b \frac c d \frac e"


def test_an_argument_that_never_closes_is_given_up() -> None:
    assert paint(r"\hat { x") is None
    assert paint(r"x + \hat") is not None


@pytest.mark.parametrize(
    ("token", "same"),
    [
        (r"\left(", "("),
        (r"\leftarrow", r"\leftarrow"),
        (r"\left<", r"\langle"),
        (r"\biggl\{", r"\{"),
        (r"\Big|", "|"),
        (r"\bigcup", "p"),
        (r"\bigcap", "p"),
        (r"\rightarrow", r"\to"),
        (r"\varphi", r"\phi"),
        (r"\widehat", r"\hat"),
        (r"\top", "T"),
        (r"\lVert", r"\|"),
        ("x", "x"),
    ],
)
def test_token_map(token: str, same: str) -> None:
    assert same_token(token) == same


_WORDS = r"""
    \frac \sqrt \hat \mathrm \text \left( \right) \left \begin{array} \end{array} \begin{cases} \over
    \bf \rm { } [ ] ^ _ & \\ \\[2pt] ' x 1 \alpha \sum \limits \operatorname * \big \{ \rule {1pt}
    \hspace \label % $ ~ é 中 \color \textcolor \phantom \not
"""
WORDS = st.sampled_from([" ", "\n", *_WORDS.split()])
BROKEN = st.lists(WORDS, max_size=40).map("".join) | st.text(max_size=60)


@given(BROKEN)
@settings(max_examples=300, deadline=None)
def test_any_text_is_painted_or_given_up(latex: str) -> None:
    painted = paint(latex)
    if painted is not None:
        inks = [piece for piece in painted.pieces if not isinstance(piece, str)]
        assert sorted(ink.number for ink in inks) == list(range(len(painted.tokens)))
        assert [ink.token for ink in sorted(inks)] == list(painted.tokens)


@given(BROKEN)
@settings(max_examples=200, deadline=None)
def test_mended_latex_has_matched_brackets(latex: str) -> None:
    once = repaired(latex)
    assert repaired(once) == once
    plain = once.replace("\\\\", "").replace("\\{", "").replace("\\}", "")
    assert plain.count("{") == plain.count("}")


@pytest.mark.parametrize(
    "unit",
    ["{", "}", r"\hat ", r"\frac{", r"\sqrt [ ", "x^{", r"{\rm ", r"\label{", "a", "'", "\\"],
)
def test_a_hostile_text_costs_little(unit: str) -> None:
    start = time.process_time()
    paint((unit * MAX_CHARACTERS)[:MAX_CHARACTERS])
    assert time.process_time() - start < 5
    assert paint(unit * MAX_CHARACTERS + "xx") is None


@pytest.mark.parametrize(
    "latex", [r"\multicolumn x", r"\multicolumn } } } x", r"\ce{C^ \multicolumn{2}{c}{x} S}"]
)
def test_a_spanning_cell_without_its_arguments_ends(latex: str) -> None:
    assert paint(latex) is None
