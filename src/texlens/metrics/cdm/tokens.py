# ruff: noqa: SIM905  (lists of commands read best as text)
r"""The tokens that CDM counts, which of them are drawn, and which are almost equal.

A formula is normalised twice before it is drawn. First the grammar of `grammar` parses it; where it
refuses, the raw text is split at spaces. Then tokens are rewritten (`\sin` becomes letters in
`\mathrm`, dots become three full stops) and arguments are put in braces. Last, `paint` gives a
colour to every token that should leave ink of its own.

All of it follows the official code, with one bug of it: inside `\sqrt`, `\mathrm` and the like the
end of the group is not updated after closing braces of nested fractions were inserted, so one token
is skipped for every third of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from texlens.metrics.cdm import grammar as cdm_grammar

_PERCENT: Final = "\uffff"  # replaces `\%` while comments are removed

_RENAMED_ENVIRONMENTS: Final = (
    (re.compile(r"\\begin\{(split|align|alignedat|alignat|eqnarray)\*?\}(.+?)\\end\{\1\*?\}", re.S), "aligned"),
    (re.compile(r"\\begin\{(smallmatrix)\*?\}(.+?)\\end\{\1\*?\}", re.S), "matrix"),
)  # fmt: skip
_LABEL: Final = re.compile(r"\\label\{.*?\}")
_ROMAN_GROUP: Final = (("{\\rm", "\\mathrm{"), ("{ \\rm", "\\mathrm{"), ("\\rm{", "\\mathrm{"))
_ROMAN_ROUNDS: Final = 300
_PLAIN_MATRIX: Final = re.compile(r"\\(p?matrix)")  # plain TeX's; amsmath's clash with them
_CJK: Final = re.compile(r"[\u4e00-\u9fff]")
_CJK_RUN: Final = re.compile(r"(?<!\\text\{)[\u4e00-\u9fff\u3400-\u4dbf]+")
_FORGOTTEN: Final = ("\\raggedright", "\\arraybackslash", "\\lowercase", "\\uppercase", "\\lefteqn")

_DOTS: Final = (". . .").split()
_REWRITTEN: Final[dict[str, list[str]]] = {
    "--": ["-", "-"],
    "---": ["-", "-", "-"],
    **dict.fromkeys(
        r"""… \ldots \hdots \cdots \dddot \dots \dotsc \dotsi \dotsm \dotso \dotsb
        \mathellipsis""".split(),
        _DOTS,
    ),
    **{
        f"\\{word}": ["\\mathrm", "{", *word, "}"]
        for word in """ex ln lg cot mod min max ker hom sec scs csc deg arg log dim exp sin cos tan
        tanh cosh sinh coth arcsin arccos arctan""".split()
    },
    "\\bmod": ["\\mathrm", "{", *"mod", "}"],
    "\\pmod": ["\\mathrm", "{", *"mod", "}"],
    "\\footnote": ["^"],
}
_BIG: Final = re.compile(r"\\[Bb]igg?[glrm]?\Z")

# Which commands take arguments, and whether the command itself leaves ink.
_TWO_ARGUMENTS: Final = frozenset(["\\frac", "\\binom"])
_OPTION_AND_ARGUMENT: Final = frozenset(["\\xrightarrow", "\\xleftarrow", "\\sqrt"])
_STACKS: Final = frozenset(["\\overset", "\\underset", "\\stackrel"])
_MARKS: Final = frozenset(
    r"""\widetilde \overline \hat \widehat \tilde \Tilde \dot \bar \vec \underline \underbrace
    \check \breve \Bar \Vec \mathring \ddot \Ddot \dddot \ddddot""".split()
)
_FONTS: Final = frozenset(
    r"""\boldsymbol \pmb \textbf \mathrm \mathbf \mathbb \mathcal \textmd \texttt \textnormal \text
    \textit \textup \mathop \mathbin \smash \operatorname \textrm \mathfrak \emph \textsf
    \textsc""".split()
)
_ONE_ARGUMENT: Final = _MARKS | _FONTS
_PHANTOMS: Final = frozenset(
    r"""\fontfamily \vphantom \phantom \rowcolor \ref \thesubequation \global
    \theboldgroup""".split()
)
_SPANS: Final = frozenset(["\\multicolumn", "\\multirow"])
_INKLESS: Final = _STACKS | frozenset(
    r"""\ \\ \index \a & $ \def \edef \raggedright \url \cr \ensuremath \left \right \mathchoice
    \scriptstyle \displaystyle \qquad \quad \, \! ~ \boldmath \gdef \today \the""".split()
)
_KINDS: Final[dict[str, str]] = {
    **dict.fromkeys(_INKLESS | frozenset("{}^_"), "no ink"),
    **dict.fromkeys("[]", "bracket"),
    **dict.fromkeys(_SPANS, "span"),
    **dict.fromkeys(_OPTION_AND_ARGUMENT, "option"),
    **dict.fromkeys(_FONTS, "font"),
    **dict.fromkeys(_MARKS, "mark"),
    **dict.fromkeys(_TWO_ARGUMENTS, "two arguments"),
    **dict.fromkeys(_PHANTOMS, "phantom"),
}
_INKLESS_START: Final = re.compile(r"[{}^_\[\]]|\\begin\{.*?\}|\\end\{.*?\}|\\.*rule|\\.*line")

MAX_CHARACTERS: Final = 20_000  # of a formula; the longest of 100,000 in papers has 6,000
_MAX_DEPTH: Final = 200


class Ink(NamedTuple):
    """A token drawn in a colour of its own.

    With `opens` its colour also covers the arguments that follow, up to a `CLOSE`; with `braced`
    it is in a group of its own.
    """

    number: int
    token: str
    opens: bool = False
    braced: bool = False

    def coloured(self, colour: str, token: str, *, braced: bool) -> str:
        """The token inside `\\mathcolor`; the colour's brace stays open where the token `opens`."""
        word = f"\\mathcolor{colour}{{{token}" + "}" * (not self.opens)
        return f"{{{word}{'}' * (not self.opens)}" if braced else word


