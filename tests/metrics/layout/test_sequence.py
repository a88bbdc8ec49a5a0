"""The drawing as a sequence: what a reader takes in, in reading order."""

from __future__ import annotations

import pytest

from texlens.engine import Drawing, get_engine
from texlens.metrics.layout.glyphs import (
    LOOKALIKES,
    SAME,
    accented_letter,
    look_alike,
    negated,
    signs,
    small_form,
    typeface,
)
from texlens.metrics.layout.items import BEHIND, FINE_STEP, FULL, SMALL, STACKED, Item
from texlens.metrics.layout.sequence import reading_sequence
from texlens.metrics.layout.spacing import UNKNOWN


def read(latex: str) -> list[Item]:
    (drawing,) = get_engine().draw([latex])
    assert isinstance(drawing, Drawing)
    return reading_sequence(drawing)


def words(latex: str) -> str:
    """The sequence in short: marks in angle brackets, `}` for the end of a structure."""
    shown = {
        "glyph": "{}", "accent": "<{}>", "open": "<{}>", "separator": "<{}>", "close": "}}",
    }  # fmt: skip
    return " ".join(shown[i.symbol.kind].format(i.symbol.name) for i in read(latex))


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        (r"\frac{a}{b}", "<fraction> a <bar> b }"),
        (r"\binom{n}{k}", "( <stack> n <row> k } )"),
        (r"x_{i}^{2}", "x <_> i } <^> 2 }"),
        (r"x^{2}{}_{i}", "x <_> i } <^> 2 }"),
        (r"x_{a}{}_{b}", "x <_> a b }"),
        (r"\sqrt[3]{x}", "<index> 3 } <root> x }"),
        (r"\hat{x}", "<ˆ> x }"),
        (r"\underline{\overline{ab}}", "<under ¯> <¯> a b } }"),
        (r"\sum_{i}^{n}", "∑ <_> i } <^> n }"),
        (r"\overset{a}{=}", "= <over> a }"),
        (r"\sideset{_{1}^{2}}{_{3}^{4}}\sum", "<_> 1 } <^> 2 } ∑ <_> 3 } <^> 4 }"),
        (r"\underbrace{ab}_{n}", "<under ⏟> a b } <under> n }"),
        (r"[\begin{matrix}a&b\\c&d\end{matrix}]", "[ <stack> a <cell> b <row> c <cell> d } ]"),
        (r"\left\{\begin{aligned}a&=b\\c&=d\end{aligned}\right.", "{ <stack> a = b <row> c = d }"),
        (r"\begin{array}{c|c}a&b\\\hline c&d\end{array}", "a vertical line b horizontal line c d"),
        (r"\sum_{\substack{a\\b}}", "∑ <_> <stack> a <row> b } }"),
        (r"\boxed{x}", "<frame> x }"),
        (r"\cancel{x}", "<strike> x }"),
        (r"a\ne\not\in b", "a ≠ ∉ b"),
        (r"f''", "f <^> ′ ′ }"),
        (r"x²é", "x <^> 2 } <´> e }"),
        (r"...", "…"),
        (r"\begin{gathered}a\\b\end{gathered}", "a b"),
        ("", ""),
    ],
)
def test_sequences(latex: str, expected: str) -> None:
    assert words(latex) == expected


@pytest.mark.parametrize(
    "latex",
    [
        r"\frac{a}{\sqrt{b}}+\overline{xy}",
        r"\left[\begin{array}{c|c}a&b\\\hline c&d\end{array}\right]",
        r"\boxed{\underbrace{x+\ldots}_{n}} \cancel{y}",
        r"x_1^2\not\in\binom{n}{k}...",
    ],
)
def test_every_box_belongs_to_exactly_one_item(latex: str) -> None:
    (drawing,) = get_engine().draw([latex])
    assert isinstance(drawing, Drawing)
    owned = [box for item in reading_sequence(drawing) for box in item.boxes]
    assert sorted(owned) == list(range(len(drawing.boxes)))


def sizes(latex: str, name: str) -> list[float]:
    return [item.size for item in read(latex) if item.symbol.name == name]


def test_sizes_that_a_reader_sees() -> None:
    assert sizes(r"(\Big(", "(") == pytest.approx([1.0, 1.8], abs=0.01)
    assert sizes(r"\frac{a}{b}\tfrac{a}{b}", "fraction") == [FULL, SMALL]
    assert sizes(r"\int\limits_{a}", "_") == [STACKED]
    assert sizes(r"x^{a}{}_{b}", "_") == [BEHIND]
    assert sizes(r"\begin{matrix}\tfrac{a}{b}\end{matrix}", "fraction") == [0]
    assert sizes(r"\hat{a}", "ˆ") == [0]
    assert sizes(r"\hat{ab}", "ˆ")[0] < sizes(r"\widehat{ab}", "ˆ")[0]


def test_colours_are_kept() -> None:
    assert [bool(item.color) for item in read(r"a{\color{red}b}")] == [False, True]


def test_nesting_beyond_the_limit_is_read_flat() -> None:
    inner = "x"
    for _ in range(90):
        inner = f"\\sqrt{{{inner}}}"
    names = [item.symbol.name for item in read(inner)]
    assert names.count("root") == 60
    assert names[60:].count("x") == 1


