r"""A formula as people type it: `\frac{a}{b}`, `\sin x`, `f'(x)`, on one line.

The compact form is for readers: terminals, files, the clipboard. It has the tokens of the formula, with few
of the spaces that TeX ignores, and primes in place of `^ { \prime }`; so it has the same normal form, and
KaTeX takes it where it takes the normal form. `<` is always followed by a space, since Markdown takes `<b`
for HTML.
"""

from __future__ import annotations

import re

from texlens.latex import symbols
from texlens.latex.normal import normalize
from texlens.latex.spelling import part_delimiter
from texlens.latex.tokens import TEXT_COMMANDS, end_of_text, spaced_words, tokenize

_OPENING = frozenset(
    ["{", "(", "[", "\\{", "\\lfloor", "\\lceil", "\\langle", "\\lvert", "\\lVert"]
)
_CLOSING = frozenset(
    ["}", ")", "]", "\\}", "\\rfloor", "\\rceil", "\\rangle", "\\rvert", "\\rVert"]
)
_PUNCTUATION = frozenset([",", ".", ";", ":", "!", "?"])
_SCRIPTS = frozenset(["^", "_"])
# Spaces that stand between what they separate without spaces of their own: `x\,dx`.
_THIN_SPACES = frozenset(["\\,", "\\!", "\\:", "\\;", "~"])
_WIDE_SPACES = frozenset(["\\quad", "\\qquad"])
_ROW_END = "\\\\"
_MATH_IN_TEXT = re.compile(r"(?<!\\)\$([^$\\]*(?:\\[^$][^$\\]*)*)\$")


def compact(latex: str) -> str:
    r"""The compact form of a formula: `x ^ { 2 } + 1` becomes `x^{2} + 1`.

    Spaces stay where TeX needs them, in text, and around relations, operators and alignment marks.
    """
    tokens = tokenize(latex)
    written = _joined(tokens)
    if "\\prime" in tokens:
        primed = _joined(_with_primes(tokens))
        if normalize(primed) == normalize(written):  # not so within \boldsymbol, for one
            return primed
    return written


def _compact_math(math: re.Match[str]) -> str:
    return f"${compact(math[1])}$"


def _with_primes(tokens: list[str]) -> list[str]:
    r"""The tokens with `'` in place of `^ { \prime }`."""
    out: list[str] = []
    position = 0
    while position < len(tokens):
        if tokens[position] in TEXT_COMMANDS and tokens[position + 1 : position + 2] == ["{"]:
            end = end_of_text(tokens, position + 1)
            out += tokens[position:end]
            position = end
            continue
        end = position + 2
        while tokens[end : end + 1] == ["\\prime"]:
            end += 1
        group = tokens[position : position + 2] == ["^", "{"] and tokens[end : end + 1] == ["}"]
        if group and end > position + 2:
            out += ["'"] * (end - position - 2)
            position = end + 1
        else:
            out.append(tokens[position])
            position += 1
    return out


def _joined(tokens: list[str]) -> str:
    words = spaced_words(tokens)
    for place in range(1, len(words)):
        if words[place - 1] in TEXT_COMMANDS:
            words[place] = _MATH_IN_TEXT.sub(_compact_math, words[place])
    written: list[str] = []
    ends = _ends_of_columns(words)
    for place, word in enumerate(words):
        if place and (place - 1 in ends or _needs_space(words, place)):
            written.append(" ")
        written.append(word)
    return "".join(written)


def _ends_of_columns(words: list[str]) -> set[int]:
    r"""Where the column specifications end, as in `\begin{array}{cc}`: a space follows."""
    ends = set()
    for place, word in enumerate(words):
        if word.startswith("\\begin{") and words[place + 1 : place + 2] == ["{"]:
            depth = 0
            for end in range(place + 1, len(words)):
                depth += (words[end] == "{") - (words[end] == "}")
                if not depth:
                    ends.add(end)
                    break
    return ends


def _needs_space(words: list[str], place: int) -> bool:
    """Whether there is a space before the word at `place`."""
    before, word = words[place - 1], words[place]
    if before == "\\":  # this is the space of the command `\ `
        return True
    if _is_control_word(before) and word[:1].isalpha():
        return True
    if before[:2] == _ROW_END or word[:2] == _ROW_END:
        return True
    if before == "&" or word == "&" or before.startswith(("\\begin{", "\\end{")):
        return not (word[:1] in "{[" and before.startswith("\\begin{"))
    if word.startswith("\\end{"):
        return True
    if before == "<":
        return True
    return _is_spaced(words, place, before, word)


def _is_spaced(words: list[str], place: int, before: str, word: str) -> bool:
    """Whether people put a space between two words that TeX does not need one between."""
    if before in TEXT_COMMANDS or before in symbols.SIZED_DELIMITERS or _opens(before):
        return False
    if word == ":" and words[place + 1 : place + 2] == ["="]:
        return True
    if (
        word in _SCRIPTS
        or before in _SCRIPTS
        or word == "'"
        or _closes(word)
        or word in _PUNCTUATION
    ):
        return False
    if before in _THIN_SPACES or word in _THIN_SPACES:
        return False
    if before in _WIDE_SPACES or word in _WIDE_SPACES:
        return True
    if before in symbols.BINARIES and _is_sign(words, place - 1):
        return False
    if before == ":" and word == "=":
        return False
    if _separates(before) or _separates(word) or before in (",", ";"):
        return True
    if word[0] in "{([":
        return False
    if word in symbols.ORDINARY or word[:1] != "\\":
        # Letters stand beside letters: `2\pi r`, but `\alpha \beta`.
        return _is_control_word(before) and word[:1] == "\\"
    return not _opens(word) and word not in symbols.SIZED_DELIMITERS


def _separates(word: str) -> bool:
    """Whether a word is a relation or a binary operator, which stand between spaces."""
    return word in symbols.RELATIONS or word in symbols.BINARIES


def _is_sign(words: list[str], place: int) -> bool:
    """Whether an operator is a sign: what it follows is no left side."""
    if place == 0:
        return True
    before = words[place - 1]
    return (
        _opens(before)
        or _separates(before)
        or before in _WIDE_SPACES
        or before in (",", ";", "&")
        or before[:2] == _ROW_END
        or before.startswith("\\begin{")
    )


def _opens(word: str) -> bool:
    return word in _OPENING or part_delimiter(word)[0] == "\\left"


def _closes(word: str) -> bool:
    return word in _CLOSING or part_delimiter(word)[0] == "\\right"


def _is_control_word(word: str) -> bool:
    return word[0] == "\\" and word[-1:].isalpha()
