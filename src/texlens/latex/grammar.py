r"""LaTeX as a language that a model writes token by token, in the grammar format of llguidance.

A formula of this language parses in KaTeX: groups, `\left` and environments close, known commands
have their arguments, no atom has two subscripts, and `&` stands only in environments. Not in the
language: what KaTeX does not know, definitions, colours, labels, characters beyond ASCII, and
environments that are a display of their own.

`formula.lark` holds the rules. The format is Lark's with the extensions of llguidance
(https://github.com/guidance-ai/llguidance), which other servers of models understand too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from importlib import resources

from texlens.latex import symbols
from texlens.latex.symbols import commands

# Drawn by MathJax, unknown to KaTeX; or, \degree, a superscript to it.
_NOT_IN_KATEX = commands(
    "degree iddots idotsint iiiint mathdollar mathparagraph mathsection ointop dotfill hfilneg hrulefill "
    "genfrac mathchoice"
)
_SYMBOLS = (
    symbols.SYMBOLS
    | symbols.SYNONYMS.keys()
    | symbols.ORDINARY
    | commands("not slash dag ddag l L O o i AA")
) - (_NOT_IN_KATEX | symbols.SPACES | symbols.FONTS | commands("Bbb bold frak bm"))
# What may stand as an argument without braces.
_SINGLE = (symbols.ORDINARY | symbols.BINARIES | symbols.RELATIONS) & _SYMBOLS
_NO_ATOMS = (
    symbols.SPACES
    | (symbols.SWITCHES - commands("hline hdashline"))
    | symbols.GLUE
    | symbols.DROPPED
    | commands("tiny scriptsize footnotesize small normalsize large Large LARGE huge Huge boldmath")
) - _NOT_IN_KATEX
_RULES = commands("hline hdashline")
_INFIX = symbols.INFIX.keys() | symbols.OTHER_INFIX
# After these, and after `\mathop` and `\operatorname`, `\limits` may stand.
_OPERATORS = symbols.NAMED_OPERATORS | symbols.LARGE_OPERATORS - _NOT_IN_KATEX - commands("intop")
_DELIMITERS = frozenset(
    ["(", ")", "[", "]", "/", "|", ".", "<", ">", "\\{", "\\}", "\\|"]
) | commands(
    "langle rangle lfloor rfloor lceil rceil lvert rvert lVert rVert lbrace rbrace lbrack rbrack "
    "backslash uparrow downarrow updownarrow Uparrow Downarrow Updownarrow lgroup rgroup "
    "lmoustache rmoustache vert Vert lt gt"
)
_ARRAYS = ("array", "darray")  # environments whose first argument says what their columns are
ENVIRONMENTS = (
    *_ARRAYS,
    *("matrix", "pmatrix", "bmatrix", "Bmatrix", "vmatrix", "Vmatrix", "smallmatrix"),
    *("cases", "dcases", "rcases", "drcases", "aligned", "gathered"),
)

_TEXT = commands(
    "text textrm textsf texttt textnormal textbf textmd textit textup emph mbox hbox fbox llap rlap"
)

# Commands with arguments, by the letters of `symbols.SIGNATURES`: a an argument, k one that may
# have no braces either, o one in brackets that may be absent.
_BY_ARGUMENTS: dict[str, set[str]] = {"a": {"\\smash"}, "aa": {"\\cfrac"}, "oa": set()}
for _name, _letters in symbols.SIGNATURES.items():
    if _name not in _NOT_IN_KATEX and _name[-1] != "*":
        _BY_ARGUMENTS.setdefault(_letters.replace("k", "a"), set()).add(_name)


@lru_cache(maxsize=1)
def words() -> dict[str, frozenset[str]]:
    """The words of the language, under the names of their terminals in the rules."""
    letters = {symbol for symbol in _SYMBOLS if symbol.isalpha() or symbol == "@"}
    apart = commands("mathop operatorname substack pmod pod")  # have rules of their own
    terminals: dict[str, Iterable[str]] = {
        "SYMBOL": _SYMBOLS - letters - _OPERATORS - {"[", "]", "*"},
        "OPERATOR": _OPERATORS,
        "NO_ATOM": _NO_ATOMS - {"\\ "},
        "SINGLE": _SINGLE - letters,
        "LIMITS": commands("limits nolimits"),
        "INFIX": _INFIX,
        "RULE": _RULES,
        "ONE": _BY_ARGUMENTS["a"] - apart | commands("Bbb bold frak bm"),
        "TWO": _BY_ARGUMENTS["aa"],
        "WITH_OPTION": _BY_ARGUMENTS["oa"] - {"\\smash"},
        "MATHOP": ["\\mathop"],
        "OPERATORNAME": ["\\operatorname"],
        "SUBSTACK": ["\\substack"],
        "HSPACE": ["\\hspace"],
        "MODULO": commands("mod pmod pod"),
        "TEXT": _TEXT,
        "SIZED": symbols.SIZED_DELIMITERS,
        "DELIMITER": _DELIMITERS - {"[", "]"},
        "LEFT": [f"\\left{delimiter}" for delimiter in _DELIMITERS],
        "MIDDLE": [f"\\middle{delimiter}" for delimiter in _DELIMITERS],
        "RIGHT": [f"\\right{delimiter}" for delimiter in _DELIMITERS],
    }
    return {name: frozenset(texts) for name, texts in terminals.items()}


@lru_cache(maxsize=1)
def lark_grammar() -> str:
    """The grammar as text: rules, words, environments."""
    rules = resources.files("texlens.latex").joinpath("formula.lark").read_text(encoding="utf-8")
    environments = [
        rf"/ ?\\begin\{{{name}\}}/ {'COLUMNS ' * (name in _ARRAYS)}rows / ?\\end\{{{name}\}}/"
        for name in ENVIRONMENTS
    ]
    lines = [f"{name}: / ?({_any_of(texts)})/" for name, texts in words().items()]
    return "\n".join([rules, *lines, f"environment: {' | '.join(environments)}", ""])


def _any_of(texts: Iterable[str]) -> str:
    return "|".join(re.escape(text).replace("/", r"\/") for text in sorted(texts))
