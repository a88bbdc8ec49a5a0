"""What a refused reading might have been: small changes of it, and mixtures of several readings.

Also which tokens im2latex's pictures do not show, and so must not be in a label.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import combinations
from typing import Final

from texlens.latex import detokenize, tokenize

# Spaces that the pictures do not show: they were taken out before the formulas were typeset.
_UNSEEN: Final = frozenset({"\\,", "\\;", "~", "\\/", "\\nonumber", "\\thinspace"})
_UNSEEN_WITH_ARGUMENT: Final = frozenset(
    {"\\hspace", "\\hspace*", "\\vspace", "\\vspace*", "\\label"}
)
_SPACES: Final = frozenset({"\\ ", "\\:", "\\!", "\\quad", "\\qquad", "\\enspace"})

_SIMILAR: Final = (
    ("\\ldots", "\\cdots"), ("\\dots", "\\cdots"), ("\\bar", "\\overline"), ("\\tilde", "\\widetilde"),
    ("\\hat", "\\widehat"), ("\\mid", "|"), ("\\epsilon", "\\varepsilon"), ("\\phi", "\\varphi"),
    ("\\theta", "\\vartheta"), ("\\rightarrow", "\\longrightarrow"), ("\\triangle", "\\Delta"),
    ("\\quad", "\\qquad"), ("\\quad", "\\ "), ("\\vec", "\\overrightarrow"), ("\\dfrac", "\\frac"),
    ("\\tfrac", "\\frac"), ("\\frac", "\\dfrac"), ("\\boldsymbol", "\\mathbf"), ("c", "e"),
    (",", "."), ("l", "\\ell"), ("\\mathrm", "\\mathbf"), ("\\mathsf", "\\mathrm"),
    ("\\mathit", "\\mathrm"), ("\\cdot", "."), ("\\leq", "\\leqslant"), ("\\star", "*"),
)  # fmt: skip
_ALTERNATIVES: Final[dict[str, list[str]]] = {}
for _one, _other in _SIMILAR:
    _ALTERNATIVES.setdefault(_one, []).append(_other)
    _ALTERNATIVES.setdefault(_other, []).append(_one)
_ACCENTS: Final = frozenset(
    {
        "\\bar", "\\tilde", "\\hat", "\\dot", "\\ddot", "\\vec", "\\check", "\\breve",
        "\\overline", "\\widetilde", "\\widehat", "\\underline",
    }
)  # fmt: skip
_OPENING: Final = {"(": ")", "[": "]", "\\{": "\\}", "|": "|", "\\langle": "\\rangle"}
_LARGER: Final = ("\\big", "\\Big", "\\bigg")


def shown(latex: str) -> str:
    """The formula without what im2latex's pictures do not show."""
    tokens = iter(tokenize(latex))
    kept: list[str] = []
    for token in tokens:
        if token in _UNSEEN_WITH_ARGUMENT:
            next(tokens, None)
        elif token not in _UNSEEN:
            kept.append(token)
    while kept and kept[-1] in _SPACES:
        kept.pop()
    return detokenize(kept)


def spaces(latex: str) -> list[str]:
    """The formula with each of its spaces left out in turn."""
    tokens = tokenize(latex)
    return [
        detokenize(tokens[:place] + tokens[place + 1 :])
        for place, token in enumerate(tokens)
        if token in _SPACES
    ]


def mixtures(readings: Sequence[str], most: int) -> list[str]:
    """Readings that take the changes of two others against the first, the likeliest first."""
    if len(readings) < 3:
        return []
    first = tokenize(readings[0])
    changes = [_change(first, tokenize(other)) for other in readings[1:]]
    mixed = []
    for one, other in combinations(changes, 2):
        (start, end, new), (later, last, newer) = sorted((one, other), key=lambda c: c[0])
        if end <= later and (start, end) != (later, last):
            tokens = [*first[:start], *new, *first[end:later], *newer, *first[last:]]
            mixed.append(detokenize(tokens))
    return list(dict.fromkeys(mixed))[:most]