CLOSE: Final = "}\0"
"""Ends what an `Ink` with `opens` began."""
CLOSE_BRACED: Final = "}}\0"


@dataclass(frozen=True, slots=True)
class Painted:
    """A formula ready to be drawn: LaTeX pieces and the tokens that have colours, in order.

    `parsed` is whether the grammar could parse it; else the pieces are those of its raw text.
    """

    pieces: tuple[str | Ink, ...]
    tokens: tuple[str, ...]
    parsed: bool


def paint(latex: str) -> Painted | None:
    """The normalised tokens of a formula with their colours; None where the official code fails.

    Also None for more than `MAX_CHARACTERS`.
    """
    if len(latex) > MAX_CHARACTERS:
        return None
    try:
        words, parsed = normalise(latex)
        painter = _Painter(words)
        index = 0
        while index < len(painter.pieces):
            index = painter.paint(index)
    except (_Unmatched, IndexError):
        return None
    return Painted(tuple(painter.pieces), tuple(painter.tokens), parsed)


def normalise(latex: str) -> tuple[list[str], bool]:
    """Both normalisations, and whether the grammar could parse the formula.

    Raises `_Unmatched` or `IndexError` where an argument is missing.
    """
    latex = latex.replace("\n", " ")
    chinese = contains_chinese(latex)
    if chinese:
        latex = latex.replace("，", ", ").replace("：", ": ").replace("；", "; ")
        latex = _CJK_RUN.sub(lambda run: f"\\text{{{run[0]}}}", latex)
    words = first_tokens(latex)
    parsed = words is not None
    if words is None:
        raw = latex
        for command in _FORGOTTEN:
            raw = raw.replace(command, "")
        raw = _PLAIN_MATRIX.sub(r"\\my\1", raw)
        words = raw.strip().split(" ")
    if chinese:
        words = [word.replace("\\mathrm", "\\text") for word in words]
    return _with_arguments_in_braces(_merged(_rewritten(words))), parsed


