from __future__ import annotations

import re
import time

import pytest
from formulas_strategy import formulas, texts
from hypothesis import given

from texlens.latex import detokenize, tokenize

SPACES = re.compile(r"[ \t\r\n\f\v]+")


@pytest.mark.parametrize(
    ("latex", "tokens"),
    [
        (r"\frac12", [r"\frac", "1", "2"]),
        (r"x_{10}'", ["x", "_", "{", "1", "0", "}", "'"]),
        (r"\alpha\beta a", [r"\alpha", r"\beta", "a"]),
        (r"\left( x \right\rangle", [r"\left(", "x", r"\right\rangle"]),
        (r"\left\lbrace\right .", [r"\left\lbrace", r"\right."]),
        (r"\leftarrow \rightarrow", [r"\leftarrow", r"\rightarrow"]),
        (r"\begin {array}{cc}\end{array}", [r"\begin{array}", "{", "c", "c", "}", r"\end{array}"]),
        (r"\operatorname* {lim}", [r"\operatorname*", "{", "l", "i", "m", "}"]),
        (r"a\ b\,c\\d", ["a", "\\ ", "b", r"\,", "c", r"\\", "d"]),
        (r"a\\[2 pt]b\\*c\\ [d]", ["a", r"\\[2pt]", "b", r"\\*", "c", r"\\", "[", "d", "]"]),
        (r"\text{if  x}y", [r"\text", "{", "i", "f", " ", "x", "}", "y"]),
        (r"\mbox{a $x _1$ b}", [r"\mbox", "{", "a", " ", "$", "x", "_", "1", "$", " ", "b", "}"]),
        (r"\text{\alpha b\ c}", [r"\text", "{", r"\alpha", "b", "\\ ", "c", "}"]),
        (r"\\text{a b}", [r"\\", "t", "e", "x", "t", "{", "a", "b", "}"]),
        (r"\hspace{1 e m}\kern-.5em x", [r"\hspace", "{1em}", r"\kern", "-.5em", "x"]),
        (r"\color{red}\textcolor[RGB]{1,2,3}x", [r"\color", "{red}", r"\textcolor", "[RGB]", "{1,2,3}", "x"]),
        ("a % gone }\n b\\% c", ["a", "b", r"\%", "c"]),
        ("e\u0301", ["e\u0301"]),
        ("a\\", ["a", "\\ "]),
        ("\\text{a % }\n b\\%}c", [r"\text", "{", "a", " ", "b", r"\%", "}", "c"]),
        (r"\text{open", [r"\text", "{", "o", "p", "e", "n"]),
        ("", []),
    ],
)  # fmt: skip
def test_tokens_are_those_of_the_description(latex: str, tokens: list[str]) -> None:
    assert tokenize(latex) == tokens


@given(texts)
def test_any_text_survives_tokenising_up_to_space_and_comments(text: str) -> None:
    tokens = tokenize(text)
    assert tokenize(detokenize(tokens)) == tokens
    without_comments = re.sub(r"(?<!\\)((?:\\\\)*)%[^\n]*", r"\1", text)
    assert SPACES.sub("", "".join(tokens)) == SPACES.sub("", without_comments)


@given(formulas)
def test_formulas_come_back_from_their_tokens(formula: str) -> None:
    tokens = tokenize(formula)
    assert tokenize(detokenize(tokens)) == tokens


@pytest.mark.parametrize(
    "latex",
    ["{" * 10**6, "\\text{" * 170_000, "\\kern" + " " * 10**6, "\\" * 999_999, "%" * 10**6, "x" * 10**6],
)  # fmt: skip
def test_a_megabyte_takes_no_more_than_two_seconds(latex: str) -> None:
    start = time.process_time()
    tokens = tokenize(latex)
    assert time.process_time() - start < 2
    assert tokenize(detokenize(tokens)) == tokens


def test_what_is_no_latex_is_kept() -> None:
    odd = "\x00\ud800\u202ex\u2028\u00a0"
    assert "".join(tokenize(odd)) == odd
