# ruff: noqa: SIM905  (lists of commands read best as text)
r"""Boxes of tokens for CDM without TeX: MathJax draws every token in a colour of its own.

The official code draws with TeX. MathJax knows other commands and stops at errors that TeX
survives, so the formula is written differently for it:

- `\mathcolor{\left(} ... \mathcolor{\right)}` is no LaTeX; our engine has `\delimcolor` for it;
- a coloured `\sum` would lose its limits, so its scripts stay inside its colour;
- a command without its argument, which the colouring took (`\mathit`, `\operatorname*`), draws
  nothing in TeX; such commands were found with TeX (`_LEFT_ALONE`).

Lengths are in pixels of the official pictures: 200 dpi at 12 points.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from texlens.engine import Box, Drawing
from texlens.metrics.cdm.commands import LARGE_OPERATORS, LIMIT_OPERATORS
from texlens.metrics.cdm.matching import CROP_PADDING_PX, Inked
from texlens.metrics.cdm.repair import repaired
from texlens.metrics.cdm.tokens import CLOSE, CLOSE_BRACED, Ink, Painted

if TYPE_CHECKING:
    from texlens.metrics.base import Drawings

PIXELS_PER_EM: Final = 12 * 200 / 72.27
# TeX's letters for 12 points are narrower than those for 10, which MathJax has: the quad of cmr12.
NARROWER: Final = 0.979

_FENCE: Final = re.compile(r"\\(?:left|right)(?![A-Za-z])")
# Operators whose scripts may be above and below.
_WITH_LIMITS: Final = (
    LARGE_OPERATORS
    | LIMIT_OPERATORS
    | frozenset(
        r"""\iiiint \injlim \projlim \varlimsup \varliminf \varinjlim \varprojlim
        \underbrace""".split()
    )
)
_ACCENTS: Final = frozenset(["\\acute", "\\grave"])  # the others have their argument in the colour
_UNCOLOURED: Final = frozenset(  # switches and spaces
    r"""\bf \rm \it \cal \sf \tt \mit \textstyle \scriptscriptstyle \displaystyle \scriptstyle
    \; \: \> \  \enspace \thinspace \medspace \thickspace \!""".split()
)
_WRITTEN: Final = {  # pieces without ink of their own that are written differently for MathJax
    "\\": "\\ ",
    "\\\\": "\\\\[-.19em]",  # lines 14.5 points apart, where MathJax sets them 1.4 em
    CLOSE: "}",
    CLOSE_BRACED: "}}",
    **dict.fromkeys([r"\text", r"\textrm", r"\textnormal", r"\textup", r"\textmd", r"\textsc"], r"\mathrm"),
    r"\textbf": r"\mathbf", r"\textit": r"\mathit", r"\emph": r"\mathit",
    r"\texttt": r"\mathtt", r"\textsf": r"\mathsf",
    **dict.fromkeys(
        r"""\hline \boldmath \index \a $ \def \edef \gdef \raggedright \url \ensuremath \left
        \right \mathchoice \today \the \multirow""".split(),
        "",
    ),
}  # fmt: skip
# MathJax's fraction bar is longer than TeX's by a tenth of an em on each side.
_NARROW_BAR: Final = "\\kern-.2em"
_INK_WRITTEN: Final = {  # tokens with ink
    r"\not": r"\mathrel{\rlap{\kern.139em/}}",
    r"\Tilde": r"\tilde", r"\Bar": r"\bar", r"\Vec": r"\vec", r"\Ddot": r"\ddot",
    r"\overrightarrow": r"\lower.55em{\overrightarrow{}}",  # over nothing, as \mathit has nothing
    r"\overleftarrow": r"\lower.55em{\overleftarrow{}}",
    r"\overbrace": r"\lower.55em{\overbrace{}}",
    r"\slash": "/", r"\i": r"\imath", r"\j": r"\jmath",
    "#": "", "%": r"\%",
}  # fmt: skip
# Commands without their argument, which the colouring took: they draw nothing.
_LEFT_ALONE: Final = frozenset(
    r"""\operatorname* \mathit \mathscr \mathsf \mathtt \hspace \vspace \hskip \kern
    \mkern \mskip \vskip \label \tag \fbox \makebox \framebox \raisebox \llap \rlap \middle \mathrel
    \mathord \mathopen \mathclose \mathpunct \mathinner \limits \nolimits \nonumber \notag \big \Big
    \bigg \Bigg \bigl \Bigl \biggl \Biggl \bigr \Bigr \biggr \Biggr \bigm \Bigm \biggm \Biggm \[ \]
    \( \) \tiny \scriptsize \footnotesize \small \normalsize \large \Large \LARGE \huge \Huge \em
    \comment \circle \line \put \noalign \atop \sb \sp \hfill \hphantom \noindent \bfseries
    \begin \end \par \smallskip""".split()
)


# Commands that MathJax knows and TeX, with the packages of the official code, does not: no ink, and
# the group after them is drawn as any other.
_UNKNOWN_TO_TEX: Final = frozenset(
    r"""\lt \gt \bm \mathscr \mathbbm \mathbbmss \mathds \mathpzc \mathup \omicron \degree \celsius
    \ohm \micro \bra \ket \braket \Bra \Ket \Braket \ketbra \Ketbra \set \Set \cancel \bcancel
    \xcancel \cancelto \ce \cf \pu \bigtimes \iddots \oiint \oiiint \coloneq \coloneqq \Coloneq
    \Coloneqq \colonapprox \colonsim \dblcolon \eqcolon \eqqcolon \vcentcolon \ordinarycolon
    \centernot \notChar \nuparrow \ndownarrow \lparen \rparen \overbracket \underbracket \overparen
    \underparen \xRightarrow \xLeftarrow \xleftrightarrow \xLeftrightarrow \xmapsto
    \xhookleftarrow \xhookrightarrow \xrightleftharpoons \xleftrightharpoons \xrightharpoonup
    \xrightharpoondown \xleftharpoonup \xleftharpoondown \xlongequal \xtwoheadrightarrow
    \xtwoheadleftarrow \xtofrom \prescript \splitfrac \splitdfrac \mathclap \mathllap \mathrlap
    \textclap \textllap \textrlap \clap \cramped \scalebox \resizebox \href \unicode \style \class
    \cssId \adjustlimits \stackbin \mathmbox \mathmakebox \Aboxed \symbf \symbb \symcal \symit
    \symrm \symup \symscr \symfrak \symsf \symtt \upomicron \primes \oldstyle""".split()
)
# Characters beyond ASCII that pdflatex draws: Latin letters and some punctuation, and Chinese, for
# which the official code loads fonts. The rest, such as α or ≤, leaves no ink.
_DRAWN_BEYOND_ASCII: Final = re.compile(
    "[¡¸¿À-ÏÑ-ÖØ-Ýß-ïñ-öø-ýÿĀ-ďĒ-ĥĨ-ķĹ-ľŁ-ňŌ-ťŨ-žǍ-ǔǢǣǦ-ǫǰǴǵȘ-țȲȳ‐-―‘’“”…⁄←-↓\u3400-\u9fff]"
)
_PRINTABLE_ASCII: Final = re.compile("[!-~]")
_RAW_DELIMITERS: Final = frozenset(["$", "\\[", "\\]", "\\(", "\\)"])
_COMMAND: Final = re.compile(r"\\(?:[A-Za-z]+|.)|\$", re.S)
_TO_REMOVE: Final = re.compile(
    r"(?:Undefined control sequence|Missing argument for) (?!\\mathcolor)(\\(?:[A-Za-z]+|.))"
    r"|(\\[a-z]+) is allowed only on operators",
    re.S,
)
_BRACE: Final = re.compile(r"\\mathcolor\{#\w+\}\{|\\.|[{}]", re.S)
_ATTEMPTS: Final = 6
_TOKEN_COLOUR: Final = re.compile("#[0-9a-f]{6}")


def draw(formulas: Sequence[Painted], drawings: Drawings) -> list[Inked | None]:
    """The inked tokens of each formula; None where MathJax fails or no token leaves ink."""
    return [
        read_boxes(found[1], formula.tokens) if found else None
        for formula, found in zip(formulas, coloured(formulas, drawings), strict=True)
    ]


class _Repair(NamedTuple):
    """How to change a formula that stops MathJax: commands to remove, and whether to repair it."""

    without: frozenset[str] = frozenset()
    brackets: bool = False

    def after(self, message: str) -> _Repair | None:
        """The next attempt after this message of MathJax; None when there is none left."""
        if match := _TO_REMOVE.search(message):
            command = match[1] or match[2]
            return (
                None
                if command in self.without
                else _Repair(self.without | {command}, self.brackets)
            )
        return None if self.brackets else _Repair(self.without, True)


_AS_IT_IS: Final = _Repair()


def coloured(formulas: Sequence[Painted], drawings: Drawings) -> list[tuple[str, Drawing] | None]:
    """Each formula as written for MathJax and as drawn; None where MathJax fails.

    TeX ignores unknown commands and those without their argument: here they are removed one by
    one. After any other error the formula is repaired.
    """
    found: list[tuple[str, Drawing] | None] = [None] * len(formulas)
    waiting = {
        number: _AS_IT_IS
        for number, formula in enumerate(formulas)
        if formula.parsed or not _runs_away(latex_of(formula))
    }
    for _ in range(_ATTEMPTS):
        written = [latex_of(formulas[number], repair) for number, repair in waiting.items()]
        failed: dict[int, _Repair] = {}
        for (number, repair), latex, result in zip(
            waiting.items(), written, drawings.draw(written), strict=True
        ):
            if isinstance(result, Drawing):
                found[number] = latex, result
            elif result.kind == "parse" and (more := repair.after(result.message)):
                failed[number] = more
        if not failed:
            break
        waiting = failed
    return found


def latex_of(formula: Painted, repair: _Repair = _AS_IT_IS) -> str:
    """The formula with its colours, for MathJax: token number n is drawn in colour n + 1."""
    without = repair.without
    if not formula.parsed:
        without |= _UNKNOWN_TO_TEX | _RAW_DELIMITERS
    latex = _Writer(formula.pieces, without, braced=repair.brackets).write()
    return repaired(latex) if repair.brackets else latex


def _colour(piece: Ink) -> str:
    return f"{{#{piece.number + 1:06x}}}"


def _runs_away(latex: str) -> bool:
    r"""Whether TeX would look for the end of a coloured token until the file ends.

    A word of a broken formula may hold the `{` of an argument, or end in a backslash that takes
    the brace of the colour for itself. TeX makes no page then.
    """
    open_: list[bool] = []  # of every open brace: whether it is that of a colour
    for found in _BRACE.finditer(latex):
        if found[0] == "}":
            del open_[-1:]
        elif found[0][-1] == "{" and found[0] != r"\{":
            open_.append(len(found[0]) > 1)
    return any(open_)


class _Writer:
    """Writes the pieces; with `braced` every coloured token is in braces, as an argument must be."""

    def __init__(
        self, pieces: Sequence[str | Ink], without: frozenset[str], *, braced: bool
    ) -> None:
        self.pieces = pieces
        self.without = without
        self.braced = braced
        self.words: list[str] = []

    def write(self) -> str:
        end = 0
        while end < len(self.pieces):
            end = self.piece(end)
        return " ".join(self.words)

    def piece(self, index: int) -> int:
        """Write one piece, and the scripts that belong inside its colour; where to go on."""
        piece = self.pieces[index]
        if isinstance(piece, str):
            self.words.append(self.cleaned(_WRITTEN.get(piece, piece)))
            return index + 1
        token = piece.token
        if token[:1] == "\\":  # a token may be empty
            if token in _LEFT_ALONE or token in _UNKNOWN_TO_TEX:
                return index + 1
            if token in _UNCOLOURED or _FENCE.match(token):
                colour = "" if token in _UNCOLOURED else f"\\delimcolor{_colour(piece)}"
                self.words.append(colour + token)
                return index + 1
            if token in _WITH_LIMITS or token in _ACCENTS:
                self.words.append(f"\\mathcolor{_colour(piece)}{{{token}")
                index = (
                    self.scripts(index, piece) if token in _WITH_LIMITS else self.group(index + 1)
                )
                self.words.append("}")
                return index
        elif len(token) == 1 and not (
            _PRINTABLE_ASCII.match(token) or _DRAWN_BEYOND_ASCII.match(token)
        ):
            return index + 1
        token = self.cleaned(_INK_WRITTEN.get(token, token))
        braced = piece.braced or (self.braced and not piece.opens)
        bar = _NARROW_BAR if piece.opens and token == "\\frac" else ""
        self.words.append(bar + piece.coloured(_colour(piece), token, braced=braced))
        return index + 1

    def cleaned(self, word: str) -> str:
        """The word without the commands to be removed."""
        if not self.without:
            return word
        return _COMMAND.sub(lambda found: "" if found[0] in self.without else found[0], word)

    def scripts(self, index: int, piece: Ink) -> int:
        """Write the arguments and the scripts of an operator."""
        index += 1
        if piece.opens:
            while self.pieces[index] != CLOSE:
                index = self.piece(index)
            index += 1
        while index + 1 < len(self.pieces) and self.pieces[index] in ("_", "^"):
            self.words.append(str(self.pieces[index]))
            index = self.group(index + 1)
        return index

    def group(self, index: int) -> int:
        """Write the braced group at `index`."""
        depth = 0
        while index < len(self.pieces):
            piece = self.pieces[index]
            depth += (piece == "{") - (piece == "}")
            index = self.piece(index)
            if depth <= 0:
                break
        return index


def token_number(box: Box) -> int:
    """The number of the token that a box belongs to; -1 for ink without a token's colour."""
    return int(box.color[1:], 16) - 1 if _TOKEN_COLOUR.fullmatch(box.color) else -1


def read_boxes(
    drawing: Drawing, tokens: Sequence[str], owners: Sequence[int] | None = None
) -> Inked | None:
    """The boxes of the tokens in pixels, as a picture would show them; None without any.

    `owners` are the numbers of the tokens that the boxes belong to; without them the colours are.
    """
    boxes = drawing.boxes
    if not boxes:
        return None
    em = np.array([(box.x0, box.y0, box.x1, box.y1) for box in boxes])
    em -= np.tile(em[:, :2].min(axis=0), 2)
    # Pixels, with one more on every side; the last pixel of a box is the one before its edge.
    pixels = np.array([NARROWER, 1.0, NARROWER, 1.0]) * PIXELS_PER_EM
    corners = em * pixels + np.array([-1, -1, 0, 0]) + CROP_PADDING_PX
    sides = em[:, 2:].max(axis=0) * np.array([NARROWER, 1.0]) * PIXELS_PER_EM
    width, height = (sides - 1 + 2 * CROP_PADDING_PX).tolist()
    numbers = np.array([token_number(box) for box in boxes] if owners is None else owners)
    return Inked.of(tokens, numbers, corners, width, height)