def contains_chinese(text: str) -> bool:
    """Whether the official code would load Chinese fonts for a text."""
    return _CJK.search(text) is not None


def first_tokens(latex: str) -> list[str] | None:
    """The first normalisation; None where the grammar refuses or nothing is left."""
    line = latex.replace("\\%", _PERCENT).replace("\r", " ")
    for pattern, name in _RENAMED_ENVIRONMENTS:
        line = pattern.sub(rf"\\begin{{{name}}}\2\\end{{{name}}}", line)
    line = line.removeprefix("%").split("%", 1)[0]
    line = line.replace("\\~", " ").replace("\\>", " ").replace("$", " ")
    line = _LABEL.sub("", line)
    if not any(word in line for word in ("matrix", "cases", "array", "begin")):
        line = line.replace("\\\\", "\\,")
    for _ in range(_ROMAN_ROUNDS if "\\rm" in line else 0):
        before = line
        for old, new in _ROMAN_GROUP:
            line = line.replace(old, new, 1)
        if line == before:
            break
    words = cdm_grammar.tokens(line + " ")  # so that a `\\` at the end is a space
    if not words:
        return None
    if _PERCENT in line:
        words = [word.replace(_PERCENT, "\\%") for word in words]
    return words


def _rewritten(words: list[str]) -> list[str]:
    """Tokens replaced one by one, so that dots and function names match part by part."""
    rewritten: list[str] = []
    for word in words:
        if word in _REWRITTEN:
            rewritten += _REWRITTEN[word]
        elif word not in _FORGOTTEN:
            rewritten.append("\\" if word == "\\ " else word)
    return rewritten


def _merged(words: list[str]) -> list[str]:
    """Tokens that are drawn together become one: `\\big (`, `\\string x`, lengths, column types."""
    merged: list[str] = []
    index, count = 0, len(words)
    while index < count:
        word = words[index]
        index += 1
        if word[:1] == "\\" and index < count:
            after = words[index]
            if (
                (_BIG.match(word) and (after[:1] == "\\" or after in tuple("(){}|[]")))
                or word == "\\string"
                or (word == "\\'" and len(after) == 1 and after != "{")
            ):
                word += after
                index += 1
            elif word == "\\operatorname" and after == "*":
                index += 1
            elif word in ("\\hspace", "\\vspace") and (end := _plain_group(words, index, _LENGTH)):
                word += "".join(words[index:end])
                index = end
            elif word in _COLOURS:
                while index < count and words[index] in tuple("[]RGBrgb"):
                    index += 1
                if end := _plain_group(words, index, _COLOUR):
                    index = end
                    continue
            elif word == "\\begin{array}" and (end := _plain_group(words, index, _COLUMNS)):
                merged.append(word)
                word = "".join(words[index:end])
                index = end
            elif (
                word == "\\rule"
                and (middle := _plain_group(words, index, _LENGTH))
                and (end := _plain_group(words, middle, _LENGTH))
            ):
                word += "".join(words[index:end])
                index = end
        merged.append(word)
    return merged


_LENGTH: Final = re.compile(r"[.0-9a-z]+")
_COLOURS: Final = frozenset(r"\colorbox \color \textcolor \cellcolor".split())
_COLOUR: Final = re.compile(r"[A-Za-z0-9,!]+")
_COLUMNS: Final = re.compile(r"[lrc]+")


def _plain_group(words: list[str], start: int, word: re.Pattern[str]) -> int:
    """The end of a group at `start` that holds only such words and is not empty; else 0."""
    if start >= len(words) or words[start] != "{":
        return 0
    end = start + 1
    while end < len(words) and word.fullmatch(words[end]):
        end += 1
    return end + 1 if start + 1 < end < len(words) and words[end] == "}" else 0


