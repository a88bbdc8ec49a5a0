"""What the pictures do not show, and what a refused reading might have been."""

import pytest

from texlens.data.labels.edits import edits, mixtures, shown, spaces


@pytest.mark.parametrize(
    ("latex", "left"),
    [
        (r"a \, b \; c ~ d", "a b c d"),
        (r"a \hspace{1em} b \label{eq:1} c", "a b c"),
        (r"a \quad b \: c \! d \ e", r"a \quad b \: c \! d \ e"),
        (r"a = b \ \ , \qquad \,", r"a = b \ \ ,"),
        (r"\mathrm{a~b}", r"\mathrm { a b }"),
    ],
)
def test_spaces_that_the_pictures_do_not_show(latex: str, left: str) -> None:
    assert shown(latex) == left


def test_each_space_is_left_out_in_turn() -> None:
    assert spaces(r"a \ b \quad c") == [r"a b \quad c", r"a \ b c"]


def test_a_mixture_takes_two_changes() -> None:
    readings = ["a + b = c", "e + b = c", "a + b = d", r"a + \beta = c"]
    assert mixtures(readings, 8) == ["e + b = d", r"e + \beta = c", r"a + \beta = d"]
    assert mixtures(readings, 1) == ["e + b = d"]
    assert mixtures(readings[:2], 8) == []


@pytest.mark.parametrize(
    ("read", "meant"),
    [
        (r"( a + b ) c", r"\left( a + b \right) c"),
        (r"\left[ x \right] ( y )", r"[ x ] ( y )"),
        (r"( x ) ( y )", r"( x ) \Big ( y \Big )"),
        (r"\dot { r } ^ { 2 } - 1", r"{ \dot { r } } ^ { 2 } - 1"),
        (r"a , \ldots , b", r"a , \cdots , b"),
        (r"\bar { \psi } \bar { \chi }", r"\bar { \psi } \overline { \chi }"),
        (r"a \ b \ c", "a b c"),
        (r"a \ b \quad c", r"a \quad b \quad c"),
    ],
)
def test_small_changes_include_what_was_meant(read: str, meant: str) -> None:
    tried = list(edits(read))
    assert meant in tried
    assert read not in tried
    assert len(tried) == len(set(tried))
