r"""One spelling for chemistry: the argument of mhchem's `\ce` and `\pu`.

mhchem has a grammar of its own in which spaces count: `SO4^2- + H+` has a charge and a plus, `A - B` is
a difference and `A-B` a bond. The argument stays in that language, as people type it. What mhchem
typesets in the same way gets one spelling: `SO_4^2-` is `SO4^{2-}`, `C\bond{2}C` is `C=C`. Substances
with mathematics, text, colours or other commands in them are left alone.

The language is that of the mhchem manual (Martin Hensel, https://mhchem.github.io/MathJax-mhchem).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from texlens.latex.tokens import chemistry_tokens

_SPACE_RUN = re.compile(r"[ \t\r\n\f\v]+")
# What MathJax's and KaTeX's mhchem replace before they parse.
_CHARACTERS = str.maketrans({**dict.fromkeys("\u2212\u2013\u2014\u2010", "-"), "…": "..."})
# An arrow with what stands above and below it. Whatever looks like two arrows is none.
_ARROW = re.compile(
    r"(?<![<>=+^_-])(<-->|<=>>|<<=>|<->|<=>|->|<-|[→⟶⇌])((?:\[[^][{}]*\]){0,2})(?![<>=\[-])"
)
_ARROWS = {"→": "->", "⟶": "->", "⇌": "<=>"}
# Commands, mathematics, text and groups in groups: there the same characters have other meanings; and so
# have they after an arrow with text, and in the words that mhchem knows.
_HARD = re.compile(
    r"\\(?!bond\{)|\$|[CMT]\[|(?<![\^_])(?<!\\bond)\{|\{[^{}]*\{|(?:pOH|p[HCK]|iPr|iBu)(?![a-zA-Z])"
)
# What a script belongs to: a symbol that is no script itself; a substance with its number.
_SYMBOL = r"(?:(?<=[^\^_][A-Za-z)])|(?<=\A[A-Za-z)]))"
_SUBSTANCE = r"(?<![a-zA-Z])([A-Z][A-Za-z]*[0-9]*|[A-Za-z0-9]*[)\]][0-9]*)"
# After these a space at the end makes no difference; elsewhere it may make an operator of a sign.
_END = re.compile(r"(?:[A-Za-z0-9)\]}]|[A-Za-z)\]][0-9]*[+-])$")
_BEFORE_ARROW = "\0"
_RULES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        # Double and triple bonds.
        (r"(?<=[A-Z0-9)\]])\\bond\{[2=]\}(?=[A-Z(])", "="),
        (r"(?<=[A-Z)\]])\\bond\{[3#]\}(?=[A-Z(])", "#"),
        # A precipitate and a gas.
        (r"(?<= )\(v\)(?=$| )", "v"),
        (r"(?<= )\(\^\)(?=$| )", "^"),
        # Numbers below without sign, other scripts in braces.
        (rf"{_SYMBOL}_(?:([0-9]+)|\{{([0-9]+)\}})(?=$|[ A-Z()\[\]^\0])", r"\1\2"),
        (rf"{_SYMBOL}_([a-z])", r"_{\1}"),
        (rf"{_SUBSTANCE}\^([0-9]+[+-])(?=$|[ )\]])", r"\1^{\2}"),
        (r"(?<![^ (\[])\^([0-9]+)(?=[A-Z])", r"^{\1}"),
        # A charge of one without sign.
        (rf"{_SUBSTANCE}\^(?:\{{\+\}}|\+)(?=$|[ )\]])", r"\1+"),
        (rf"{_SUBSTANCE}\^(?:\{{-\}}|-)(?=$|[ \]])", r"\1-"),
    )
]


def normal_chemistry(command: str, tokens: Sequence[str]) -> list[str]:
    r"""The normal form of chemistry: the tokens between the braces of `\ce` or `\pu`."""
    argument = "".join(tokens)
    return chemistry_tokens(_trimmed(_normal(argument) if command == "\\ce" else argument))


def _normal(argument: str) -> str:
    # Substances, and between two of them an arrow and what stands above and below it.
    parts = _ARROW.split(argument.translate(_CHARACTERS))
    for place in range(0, len(parts) - 1, 3):
        parts[place] = _normal_substances(parts[place] + _BEFORE_ARROW)[:-1]
        parts[place + 1] = _ARROWS.get(parts[place + 1], parts[place + 1])
    parts[-1] = _normal_substances(parts[-1])
    return "".join(parts)


def _normal_substances(latex: str) -> str:
    if not _HARD.search(latex):
        for pattern, replacement in _RULES:
            latex = pattern.sub(replacement, latex)
    return latex


def _trimmed(argument: str) -> str:
    """Without spaces at the ends that make no difference, and with one space for several."""
    latex = _SPACE_RUN.sub(" ", argument)
    stripped = latex.strip(" ")
    return stripped if _END.search(stripped) else latex.lstrip(" ")