class _Unmatched(Exception):
    """A brace does not close, or groups nest too deep."""


def _closing(words: list[str | Ink] | list[str], start: int, left: str, right: str) -> int:
    """Where the bracket at `start` closes; -1 if the count comes back to zero nowhere.

    The count starts at zero whatever is at `start`, as in the official code.
    """
    depth = 0
    for index in range(start, len(words)):
        word = words[index]
        if word == left:
            depth += 1
            if depth > _MAX_DEPTH:
                raise _Unmatched
        elif word == right:
            depth -= 1
            if depth == 0:
                return index
    if depth > 0:
        raise _Unmatched
    return -1


def _with_arguments_in_braces(words: list[str]) -> list[str]:
    """Every argument of a command in braces: `\\hat x` becomes `\\hat { x }`."""
    words = ["", *words, ""]
    index = 0
    while index < len(words):
        word = words[index]
        if word in _ONE_ARGUMENT:
            after = index + 1
            while after < len(words) and words[after] in _ONE_ARGUMENT:
                after += 1
            if after > index + 1 or words[after] != "{":
                _brace_chain(words, index, after)
        elif word in _OPTION_AND_ARGUMENT:
            argument = index + 1
            if words[argument] == "[":
                argument = _closing(words, argument, "[", "]") + 1
            _brace_word(words, argument)
        elif word in _TWO_ARGUMENTS or word in _STACKS:
            _brace_word(words, index + 1)
            _brace_word(words, _closing(words, index + 1, "{", "}") + 1)
        index += 1
    filled = [place for place, word in enumerate(words) if word]
    return words[filled[0] : filled[-1] + 1] if filled else []


def _brace_chain(words: list[str], start: int, end: int) -> None:
    """`\\hat \\mathrm x` becomes `\\hat { \\mathrm { x } }`."""
    if words[end] == "{":
        close = _closing(words, end, "{", "}")
        argument = words[end + 1 : close]
    else:
        close = end
        argument = [words[end]]
    opened = [word for command in words[start:end] for word in (command, "{")]
    words[start : close + 1] = [*opened, *argument, *["}"] * (end - start)]


def _brace_word(words: list[str], index: int) -> None:
    """Braces around the word at `index`, unless a group is there."""
    if words[index] != "{":
        words[index : index + 1] = ["{", words[index], "}"]


