"""A formula as people type it, with few of the spaces that TeX ignores."""

from __future__ import annotations

from texlens.latex.tokens import TEXT_COMMANDS, spaced_words, tokenize

_OPEN = frozenset(["{", "(", "[", "^", "_", "\\{", "\\left(", "\\left["])
_CLOSING = frozenset(["}", ")", "]", "^", "_", ",", ".", ";", ":", "'", "!"])
_RELATIONS = frozenset(["=", "+", "-", "<", ">", "&"])


def compact(latex: str) -> str:
    r"""The same tokens with few spaces: `x ^ { 2 } + 1` becomes `x^{2} + 1`.

    Spaces stay where TeX needs them, in text, and around relations, signs and alignment marks.
    """
    words = spaced_words(tokenize(latex))
    written: list[str] = []
    for place, word in enumerate(words):
        if place and _needs_space(words, place):
            written.append(" ")
        written.append(word)
    return "".join(written)


def _needs_space(words: list[str], place: int) -> bool:
    """Whether there is a space before the word at `place`."""
    before, word = words[place - 1], words[place]
    if before == "\\":  # this is the space of the command `\ `
        return True
    if _is_control_word(before) and word[:1].isalpha():
        return True
    if before in TEXT_COMMANDS or word in _CLOSING or before in _OPEN:
        return False
    if before in _RELATIONS:
        is_sign = before in "+-" and (place < 2 or words[place - 2] in _OPEN | _RELATIONS)
        return not is_sign
    if word in _RELATIONS or before in ("\\\\", ",", ";"):
        return True
    if word == "{":
        return False
    return _is_control_word(before) or word[0] == "\\"


def _is_control_word(word: str) -> bool:
    return word[0] == "\\" and word[-1:].isalpha()
