r"""The normal form: one spelling for formulas that look the same.

Tokens are separated by single spaces; arguments and scripts stand in braces (`x_1` is
`x _ { 1 }`), the subscript first; primes are `^ { \prime }`; braces without a visible effect are
removed; synonyms (`symbols.py`) have one spelling. No rule may move a glyph: a rule that cannot be
made safe is left out. The normal form of a normal form is itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from texlens.latex import symbols
from texlens.latex.formula import strip, unwrap
from texlens.latex.spelling import (
    part_delimiter,
    spell_spaced_arrow,
    spelled_delimiter,
    spelled_display,
    spelled_operator,
    upright_operator,
)
from texlens.latex.tokens import (
    TEXT_COMMANDS,
    detokenize,
    end_of_text,
    formulas_in_text,
    tokenize,
)

REVISION = 1
"""Increased with every change that gives a formula another normal form."""

# Deeper formulas are left as they are. TeX itself gives up at 255 levels of grouping; the parser
# needs up to four Python frames a level.
MAX_DEPTH = 200
# So are longer ones: no picture shows so much, and the result must come within a second.
MAX_TOKENS = 100_000


class _Unparsable(Exception):
    """Not LaTeX that this parser understands: the formula stays as it is."""


def normalize(latex: str) -> str:
    r"""Bring a formula to the normal form; never raises.

    Math delimiters, `equation` and the like are removed first (see `formula_of`). A formula that
    cannot be parsed, defines commands, or is too deep or too long comes back as its tokens, joined.
    """
    # A text box without its closing brace may leave a space at the end, which `unwrap` removes.
    return strip(detokenize(normal_tokens(tokenize(unwrap(latex)))))


def normal_tokens(tokens: Sequence[str]) -> Sequence[str]:
    """The normal form of a formula given and returned as tokens of `tokenize`."""
    if len(tokens) > MAX_TOKENS or not symbols.DEFINITIONS.isdisjoint(tokens):
        return tokens
    try:
        return _Parser(tokens).formula()
    except _Unparsable:
        return tokens


# The shape of a list of atoms, as far as braces around it matter.
_NOTHING = 0
_CHARACTER = 1  # one ordinary symbol: braces around it make no difference
_BOX = 2  # one box of class Ord, such as a fraction: braces make no difference either
_GROUP = 3  # one group in braces
_OTHER = 4
_NO_ATOM = 5  # space or a switch: takes no scripts

# Tokens that are copied, and their shape.
_PLAIN = {
    **dict.fromkeys(symbols.SPACES | symbols.SWITCHES, _NO_ATOM),
    **dict.fromkeys(symbols.ORDINARY, _CHARACTER),
    **dict.fromkeys(symbols.SYMBOLS, _OTHER),
}
_SCRIPTS = frozenset(["_", "^", "'", "\\sb", "\\sp"])
_LIMITS = frozenset(["\\limits", "\\nolimits", "\\displaylimits"])
_AFTER_ATOM = _SCRIPTS | _LIMITS
# Where these occur and are not expected, the formula is broken.
_MISPLACED = frozenset(["", "}", "&", "$", "#", "\\left", "\\right", "\\middle"]) | _AFTER_ATOM

_END = frozenset([""])
_END_OF_GROUP = frozenset(["}"])
_END_OF_OPTION = frozenset(["]"])

_ENVIRONMENTS = {f"\\begin{{{name}}}": name for name in symbols.CELLS | symbols.ALIGNED_CELLS}
_TEXT_BOXES = frozenset(t for t in TEXT_COMMANDS if t.startswith("\\text") or t == "\\mbox")


# The effect of these ends with the braces: glue stretches, and a group has one infix command.
_HELD_BY_BRACES = symbols.GLUE | symbols.OTHER_INFIX | symbols.INFIX.keys()


def _without_braces(group: list[str]) -> list[str]:
    """The content of a group, unless the braces make a difference."""
    # MathJax looks through a line above at an operator alone.
    lone_operator = len(group) == 3 and group[1] in symbols.SYMBOLS
    return group if lone_operator or not _HELD_BY_BRACES.isdisjoint(group) else group[1:-1]


class _Parser:
    """A recursive descent over the tokens that writes the normal form as it goes."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = [*tokens, ""]  # "" is the end
        self.position = 0
        self.depth = 0
        self.font = ""  # the font command in effect

    @cached_property
    def closers(self) -> frozenset[str]:
        r"""The `\right` and `\middle` that occur, with their delimiters."""
        sides = ("\\right", "\\middle")
        return frozenset(token for token in self.tokens if part_delimiter(token)[0] in sides)

    def formula(self) -> list[str]:
        """Parse the whole formula. Space at its end, which is invisible, is dropped."""
        out, _ = self._list(_END, sealed=True)
        inked = len(out)
        while inked and out[inked - 1] in symbols.SPACES:
            inked -= 1
        # MathJax spaces an operator at the very end as a sign; below \atop the width matters.
        ends_in_sign = inked and out[inked - 1] in symbols.BINARIES
        if ends_in_sign or not symbols.OTHER_INFIX.isdisjoint(out):
            inked = len(out)
        # Without the space or the braces, the rest may have a shorter spelling.
        opened = self.tokens[0] == "{" and out[:1] != ["{"]
        return _Parser(out[:inked]).formula() if inked < len(out) or opened else out

    def _list(self, stops: frozenset[str], *, sealed: bool) -> tuple[list[str], int]:
        """Parse atoms up to one of `stops`, without taking it; return their tokens and shape.

        A list is sealed if braces around its whole content make no difference outside. Then such
        braces are removed, and a font switch at its start becomes a command with an argument.
        """
        self._descend()
        tokens = self.tokens
        out: list[str] = []
        shape = _NOTHING
        font = infix = ""
        outer_font = self.font
        numerator: list[str] = []
        numerator_shape = _NOTHING
        declares = False  # there is a switch here, other than a font at the start
        while (token := tokens[self.position]) not in stops:
            start = len(out)
            if token in symbols.ORDINARY:
                self.position += 1
                out.append(token)
                atom = _CHARACTER
            elif token in symbols.INFIX or token in symbols.OTHER_INFIX:
                if infix:
                    raise _Unparsable
                self.position += 1
                infix = token
                numerator, numerator_shape = out, shape
                out = []
                shape = _NOTHING
                continue
            elif token in symbols.FONT_SWITCHES and sealed and not (out or infix or font):
                self.position += 1
                self.font = symbols.FONT_SWITCHES[token]
                font = token
                continue
            elif token in _SCRIPTS:
                out += ("{", "}")  # the empty atom that TeX puts there
                atom = _OTHER
            elif token[:2] == "\\\\":
                if "\\\\" in stops:
                    break
                self.position += 1
                out.append(token)
                atom = _NO_ATOM
            else:
                if token in symbols.DECLARATIONS:
                    declares = True
                    self.font = symbols.FONT_SWITCHES.get(token, self.font)
                atom = self._atom(out)
                if len(out) == start:
                    continue
            if tokens[self.position] in _AFTER_ATOM and atom != _NO_ATOM:
                self._scripts(out)
                atom = _OTHER
            shape = _OTHER if start or atom == _NO_ATOM else atom
        self.depth -= 1
        self.font = outer_font
        if infix in symbols.INFIX and not declares:
            above = _without_braces(numerator) if numerator_shape == _GROUP else numerator
            below = _without_braces(out) if shape == _GROUP else out
            out = [symbols.INFIX[infix], "{", *above, "}", "{", *below, "}"]
            shape = _BOX
        elif infix:
            out = [*numerator, infix, *out]
            shape = _OTHER
        elif shape == _GROUP and sealed:
            out = _without_braces(out)
            shape = _OTHER if out else _NOTHING
        if font and out:
            out = [symbols.FONT_SWITCHES[font], "{", *out, "}"]
            shape = _CHARACTER if shape == _CHARACTER else _BOX
        return out, shape

    def _descend(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _Unparsable

    def _atom(self, out: list[str]) -> int:
        """Parse one atom without its scripts, append its normal form, return its shape."""
        token = self.tokens[self.position]
        self.position += 1
        if token > "\x7f" and not self.font:
            token = symbols.UNICODE.get(token, token)
        token = symbols.SYNONYMS.get(token, token)
        if (shape := _PLAIN.get(token, -1)) >= 0:
            out.append(token)
            if token == "\\;":
                spell_spaced_arrow(out)
            return shape
        if token == "{":
            content, shape = self._list(_END_OF_GROUP, sealed=True)
            self.position += 1
            # MathJax leaves out the italic correction of a letter in \mathit without braces.
            if shape == _BOX or (shape == _CHARACTER and self.font != "\\mathit"):
                out += content
                return shape
            out += ("{", *content, "}")
            return _GROUP
        if signature := symbols.SIGNATURES.get(token):
            self._descend()
            shape = self._command(token, signature, out)
            self.depth -= 1
            return shape
        if token[:7] == "\\begin{":
            return self._environment(token, out)
        if token in TEXT_COMMANDS:
            return self._text(token, out)
        if token in symbols.SIZED_DELIMITERS:
            out.append(token)
            self._delimiter(out)
            return _OTHER
        if token in symbols.DROPPED:
            return _NO_ATOM
        if token == "\\label":
            self._drop_argument()
            return _NO_ATOM
        return self._other(token, out)

    def _other(self, token: str, out: list[str]) -> int:
        """Parse rare and unknown tokens."""
        if token in _MISPLACED or token[:5] == "\\end{":
            raise _Unparsable
        side, delimiter = part_delimiter(token)
        if side == "\\left":
            return self._delimited(delimiter, out)
        if side:
            raise _Unparsable
        # `\neq` looks like `\not =`, which MathJax lets fonts change; \dots depends on what follows.
        is_not_equal = token == "\\not" and self.tokens[self.position] == "=" and not self.font
        if is_not_equal and out[-1:] != ["\\dots"]:
            self.position += 1
            out.append("\\neq")
            return _OTHER
        if token == "\\dag" or token == "\\ddag":
            out += ("{", "\\dagger" if token == "\\dag" else "\\ddagger", "}")
            return _GROUP
        out.append(token)
        if token[0] == "\\":
            # Unknown: what follows may be its arguments, of whatever kind.
            while self.tokens[self.position][:1] == "{":
                self._verbatim_group(out)
        return _OTHER

    def _argument(self, *, sealed: bool = True) -> tuple[list[str], int]:
        """Parse an argument or a script: a group, or one atom without braces."""
        token = self.tokens[self.position]
        if token == "{":
            self.position += 1
            content, shape = self._list(_END_OF_GROUP, sealed=sealed)
            self.position += 1
            return content, shape
        content = []
        shape = self._atom(content)
        if shape == _NO_ATOM:
            raise _Unparsable
        if shape == _GROUP:
            return content[1:-1], _OTHER
        return content, shape

    def _scripts(self, out: list[str]) -> None:
        """Parse limits, primes and scripts in any order; append them in the one order."""
        subscript: list[str] | None = None
        superscript: list[str] | None = None
        after_prime = False
        while (token := self.tokens[self.position]) in _AFTER_ATOM:
            self.position += 1
            if token == "_" or token == "\\sb":
                if subscript is not None:
                    raise _Unparsable
                subscript = self._argument()[0]
                after_prime = False
            elif token in _LIMITS:
                if subscript is not None or superscript is not None:
                    raise _Unparsable
                out.append(token)
            else:
                if superscript is not None and not after_prime:
                    raise _Unparsable
                after_prime = token == "'"
                if after_prime and self.font == "\\boldsymbol":
                    raise _Unparsable  # MathJax makes this one bold, and not `^ { \prime }`
                superscript = superscript or []
                superscript += ["\\prime"] if after_prime else self._argument()[0]
        if subscript is not None:
            out += ("_", "{", *subscript, "}")
        if superscript is not None:
            out += ("^", "{", *superscript, "}")

    def _command(self, token: str, signature: str, out: list[str]) -> int:
        """Parse the arguments of a known command; `symbols.SIGNATURES` explains the letters."""
        out.append(token)
        start = len(out)
        shape = _OTHER
        outer_font = self.font
        if token in symbols.FONTS:
            self.font = token
        for letter in signature:
            if letter in "ak":
                content, shape = self._argument(sealed=letter == "a")
                out += ("{", *content, "}")
            elif letter == "o":
                if self.tokens[self.position] == "[":
                    self.position += 1
                    content, _ = self._list(_END_OF_OPTION, sealed=False)
                    self.position += 1
                    out += ("[", *content, "]")
            elif letter == "r":
                self._verbatim_group(out)
            else:
                self._raw_token(out)
        self.font = outer_font
        if token in symbols.FONTS and shape == _CHARACTER:
            return _CHARACTER
        if token in symbols.ACCENTS:
            # MathJax spaces a relation with a line below it as a relation; TeX does not.
            return _BOX if out[start + 1] in symbols.ORDINARY or shape == _BOX else _OTHER
        if token in symbols.BOXES:
            return _BOX
        if token in symbols.NO_ATOMS:
            return _NO_ATOM
        if token in symbols.OPERATORS:
            command = out[start - 1 :]
            upright = upright_operator(command)
            no_limits = self.tokens[self.position] == "\\nolimits"
            if upright and not (no_limits and self.tokens[self.position + 1] in _LIMITS):
                self.position += no_limits
                command = ["\\operatorname" if no_limits else "\\operatorname*", "{", *upright, "}"]
            out[start - 1 :] = spelled_operator(command)
        return _OTHER

    def _delimited(self, delimiter: str, out: list[str]) -> int:
        r"""Parse `\left` with its delimiter to `\right` with its own."""
        side = "\\left"
        while True:
            out.append(side + spelled_delimiter(delimiter))
            if side == "\\right":
                return _OTHER
            content, _ = self._list(self.closers, sealed=False)
            out += content
            side, delimiter = part_delimiter(self.tokens[self.position])
            self.position += 1

    def _delimiter(self, out: list[str]) -> None:
        r"""Parse the delimiter after `\big` and similar commands."""
        token = self.tokens[self.position]
        if token == "{":
            self._verbatim_group(out)
            return
        if token in _MISPLACED:
            raise _Unparsable
        self.position += 1
        out.append(spelled_delimiter(token))

    def _environment(self, begin: str, out: list[str]) -> int:
        """Parse an environment; an unknown one stays as it is."""
        name = _ENVIRONMENTS.get(begin)
        start = len(out)
        out.append(begin)
        end = "\\end" + begin[6:]
        if name is None:
            self._verbatim(out, begin, end)
            return _OTHER
        starts_formula = self.position == 1
        if self.tokens[self.position] == "[" and name in symbols.POSITIONED:
            out += self.tokens[self.position : self.position + 3]
            self.position += 3
            if out[-1] != "]":
                raise _Unparsable
        alone = name in symbols.CELLS
        for _ in range(symbols.CELLS[name] if alone else symbols.ALIGNED_CELLS[name]):
            self._verbatim_group(out)
        columns = self._cells(end, out, alone=alone)
        if not alone:
            is_formula = starts_formula and not self.tokens[self.position]
            out[start:] = spelled_display(name, columns, out[start:], is_formula)
        return _BOX if name == "array" else _OTHER

    def _cells(self, end: str, out: list[str], *, alone: bool) -> int:
        """Parse the cells of an environment through its end; return the number of columns."""
        stops = frozenset(["&", "\\\\", "\\cr", end])
        columns = column = 1
        row = len(out)  # where the current row begins in `out`
        row_before_is_empty = True
        while True:
            start = self.position
            content, _ = self._list(stops, sealed=alone)
            if not content and self.position > start:
                content = ["{", "}"]  # as the last row, `{}` counts as a row, and nothing does not
            out += content
            token = self.tokens[self.position]
            self.position += 1
            if token == "&":
                column += 1
                columns = max(columns, column)
                out.append(token)
            elif token == end:
                if alone and len(out) == row and out[-1] == "\\\\" and not row_before_is_empty:
                    out.pop()  # nothing follows the last line break: there is no row
                out.append(end)
                return columns
            else:
                row_before_is_empty = len(out) == row
                out.append("\\\\" if token == "\\cr" else token.replace("*", ""))
                column = 1
                row = len(out)

    def _text(self, token: str, out: list[str]) -> int:
        """Copy text; the formulas in it come to the normal form."""
        out.append(token)
        shape = _BOX if token in _TEXT_BOXES else _OTHER
        while self.tokens[self.position][:1] == "[":
            self._raw_token(out)
        if self.tokens[self.position] != "{":
            raise _Unparsable
        end = end_of_text(self.tokens, self.position)
        if not self.tokens[end - 1]:
            raise _Unparsable
        for is_formula, part in formulas_in_text(self.tokens[self.position : end]):
            out += ["$", *normal_tokens(part), "$"] if is_formula else part
        self.position = end
        return shape

    def _raw_token(self, out: list[str]) -> None:
        """Copy an argument that the tokeniser kept whole, and options before it."""
        while (token := self.tokens[self.position])[:1] == "[" and len(token) > 1:
            out.append(token)
            self.position += 1
        if len(token) < 2 or token[0] == "\\":
            raise _Unparsable
        out.append(token)
        self.position += 1

    def _drop_argument(self) -> None:
        if self.tokens[self.position][:1] == "{":
            self._verbatim_group([])
        elif self.tokens[self.position] in _MISPLACED:
            raise _Unparsable
        else:
            self.position += 1

    def _verbatim_group(self, out: list[str]) -> None:
        """Copy a group in braces as it is."""
        token = self.tokens[self.position]
        if token[:1] != "{":
            raise _Unparsable
        self.position += 1
        out.append(token)
        if token == "{":
            self._verbatim(out, "{", "}")

    def _verbatim(self, out: list[str], opening: str, closing: str) -> None:
        """Copy tokens as they are, up to the one that closes the opening before them."""
        depth = 1
        while depth:
            token = self.tokens[self.position]
            if not token:
                raise _Unparsable
            self.position += 1
            out.append(token)
            depth += (token == opening) - (token == closing)