def _change(first: list[str], other: list[str]) -> tuple[int, int, list[str]]:
    """The span of `first` that another reading has otherwise, and what it has there."""
    operations = [
        operation
        for operation in SequenceMatcher(None, first, other, autojunk=False).get_opcodes()
        if operation[0] != "equal"
    ]
    if not operations:
        return 0, 0, []
    start, end = operations[0][1], operations[-1][2]
    return start, end, other[operations[0][3] : operations[-1][4]]


def edits(latex: str) -> Iterator[str]:
    """The formula with one small change, the likelier kinds of change first."""
    tokens = tokenize(latex)
    seen = {tuple(tokens)}
    for changed in (
        *_all_spaces(tokens),
        *_delimiters(tokens),
        *_accents(tokens),
        *_single(tokens),
    ):
        if tuple(changed) not in seen:
            seen.add(tuple(changed))
            yield detokenize(changed)


def _all_spaces(tokens: list[str]) -> Iterator[list[str]]:
    yield [token for token in tokens if token not in _SPACES]
    for space in ("\\ ", "\\:", "\\!"):
        yield [token for token in tokens if token != space]


def _delimiters(tokens: list[str]) -> Iterator[list[str]]:
    """Pairs of delimiters in other sizes: all at once, then one by one."""
    pairs = list(_pairs(tokens))
    plain = list(tokens)
    stretched = list(tokens)
    for start, end, left, right in pairs:
        plain[start], plain[end] = left, right
        stretched[start], stretched[end] = f"\\left{left}", f"\\right{right}"
    yield plain
    yield stretched
    for start, end, left, right in pairs:
        for one, other in (
            (left, right),
            (f"\\left{left}", f"\\right{right}"),
            *((f"{size} {left}", f"{size} {right}") for size in _LARGER),
        ):
            changed = list(tokens)
            changed[start], changed[end] = one, other
            yield changed


def _pairs(tokens: list[str]) -> Iterator[tuple[int, int, str, str]]:
    """Places of matching delimiters, and what they are."""
    stack: list[tuple[int, str]] = []
    for place, token in enumerate(tokens):
        bare = token.removeprefix("\\left").removeprefix("\\right")
        if stack and bare == _OPENING[stack[-1][1]] and not token.startswith("\\left"):
            start, left = stack.pop()
            if token.startswith("\\right") == tokens[start].startswith("\\left"):
                yield start, place, left, bare
        elif bare in _OPENING and not token.startswith("\\right"):
            stack.append((place, bare))


def _accents(tokens: list[str]) -> Iterator[list[str]]:
    """Accents as a group of their own, which changes where a superscript stands."""
    changed: list[str] = []
    place = 0
    while place < len(tokens):
        end = _end_of_argument(tokens, place + 1) if tokens[place] in _ACCENTS else None
        if end is not None and tokens[end : end + 1] in (["^"], ["_"]):
            changed += ["{", *tokens[place:end], "}"]
            place = end
        else:
            changed.append(tokens[place])
            place += 1
    yield changed


def _end_of_argument(tokens: list[str], start: int) -> int | None:
    if tokens[start : start + 1] != ["{"]:
        return start + 1 if start < len(tokens) else None
    depth = 0
    for place in range(start, len(tokens)):
        depth += (tokens[place] == "{") - (tokens[place] == "}")
        if depth == 0:
            return place + 1
    return None


def _single(tokens: list[str]) -> Iterator[list[str]]:
    """One token replaced by a similar one, everywhere and then at each place; one space less."""
    for token in dict.fromkeys(tokens):
        for other in _ALTERNATIVES.get(token, ()):
            yield [other if one == token else one for one in tokens]
    for place, token in enumerate(tokens):
        if token in _SPACES:
            yield tokens[:place] + tokens[place + 1 :]
        if tokens.count(token) > 1:
            for other in _ALTERNATIVES.get(token, ()):
                yield [*tokens[:place], other, *tokens[place + 1 :]]
