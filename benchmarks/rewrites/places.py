"""Finding and replacing parts of a formula that is given as tokens of its normal form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from random import Random

from rewrites.rule import Tokens

RELATIONS = frozenset(
    [
        r"=",
        r"<",
        r">",
        r"\leq",
        r"\geq",
        r"\neq",
        r"\equiv",
        r"\sim",
        r"\simeq",
        r"\approx",
        r"\rightarrow",
        r"\in",
    ]
)
GREEK = dict(
    zip(
        [
            r"\alpha",
            r"\beta",
            r"\gamma",
            r"\delta",
            r"\zeta",
            r"\eta",
            r"\theta",
            r"\iota",
            r"\kappa",
            r"\lambda",
            r"\mu",
            r"\nu",
            r"\xi",
            r"\pi",
            r"\rho",
            r"\sigma",
            r"\tau",
            r"\upsilon",
            r"\chi",
            r"\psi",
            r"\omega",
            r"\Gamma",
            r"\Delta",
            r"\Theta",
            r"\Lambda",
            r"\Xi",
            r"\Pi",
            r"\Sigma",
            r"\Phi",
            r"\Psi",
            r"\Omega",
            r"\varphi",
            r"\varepsilon",
            r"\epsilon",
            r"\phi",
        ],
        "αβγδζηθικλμνξπρστυχψωΓΔΘΛΞΠΣΦΨΩφεϵϕ",
        strict=True,
    )
)
SIGNS = {
    "\\leq": "≤", "\\geq": "≥", "\\neq": "≠", "\\equiv": "≡", "\\approx": "≈", "\\in": "∈",
    "\\times": "×", "\\pm": "±", "\\infty": "∞", "\\partial": "∂", "\\nabla": "∇", "\\cdot": "⋅",
    "\\rightarrow": "→", "\\otimes": "⊗", "\\oplus": "⊕", "\\wedge": "∧", "\\ldots": "…",
    "\\int": "∫", "\\sum": "∑", "\\langle": "⟨", "\\rangle": "⟩", "\\cdots": "⋯", "\\prime": "′",
}  # fmt: skip
FUNCTIONS = frozenset(
    [
        r"\sin",
        r"\cos",
        r"\tan",
        r"\cot",
        r"\sinh",
        r"\cosh",
        r"\tanh",
        r"\exp",
        r"\log",
        r"\ln",
        r"\arctan",
        r"\dim",
        r"\ker",
        r"\deg",
        r"\arg",
    ]
)
LIMIT_FUNCTIONS = frozenset([r"\lim", r"\max", r"\min", r"\sup", r"\inf", r"\det"])
ACCENTS = (r"\hat", r"\tilde", r"\bar", r"\dot", r"\vec")
WIDE = (r"\overline", r"\widetilde", r"\widehat")


def close_of(tokens: Sequence[str], opening: int) -> int:
    """Index of the brace that closes the one at `opening`."""
    depth = 0
    for i in range(opening, len(tokens)):
        depth += {"{": 1, "}": -1}.get(tokens[i], 0)
        if depth == 0:
            return i
    raise ValueError("unbalanced braces")


def groups_after(tokens: Sequence[str], i: int, count: int) -> list[tuple[int, int]] | None:
    """The next `count` braced groups from `i` on, as (opening, closing)."""
    spans = []
    for _ in range(count):
        if i >= len(tokens) or tokens[i] != "{":
            return None
        spans.append((i, close_of(tokens, i)))
        i = spans[-1][1] + 1
    return spans


def top_level(tokens: Sequence[str]) -> list[int]:
    r"""Indices outside every group, environment and `\left ... \right`."""
    depth = 0
    found = []
    for i, token in enumerate(tokens):
        if token in ("}",) or (token.startswith(("\\end{", "\\right")) and token != "\\rightarrow"):
            depth -= 1
        elif depth == 0:
            found.append(i)
        if token in ("{",) or (token.startswith(("\\begin{", "\\left")) and token != "\\leftarrow"):
            depth += 1
    return [i for i in found if tokens[i] not in ("{",)]


def inked(tokens: Sequence[str]) -> list[int]:
    """Indices of tokens that draw something: not inside the column letters of an array."""
    hidden: set[int] = set()
    for i, token in enumerate(tokens):
        if token == "\\begin{array}" and (spans := groups_after(tokens, i + 1, 1)):
            hidden.update(range(spans[0][0], spans[0][1] + 1))
    return [i for i in range(len(tokens)) if i not in hidden]


def commands(tokens: Sequence[str], names: Sequence[str] | frozenset[str]) -> list[int]:
    """Indices of these commands."""
    return [i for i, token in enumerate(tokens) if token in names]


def letters(tokens: Sequence[str]) -> list[int]:
    """Indices of single Latin letters that are drawn."""
    return [
        i
        for i in inked(tokens)
        if len(tokens[i]) == 1 and tokens[i].isascii() and tokens[i].isalpha()
    ]


def outside_fonts(tokens: Sequence[str]) -> list[int]:
    """Indices of tokens that draw something in the font it has by itself."""
    named: set[int] = set()
    for i, token in enumerate(tokens):
        if token.startswith(("\\math", "\\text", "\\operatorname", "\\mbox", "\\bold")):
            for start, end in groups_after(tokens, i + 1, 1) or []:
                named.update(range(start, end))
        if token in ("\\bf", "\\rm", "\\cal", "\\it", "\\sf", "\\tt", "\\boldmath"):
            named.update(range(i, len(tokens)))
    return [i for i in inked(tokens) if i not in named]


def plain_letters(tokens: Sequence[str]) -> list[int]:
    """Letters that stand for themselves: not inside a font or operator name."""
    places = set(outside_fonts(tokens))
    return [i for i in letters(tokens) if i in places]


def everywhere(tokens: Tokens, mapping: Mapping[str, Sequence[str]]) -> Tokens:
    """Every token of the mapping replaced."""
    return [new for token in tokens for new in mapping.get(token, (token,))]


def one_of(rng: Random, places: Sequence[int]) -> int | None:
    """One place at random."""
    return rng.choice(places) if places else None


def spliced(tokens: Tokens, start: int, end: int, new: Sequence[str]) -> Tokens:
    """The tokens with `tokens[start:end]` replaced."""
    return tokens[:start] + list(new) + tokens[end:]


def rewrite_commands(
    tokens: Tokens, names: Sequence[str], arguments: int, build: Callable[..., Tokens | None]
) -> Tokens:
    """Every command of these names with its arguments rebuilt, innermost first."""
    for i in reversed(commands(tokens, names)):
        spans = groups_after(tokens, i + 1, arguments)
        if spans is None:
            continue
        inner = [tokens[start + 1 : end] for start, end in spans]
        new = build(tokens[i], *inner)
        if new is not None:
            tokens = spliced(tokens, i, spans[-1][1] + 1, new)
    return tokens


def change_command(
    tokens: Tokens,
    rng: Random,
    names: Sequence[str],
    arguments: int,
    build: Callable[..., Tokens | None],
) -> Tokens | None:
    """One command of these names, at random, with its arguments rebuilt."""
    places = commands(tokens, names)
    rng.shuffle(places)
    for i in places:
        spans = groups_after(tokens, i + 1, arguments)
        if spans is None:
            continue
        new = build(tokens[i], *(tokens[start + 1 : end] for start, end in spans))
        if new is not None:
            return spliced(tokens, i, spans[-1][1] + 1, new)
    return None


def change_token(
    tokens: Tokens, rng: Random, mapping: Mapping[str, Sequence[str]]
) -> Tokens | None:
    """One token of the mapping replaced, at random."""
    i = one_of(rng, [i for i in inked(tokens) if tokens[i] in mapping])
    return None if i is None else spliced(tokens, i, i + 1, mapping[tokens[i]])


def has_ink(tokens: Sequence[str]) -> bool:
    """Whether the tokens draw anything: one letter, digit, sign or Greek letter suffices."""
    return any((len(t) == 1 and t not in "{}^_&~[]") or t in GREEK or t in SIGNS for t in tokens)


def lines_at_relations(tokens: Tokens) -> list[Tokens] | None:
    """The formula cut before every top-level relation but the first token; None where uncut."""
    if any(tokens[i] in ("\\\\", "&") for i in top_level(tokens)):
        return None
    if any(t in ("\\displaystyle", "\\textstyle", "\\rm", "\\bf", "\\cal", "\\it") for t in tokens):
        return None
    cuts = [
        i
        for i in top_level(tokens)
        if tokens[i] in RELATIONS and i > 0 and tokens[i - 1] != "\\not"
    ]
    if not cuts:
        return None
    edges = [0, *cuts, len(tokens)]
    return [tokens[a:b] for a, b in pairwise(edges)]


def plain_brackets(tokens: Sequence[str]) -> list[int]:
    r"""Round brackets of the size that stands: not those behind `\big` and its kin."""
    sized = {i + 1 for i, token in enumerate(tokens) if token.lower().startswith("\\big")}
    return [i for i in inked(tokens) if tokens[i] in ("(", ")") and i not in sized]