def test_signs() -> None:
    assert signs("∣") == signs("|") == "|"
    assert signs("″") == "′′"
    assert signs("⟶") == signs("→")
    assert negated("=") == "≠"
    assert negated("D") is None
    assert small_form("₃") == ("_", "3")
    assert small_form("°") == ("^", "∘")
    assert small_form("3") is None
    assert accented_letter("ü") == ("u", "¨")
    assert accented_letter("u") is None


def test_typefaces() -> None:
    assert typeface("x", "italic") == "italic"
    assert typeface("x", "bold-italic") == "bold-italic"
    assert typeface("x", "normal") == "upright"
    assert typeface("R", "double-struck") == "double-struck"
    assert typeface("+", "italic") == typeface("+", "normal") == ""
    assert typeface("+", "bold") == "bold"
    assert typeface(",", "bold") == ""


def test_the_stated_lists_do_not_contradict_each_other() -> None:
    standing = {char: group[0] for group in SAME for char in group}
    assert sum(map(len, SAME)) == len(standing)
    for group in LOOKALIKES:
        forms = [standing.get(char, char) for char in group]
        assert len(set(forms)) == len(group), group
        assert forms == list(group), f"{group}: list the standing form"
    assert look_alike("ν", "v")
    assert look_alike("v", "ν")
    assert not look_alike("v", "v")
    assert not look_alike("v", "7")


def whites(latex: str) -> list[float]:
    return [item.white for item in read(latex)]


def test_white_is_measured_where_it_separates() -> None:
    assert whites(r"a\qquad b")[1] - whites("ab")[1] == pytest.approx(2)
    assert whites(r"x_{a\quad b}")[3] - whites("x_{ab}")[3] == pytest.approx(1 / 0.707, abs=0.01)
    assert whites(r"a,\qquad b")[2] == UNKNOWN
    assert whites(r"\begin{aligned}a\\b\end{aligned}")[1] == UNKNOWN
    assert whites(r"\begin{array}{ll}a&b\\c&d\end{array}")[1] > 0.9
    assert whites(r"\begin{array}{ll}a&=b\\c&=d\end{array}")[1] == UNKNOWN


def test_white_between_words_counts_in_word_spaces() -> None:
    spaced, joined = whites(r"\text{it is}")[2], whites(r"\text{itis}")[2]
    assert spaced > 1 > 0.5 > joined
    assert whites(r"\text{it is}")[2] == whites(r"\text{it}\qquad\text{is}")[2]


def steps(latex: str) -> list[float]:
    return [item.step for item in read(latex) if item.symbol.name in set("()[]|")]


@pytest.mark.parametrize(
    ("latex", "loose"),
    [
        (r"\bigl(x\bigr)", [True, True]),
        (r"\bigl(x^{2}\bigr)", [False, False]),
        (r"\left(x^{2}\right)", [False, False]),
        (r"\bigl|x\bigr|", [True, True]),
        (r"(x)", [False, False]),
        (r"x\bigr)", [False]),
        (r"\Bigl[\bigl(x\bigr)\Bigr]", [True, True, True, True]),
    ],
)
def test_delimiters_larger_than_needed(latex: str, loose: list[bool]) -> None:
    assert [step == FINE_STEP for step in steps(latex)] == loose


def sides(latex: str) -> str:
    return " ".join(item.side[:1] or "-" for item in read(latex) if item.symbol.kind == "glyph")


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        (r"\left[\begin{array}{l}a\\bcde\end{array}\right]", "- l - - - - -"),
        (r"\left[\begin{array}{c}a\\bcde\end{array}\right]", "- c - - - - -"),
        (r"\left[\begin{array}{r}a\\bcde\end{array}\right]", "- r - - - - -"),
        (r"\left[\begin{array}{rr}a&xyz\\b&c\end{array}\right]", "- - - - - - r -"),
        (r"\left[\begin{array}{rr}1&2\\3&-4\end{array}\right]", "- - r - - - -"),
        (r"\begin{array}{c}a\\bcde\end{array}", "l - - - -"),
        (r"\begin{array}{r}a\\bcde\end{array}", "r - - - -"),
        (r"\begin{aligned}a&=b\\ccc&=d\end{aligned}", "- - - - - - - -"),
        (r"\begin{array}{rcl}a&=&b\\ccc&=&d\end{array}", "- - - - - - - -"),
    ],
)
def test_places_of_cells_in_their_columns(latex: str, expected: str) -> None:
    assert sides(latex) == expected


def test_rules_at_the_edges_of_an_array() -> None:
    assert words(r"\begin{array}{|cc}a&b\\c&d\end{array}").startswith("vertical line")
    assert words(r"\begin{array}{cc|}a&b\\c&d\end{array}").endswith("vertical line")
    assert words(r"\begin{array}{|cc|}a&b\\c&d\end{array}").count("vertical line") == 2
    assert words(r"\sout{x}") == "<strike> x }"


def test_a_backslash_with_white_around_it_is_an_operator() -> None:
    faces = {latex: read(latex)[1].symbol.face for latex in (r"A\setminus B", r"A\backslash B")}
    assert list(faces.values()) == ["operator", ""]
    assert read(r"x_{A\setminus B}")[3].symbol == read(r"x_{A\backslash B}")[3].symbol
