r"""LaTeX as a language that is written piece by piece: what may come next, and what is still owed.

A pushdown automaton over pieces: a command, `\begin{array}`, `\left(`, or one character. A formula
whose pieces were all allowed and after which `Grammar.accepts` is true parses in KaTeX: groups,
`\left` and environments close, known commands have their arguments, no atom has two subscripts, and
`&` stands only in environments. What KaTeX does not know is no part of the language, and neither
are definitions, colours, labels, characters beyond ASCII, and environments that are a display of their
own.

A `State` is a value: it can be kept, compared and continued in several ways.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from typing import NamedTuple

from texlens.latex import symbols
from texlens.latex.spelling import part_delimiter

MAX_DEPTH = 40  # of groups within groups; no formula on paper comes near


def _commands(names: str) -> frozenset[str]:
    return frozenset("\\" + name for name in names.split())


# Drawn by MathJax, unknown to KaTeX; or, \degree, a superscript to it.
_NOT_IN_KATEX = _commands(
    "degree iddots idotsint iiiint mathdollar mathparagraph mathsection ointop dotfill hfilneg hrulefill "
    "genfrac mathchoice"
)
_SYMBOLS = (
    symbols.SYMBOLS
    | symbols.SYNONYMS.keys()
    | symbols.ORDINARY
    | _commands("not slash dag ddag l L O o i AA")
) - (_NOT_IN_KATEX | symbols.SPACES | symbols.FONTS | _commands("Bbb bold frak bm"))
# What may stand as an argument without braces.
_SINGLE = (symbols.ORDINARY | symbols.BINARIES | symbols.RELATIONS) & _SYMBOLS
_NO_ATOMS = (
    symbols.SPACES
    | (symbols.SWITCHES - _commands("hline hdashline"))
    | symbols.GLUE
    | symbols.DROPPED
    | _commands(
        "tiny scriptsize footnotesize small normalsize large Large LARGE huge Huge boldmath"
    )
) - _NOT_IN_KATEX
_RULES = _commands("hline hdashline")
_INFIX = symbols.INFIX.keys() | symbols.OTHER_INFIX
_LIMITS = _commands("limits nolimits")
# After these, and after `\mathop` and `\operatorname`, \limits may stand.
_OPERATORS = _commands(
    "sum prod coprod int iint iiint oint oiint oiiint smallint bigcap bigcup biguplus bigsqcup "
    "bigvee bigwedge bigodot bigoplus bigotimes arccos arcsin arctan arctg arcctg arg ch cos cosec "
    "cosh cot cotg coth csc ctg cth deg det dim exp gcd hom inf injlim ker lg lim liminf limsup ln "
    "log max min Pr projlim sec sh sin sinh sup tan tanh tg th varinjlim varliminf varlimsup "
    "varprojlim argmax argmin"
)
_DELIMITERS = frozenset(
    ["(", ")", "[", "]", "/", "|", ".", "<", ">", "\\{", "\\}", "\\|"]
) | _commands(
    "langle rangle lfloor rfloor lceil rceil lvert rvert lVert rVert lbrace rbrace lbrack rbrack "
    "backslash uparrow downarrow updownarrow Uparrow Downarrow Updownarrow lgroup rgroup "
    "lmoustache rmoustache vert Vert lt gt"
)
_ENVIRONMENTS: dict[str, str] = {
    **dict.fromkeys(["array", "darray"], "C"),
    **dict.fromkeys(
        ["matrix", "pmatrix", "bmatrix", "Bmatrix", "vmatrix", "Vmatrix", "smallmatrix"], ""
    ),
    **dict.fromkeys(["cases", "dcases", "rcases", "drcases", "aligned", "gathered"], ""),
}

# The arguments of commands, one letter each: a formula, m one without \over, r rows of formulas, o formula in brackets
# (optional), * star (optional), T text, L length, C columns of an array, D delimiter.
_ARGUMENTS: dict[str, str] = {
    **{
        name: letters.replace("k", "a")
        for name, letters in symbols.SIGNATURES.items()
        if not set(letters) & set("rt") and name[-1] != "*" and name not in _NOT_IN_KATEX
    },
    **dict.fromkeys(_commands("Bbb bold frak bm"), "a"),
    "\\cfrac": "aa",
    "\\smash": "a",
    **dict.fromkeys(_commands("mod pmod pod"), "m"),
    "\\substack": "r",
    "\\operatorname": "*a",
    "\\hspace": "*L",
    **dict.fromkeys(symbols.SIZED_DELIMITERS, "D"),
    **dict.fromkeys(
        _commands(
            "text textrm textsf texttt textnormal textbf textmd textit textup emph mbox hbox fbox "
            "llap rlap"
        ),
        "T",
    ),
}
_TEXT_COMMANDS = frozenset(name for name, letters in _ARGUMENTS.items() if letters == "T")
_IN_TEXT = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,;:!?'`\"()[]/|@*+-=<>~"
) | frozenset(["\\ ", "\\%", "\\&", "\\#", "\\_", "\\$", "\\{", "\\}", "\\,"])
_IN_COLUMNS = frozenset("lcr|")
_LENGTH = re.compile(r"-?(?:[0-9]{1,2}(?:\.[0-9]{1,3})?|\.[0-9]{1,3})(?:em|ex|mu|pt|cm|mm|in)")
# One of these makes a length of whatever is the beginning of one; the shortest first.
_LENGTH_ENDS = ("", "m", "x", "u", "t", "n", "em", "1em")

_SUB, _SUP = 1, 2

_OF_THEIR_OWN = frozenset(
    [
        "{",
        "}",
        "[",
        "]",
        "*",
        "_",
        "^",
        "'",
        "&",
        "\\\\",
        ".",
        "-",
        "e",
        "m",
        "x",
        "u",
        "p",
        "t",
        "c",
        "i",
        "n",
        "\\mathop",
        "\\operatorname",
    ]
)
_GROUPS = (
    _SYMBOLS,
    _SINGLE,
    _OPERATORS,
    _NO_ATOMS,
    _RULES,
    _INFIX,
    _LIMITS,
    _DELIMITERS,
    _IN_TEXT,
    _IN_COLUMNS,
)


class Frame(NamedTuple):
    r"""Something open, and what holds when it has been closed.

    `closer` is `}`, `]`, `\right` (with any delimiter), `\end{...}`, or `` for the whole formula.
    `inside` says what stands in it: "math", "rows" (of math), "text", "length" or "columns".
    `infix`: an `\over` or its like has come. The rest are the `State`'s fields afterwards.
    """

    closer: str
    inside: str
    infix: bool = False
    awaits: str = ""
    scripts: int = 0
    limits: bool = False


class State(NamedTuple):
    r"""Where the writing of a formula stands.

    `frames`: what is open, the outermost first; `awaits`: the arguments still to come, as letters
    of `_ARGUMENTS`; `scripts`: those that the last atom has (after its arguments); `limits`:
    whether \limits may follow; `row`: "start" of a row, or straight after its "break"; `typed`: the
    length written so far; `word`: whether a letter here would lengthen a command's name; `owed`:
    the price of closing all that is open, what is awaited apart.
    """

    frames: tuple[Frame, ...]
    awaits: str = ""
    scripts: int = 0
    limits: bool = False
    row: str = ""
    typed: str = ""
    word: bool = False
    owed: int = 0
    is_empty: bool = False

    @property
    def takes_space(self) -> bool:
        """Whether there may be a space before the next piece."""
        return bool(self.awaits) or self.frames[-1].inside != "length"

    @property
    def signature(self) -> tuple[object, ...]:
        """States of one signature allow the same pieces, at the same change of price."""
        return (
            self.frames[-1],
            self.awaits,
            self.scripts,
            self.limits,
            self.row,
            self.typed,
            self.word,
            self.is_empty,
            len(self.frames) >= MAX_DEPTH,
        )


class Grammar:
    """The language, with the price of writing each piece (the tokens that a model needs for it).

    `start` is the state before the first piece.
    """

    def __init__(self, price: Callable[[str], int] = lambda piece: 1) -> None:
        self._price = price
        self._any_right = min(price(f"\\right{delimiter}") for delimiter in _DELIMITERS)
        self._any_delimiter = min(price(delimiter) for delimiter in _DELIMITERS)
        self._symbol = min(price(symbol) for symbol in ("x", "1"))
        self.start = State((Frame("", "math"),), is_empty=True)

    def accepts(self, state: State) -> bool:
        """Whether the formula may end here: it is not empty, and nothing is open or awaited."""
        return len(state.frames) == 1 and not state.awaits and not state.is_empty

    def price_to_end(self, state: State) -> int:
        """The price of the cheapest pieces after which the formula may end."""
        price = state.owed + self._awaited(state.awaits)
        if state.frames[-1].inside == "length":
            price += len(_length_end(state.typed) or "")
        return price + (self._symbol if state.is_empty else 0)

    def step(self, state: State, piece: str, spaced: bool = True) -> State | None:
        """The state after one more piece, with a space before it or not; None if it may not come."""
        inside = state.frames[-1].inside
        if (spaced and not state.takes_space) or (state.word and not spaced and _lengthens(piece)):
            return None
        if state.awaits:
            after = self._argument(state, piece)
        elif inside == "text":
            after = self._text(state, piece)
        elif inside == "length":
            after = self._length(state, piece)
        elif inside == "columns":
            after = self._columns(state, piece)
        else:
            after = self._math(state, piece)
        if after is None:
            return None
        is_word = _is_word(piece)
        if after.word != is_word or after.is_empty:
            after = after._replace(word=is_word, is_empty=False)
        return after

    def _awaited(self, letters: str) -> int:
        """The price of these arguments, empty ones."""
        price = 0
        for letter in letters:
            if letter == "D":
                price += self._any_delimiter
            elif letter not in "o*":
                price += self._price("{") + self._price("}")
                price += 3 if letter == "L" else 0  # 1em
        return price

    def _open(self, state: State, frame: Frame) -> State | None:
        if len(state.frames) >= MAX_DEPTH:
            return None
        closer = self._any_right if frame.closer == "\\right" else self._price(frame.closer)
        owed = state.owed + closer + self._awaited(frame.awaits)
        row = "start" if frame.inside == "rows" else ""
        return State((*state.frames, frame), owed=owed, row=row)

    def _close(self, state: State) -> State:
        *outer, frame = state.frames
        closer = self._any_right if frame.closer == "\\right" else self._price(frame.closer)
        owed = state.owed - closer - self._awaited(frame.awaits)
        return State(tuple(outer), frame.awaits, frame.scripts, frame.limits, owed=owed)

    def _argument(self, state: State, piece: str) -> State | None:
        """The next of the awaited arguments, or of what may come in its place."""
        letter, rest = state.awaits[0], state.awaits[1:]
        if letter == "*" and piece == "*":
            return state._replace(awaits=rest)
        in_brackets = state.frames[-1].closer == "]"  # which end at the first `]`, whatever it is
        if letter == "*" or (letter == "o" and (piece != "[" or in_brackets)):
            return self._argument(state._replace(awaits=rest), piece)
        if letter == "D":
            is_fit = piece in _DELIMITERS and not (in_brackets and piece in ("[", "]"))
            return state._replace(awaits=rest) if is_fit else None
        if letter in "am" and piece in _SINGLE:
            return state._replace(awaits=rest)
        closer, inside = {
            "a": ("}", "math"),
            "m": ("}", "math"),  # KaTeX puts it down without braces
            "r": ("}", "rows"),
            "o": ("]", "math"),
            "T": ("}", "text"),
            "L": ("}", "length"),
            "C": ("}", "columns"),
        }[letter]
        if piece != ("[" if letter == "o" else "{"):
            return None
        if inside == "columns":  # they belong to the environment, which is open already
            return self._open(state, Frame(closer, inside))
        frame = Frame(closer, inside, letter == "m", rest, state.scripts, state.limits)
        return self._open(state, frame)

    def _text(self, state: State, piece: str) -> State | None:
        if piece == "}":
            return self._close(state)
        if piece == "{":
            return self._open(state, Frame("}", "text"))
        if piece in _TEXT_COMMANDS:
            return state._replace(awaits="T")
        return state if piece in _IN_TEXT else None

    def _length(self, state: State, piece: str) -> State | None:
        if piece == "}":
            return self._close(state) if _LENGTH.fullmatch(state.typed) else None
        typed = state.typed + piece
        return None if _length_end(typed) is None else state._replace(typed=typed)

    def _columns(self, state: State, piece: str) -> State | None:
        if piece == "}":
            return self._close(state)._replace(row="start")
        return state if piece in _IN_COLUMNS else None

    def _math(self, state: State, piece: str) -> State | None:
        """A piece where neither an argument nor text is awaited."""
        frame = state.frames[-1]
        if piece == frame.closer:
            return self._close(state)
        if state.row == "break" and piece in ("[", "*"):
            return None  # would be read as belonging to the line break
        if piece == "[" and frame.closer == "]":
            return None
        if piece in _SYMBOLS:
            return self._after(state, limits=piece in _OPERATORS)
        if piece == "{":
            return self._open(state, Frame("}", "math"))
        if piece in ("_", "^", "'"):
            script = _SUB if piece == "_" else _SUP
            if state.scripts & script:
                return None
            awaits = "" if piece == "'" else "a"
            return self._after(state, awaits=awaits, scripts=state.scripts | script)
        if piece in _NO_ATOMS:
            return self._after(state)
        if (letters := _ARGUMENTS.get(piece)) is not None:
            is_operator = piece in ("\\mathop", "\\operatorname")
            return self._after(state, awaits=letters, limits=is_operator)
        if piece in _LIMITS:
            return self._after(state) if state.limits else None
        if piece in _INFIX:
            if frame.infix:
                return None
            frames = (*state.frames[:-1], frame._replace(infix=True))
            return self._after(state)._replace(frames=frames)
        return self._structure(state, frame, piece)

    def _structure(self, state: State, frame: Frame, piece: str) -> State | None:
        """Rows and columns, environments, `\\left` and its kin."""
        if frame.closer == "]":
            return None
        if piece == "\\\\" or piece == "&":
            if piece == "&" and frame.closer[:4] != "\\end":
                return None
            if frame.inside != "rows" and len(state.frames) > 1:
                return None
            if frame.inside == "rows":  # a cell of its own begins
                state = state._replace(frames=(*state.frames[:-1], frame._replace(infix=False)))
            return self._after(state, row="break" if piece != "&" else "")
        if piece in _RULES:
            is_row = state.row and frame.closer[:4] == "\\end"
            return self._after(state, row="start") if is_row else None
        if piece[:7] == "\\begin{":
            letters = _ENVIRONMENTS.get(piece[7:-1])
            if letters is None:
                return None
            inner = self._open(state, Frame(f"\\end{piece[6:]}", "rows"))
            return inner and inner._replace(awaits=letters)
        side, delimiter = part_delimiter(piece)
        if delimiter not in _DELIMITERS:
            return None
        if side == "\\left":
            return self._open(state, Frame("\\right", "math"))
        if frame.closer != "\\right":
            return None
        return self._close(state) if side == "\\right" else self._after(state)

    @staticmethod
    def _after(
        state: State, *, awaits: str = "", scripts: int = 0, limits: bool = False, row: str = ""
    ) -> State:
        return State(state.frames, awaits, scripts, limits, row, owed=state.owed)


def _is_word(piece: str) -> bool:
    return len(piece) > 1 and piece[0] == "\\" and piece[-1].isalpha()


def _lengthens(piece: str) -> bool:
    """Whether this piece, straight behind a command, would belong to its name (KaTeX counts `@`)."""
    return piece[0].isalpha() or piece[0] == "@"


def _length_end(typed: str) -> str | None:
    """The shortest text that makes a length of this beginning; None if nothing does."""
    return next((end for end in _LENGTH_ENDS if _LENGTH.fullmatch(typed + end)), None)


def kind(piece: str) -> Hashable:
    """Pieces of one kind are allowed in the same places, at the same change of price."""
    if piece in _OF_THEIR_OWN or piece[:7] == "\\begin{" or piece[:5] == "\\end{":
        return piece
    side, delimiter = part_delimiter(piece)
    return (
        *(piece in group for group in _GROUPS),
        _ARGUMENTS.get(piece),
        side if delimiter in _DELIMITERS else "",
        piece[0].isdigit(),
        _lengthens(piece),
        _is_word(piece),
    )


def pieces() -> frozenset[str]:
    """Every piece of the language that begins with a backslash."""
    sides = ("\\left", "\\right", "\\middle")
    return frozenset(
        piece
        for piece in (
            *_SYMBOLS,
            *_NO_ATOMS,
            *_RULES,
            *_INFIX,
            *_LIMITS,
            *_ARGUMENTS,
            "\\\\",
            *(f"\\{edge}{{{name}}}" for edge in ("begin", "end") for name in _ENVIRONMENTS),
            *(side + delimiter for side in sides for delimiter in _DELIMITERS),
        )
        if piece[0] == "\\"
    )