class _Painter:
    """Walks the words and turns them into `pieces`."""

    def __init__(self, words: list[str]) -> None:
        self.pieces: list[str | Ink] = list(words)
        self.tokens: list[str] = []

    def paint(self, index: int, *, braced: bool = False) -> int:
        """Colour the word at `index`, with what belongs to it; returns where to go on."""
        pieces = self.pieces
        word = pieces[index]
        if isinstance(word, Ink) or not word:
            return index + 1
        kind = _KINDS.get(word)
        if kind is None:
            if word[0] not in "{}^_[]\\" or not _INKLESS_START.match(word):
                self._colour(index, braced=braced or (index > 1 and pieces[index - 1] == "_"))
        elif kind == "font":
            return self._font(index)
        elif kind == "two arguments":
            self._cover(index, self._argument_end(self._argument_end(index + 1) + 1))
        elif kind == "mark":
            end = self._argument_end(index + 1)
            scripted = word != "\\underbrace" and pieces[end + 1 : end + 2] == ["_"]
            self._cover(index, end, braced=scripted)
        elif kind == "option":
            return self._option_and_argument(index)
        elif kind == "bracket":
            before = pieces[index - 1] if word == "[" else pieces[index - 3] if index >= 3 else None
            if before is not None and before != "\\sqrt":
                self._colour(index)
        elif kind == "phantom":
            return self._argument_end(index + 1) + 1 if pieces[index + 1] == "{" else index + 2
        elif kind == "span":
            start = self._argument_end(self._argument_end(index + 1) + 1) + 1
            end = self._argument_end(start)
            if min(start, end) <= index:  # the official code would begin again, without end
                raise _Unmatched
            return self._between(start, end)
        return index + 1

    def _argument_end(self, start: int) -> int:
        return _closing(self.pieces, start, "{", "}")

    def _colour(self, index: int, *, opens: bool = False, braced: bool = False) -> None:
        word = self.pieces[index]
        assert isinstance(word, str)
        self.pieces[index] = Ink(len(self.tokens), word, opens, braced)
        self.tokens.append(word)

    def _cover(self, index: int, end: int, *, braced: bool = False) -> None:
        """Colour a command together with its arguments, which end at `end`."""
        self._colour(index, opens=True, braced=braced)
        self.pieces.insert(end + 1, CLOSE_BRACED if braced else CLOSE)

    def _between(self, start: int, end: int, *, braced: bool = False) -> int:
        """Colour what is between two brackets; `end` is where the second was before that."""
        index = start + 1
        while index < end:
            index = self.paint(index, braced=braced)
        return end + 1

    def _font(self, index: int) -> int:
        end = self._argument_end(index + 1)
        if end == index + 3:  # a single word is coloured whatever it is
            self._colour(index + 2)
            return end + 1
        return self._between(index + 1, end)

    def _option_and_argument(self, index: int) -> int:
        argument = index + 1
        if self.pieces[argument] == "[":
            argument = _closing(self.pieces, argument, "[", "]") + 1
        end = self._argument_end(argument)
        self._cover(index, end)
        if argument > index + 1:
            self._between(index + 1, argument - 1, braced=True)
        return self._between(argument, end)


_SAME: Final = {
    **dict.fromkeys(["\\dot", "\\Dot", "\\cdot", "\\cdotp", "\\ldotp"], "."),
    **dict.fromkeys(["\\mid", "\\vert", "\\lvert", "\\rvert"], "|"),
    **dict.fromkeys(["\\Vert", "\\lVert", "\\rVert", "\\parallel"], "\\|"),
    "\\rightarrow": "\\to", "\\top": "T", "\\prime": "'", "\\ast": "*", "\\colon": ":",
    "\\left<": "\\langle", "\\right>": "\\rangle",
    "\\lbrace": "\\{", "\\rbrace": "\\}", "\\lbrack": "[", "\\rbrack": "]",
    "\\blackslash": "/", "\\slash": "/", "\\leq": "\\le", "\\geq": "\\ge", "\\neq": "\\not=",
    "\\Tilde": "\\tilde", "\\Ddot": "\\ddot", "\\Bar": "\\bar", "\\Vec": "\\vec",
    "\\dag": "\\dagger", "\\ddag": "\\ddagger", "\\neg": "\\lnot",
    "\\textlangle": "<", "\\textrangle": ">", "\\textgreater": ">", "\\textless": "<",
    "\\textbackslash": "n", "\\textunderscore": "_", "\\=": "_",
}  # fmt: skip


def same_token(token: str) -> str:
    r"""The official token map: tokens with the same result look the same.

    It keeps what follows `\left`, `\right` and `\big` (so that every `\bigcup` is a `p`), replaces
    synonyms, and drops "wide" and "var".
    """
    if token[:1] != "\\":
        return token
    if token.startswith(("\\left", "\\right")) and not any(
        word in token for word in ("arrow", "<", ">", "harpoon")
    ):
        token = token.replace("\\left", "").replace("\\right", "")
    if token.startswith(("\\big", "\\Big")):
        rest = token[4:]
        token = "\\" + rest.rsplit("\\", 1)[-1] if "\\" in rest else token[-1]
    token = _SAME.get(token, token)
    for start, dropped in (("\\wide", "wide"), ("\\var", "var"), ("\\string", "\\string")):
        if token.startswith(start):
            return token.replace(dropped, "")
    return token
