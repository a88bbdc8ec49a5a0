"""The parser that brings the tokens of a formula to the normal form (`normal.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from texlens.latex import symbols
from texlens.latex.chemistry import normal_chemistry
from texlens.latex.cursor import AFTER_ATOM, MISPLACED, Cursor, Unparsable
from texlens.latex.shapes import (
    BOX,
    CHARACTER,
    GROUP,
    NO_ATOM,
    NOTHING,
    OTHER,
    PLAIN,
    SPACED,
    without_braces,
)
from texlens.latex.spelling import (
    part_delimiter,
    spell_spaced_arrow,
    spelled_columns,
    spelled_delimiter,
    spelled_display,
    spelled_operator,
    upright_operator,
)
from texlens.latex.tokens import (
    CHEMISTRY,
    TEXT_COMMANDS,
    formulas_in_text,
    is_raw_argument,
)
from texlens.latex.words import (
    OF_TEXT_SIZE,
    SPACE,
    WORDS,
    put_spaces_outside,
    spell_words,
    spelled_text,
)

# Deeper formulas are left as they are. TeX itself gives up at 255 levels of grouping; the parser
# needs up to four Python frames a level.
MAX_DEPTH = 200
# So are longer ones: no picture shows so much, and the result must come within a second.
MAX_TOKENS = 100_000


def normal_tokens(tokens: Sequence[str]) -> Sequence[str]:
    """The normal form of a formula given and returned as tokens of `tokenize`."""
    if len(tokens) > MAX_TOKENS or not symbols.DEFINITIONS.isdisjoint(tokens):
        return tokens
    try:
        return _Parser(tokens).formula()
    except Unparsable:
        return tokens


_SCRIPTS = frozenset(["_", "^", "'", "\\sb", "\\sp"])
_LIMITS = frozenset(["\\limits", "\\nolimits", "\\displaylimits"])
_END = frozenset([""])
_END_OF_GROUP = frozenset(["}"])
_END_OF_OPTION = frozenset(["]"])

_ENVIRONMENTS = {f"\\begin{{{name}}}": name for name in symbols.CELLS | symbols.ALIGNED_CELLS}
# Text in boxes of text size is not as large as that in other boxes where one of these shrinks it.
_SHRINKING = (
    symbols.commands("scriptstyle scriptscriptstyle") | symbols.INFIX.keys() | symbols.OTHER_INFIX
)
_SMALL = frozenset(["smallmatrix", "subarray"])
_FRACTIONS = symbols.commands("frac dfrac tfrac binom dbinom tbinom")
_TEXT_BOXES = frozenset(t for t in TEXT_COMMANDS if t.startswith("\\text") or t == "\\mbox")


class _Parser(Cursor):
    """A recursive descent over the tokens that writes the normal form as it goes."""

    def __init__(self, tokens: Sequence[str]) -> None:
        super().__init__(tokens)
        self.depth = 0
        self.accented = False  # whether an accent stands over this argument
        self.font = ""  # the font command in effect
        # 0 for display style, 1 for text style, from 2 on smaller or unknown
        self.smallness = 0 if _SHRINKING.isdisjoint(tokens) else 2

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
        # Without the space, the braces or `\over`, the rest may have another spelling.
        opened = self.tokens[0] == "{" and out[:1] != ["{"]
        opened |= self.smallness > 0 and _SHRINKING.isdisjoint(out)
        return _Parser(out[:inked]).formula() if inked < len(out) or opened else out

    def _list(
        self, stops: frozenset[str], *, sealed: bool, edges: bool | None = True
    ) -> tuple[list[str], int]:
        """Parse atoms up to one of `stops`, without taking it; return their tokens and shape.

        A list is sealed if braces around its whole content make no difference outside. Then such
        braces are removed, and a font switch at its start becomes a command with an argument.
        `edges` is whether its first and last atom have no neighbour; None where the atoms around the
        list may become neighbours.
        """
        self._descend()
        tokens = self.tokens
        out: list[str] = []
        shape = NOTHING
        font = infix = ""
        outer_font = self.font
        numerator: list[str] = []
        numerator_shape = NOTHING
        has_words = False
        declares = False  # there is a switch here, other than a font at the start
        while (token := tokens[self.position]) not in stops:
            start = len(out)
            if token in symbols.ORDINARY:
                self.position += 1
                out.append(token)
                atom = CHARACTER
            elif token in symbols.INFIX or token in symbols.OTHER_INFIX:
                if infix:
                    raise Unparsable
                self.position += 1
                infix = token
                # What stands above and below has no neighbours, whatever holds them together.
                edges = True
                if has_words:
                    self._spell_words(out, edges)
                numerator, numerator_shape = out, shape
                out = []
                shape = NOTHING
                continue
            elif token in symbols.FONT_SWITCHES and sealed and not (out or infix or font):
                self.position += 1
                self.font = symbols.FONT_SWITCHES[token]
                font = token
                continue
            elif token in _SCRIPTS:
                out += ("{", "}")  # the empty atom that TeX puts there
                atom = OTHER
            elif token[:2] == "\\\\":
                if "\\\\" in stops:
                    break
                self.position += 1
                out.append(token)
                atom = NO_ATOM
            else:
                if token in symbols.DECLARATIONS:
                    declares = True
                    self.font = symbols.FONT_SWITCHES.get(token, self.font)
                atom = self._atom(out)
                if len(out) == start:
                    continue
                has_words = has_words or not WORDS.isdisjoint(out[start : start + 4])
            if tokens[self.position] in AFTER_ATOM and atom != NO_ATOM:
                self._scripts(out)
                atom = OTHER
            shape = OTHER if start or atom == NO_ATOM else atom
        if has_words and self._spell_words(out, edges):
            shape = OTHER
        self.depth -= 1
        self.font = outer_font
        if infix in symbols.INFIX and not declares:
            above = without_braces(numerator) if numerator_shape == GROUP else numerator
            below = without_braces(out) if shape == GROUP else out
            out = [symbols.INFIX[infix], "{", *above, "}", "{", *below, "}"]
            shape = BOX
        elif infix:
            out = [*numerator, infix, *out]
            shape = OTHER
        elif shape == GROUP and sealed:
            out = without_braces(out)
            shape = OTHER if out else NOTHING
            self._spell_words(out, edges)
        if font and out:
            out = [symbols.FONT_SWITCHES[font], "{", *out, "}"]
            shape = CHARACTER if shape == CHARACTER else BOX
            if font == "\\rm" and not outer_font and put_spaces_outside(out, 0):
                shape = SPACED
        return out, shape

    def _spell_words(self, out: list[str], edges: bool | None) -> bool:
        """Spell upright words in one way; return whether that changed one."""
        if edges is None or self.font or WORDS.isdisjoint(out):
            return False
        return spell_words(out, edges=edges, full_size=self.smallness < 2)

    def _descend(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unparsable

    def _atom(self, out: list[str]) -> int:
        """Parse one atom without its scripts, append its normal form, return its shape."""
        token = self.tokens[self.position]
        self.position += 1
        if token > "\x7f" and not self.font:
            token = symbols.UNICODE.get(token, token)
        token = symbols.SYNONYMS.get(token, token)
        if (shape := PLAIN.get(token, -1)) >= 0:
            out.append(token)
            if token == "\\;":
                spell_spaced_arrow(out)
            return shape
        if token == "{":
            content, shape = self._list(_END_OF_GROUP, sealed=True, edges=None)
            self.position += 1
            # MathJax leaves out the italic correction of a letter in \mathit without braces.
            if (
                shape == BOX
                or (shape == CHARACTER and self.font != "\\mathit")
                or (shape == SPACED and self.tokens[self.position] not in AFTER_ATOM)
            ):
                out += content
                return shape
            out += ("{", *content, "}")
            return GROUP
        if signature := symbols.SIGNATURES.get(token):
            self._descend()
            shape = self._command(token, signature, out)
            self.depth -= 1
            return shape
        if token[:7] == "\\begin{":
            return self._environment(token, out)
        if token in TEXT_COMMANDS:
            return self._text(token, out)
        if token in CHEMISTRY:
            out += (token, "{", *normal_chemistry(token, self.text_group()), "}")
            return OTHER
        if token in symbols.SIZED_DELIMITERS:
            out.append(token)
            self._delimiter(out)
            return OTHER
        if token in symbols.DROPPED:
            return NO_ATOM
        if token == "\\label":
            self.drop_argument()
            return NO_ATOM
        return self._other(token, out)

    def _other(self, token: str, out: list[str]) -> int:
        """Parse rare and unknown tokens."""
        if token in MISPLACED or token[:5] == "\\end{":
            raise Unparsable
        if token in symbols.OPERATORS_OF_KATEX:
            out += symbols.OPERATORS_OF_KATEX[token]
            return OTHER
        side, delimiter = part_delimiter(token)
        if side == "\\left":
            return self._delimited(delimiter, out)
        if side:
            raise Unparsable
        # `\neq` looks like `\not =`, which MathJax lets fonts change; \dots depends on what follows.
        is_not_equal = token == "\\not" and self.tokens[self.position] == "=" and not self.font
        if is_not_equal and out[-1:] != ["\\dots"]:
            self.position += 1
            out.append("\\neq")
            return OTHER
        if token == "\\dag" or token == "\\ddag":
            out += ("{", "\\dagger" if token == "\\dag" else "\\ddagger", "}")
            return GROUP
        out.append(token)
        if token[0] == "\\":
            # Unknown: what follows may be its arguments, of whatever kind.
            while self.tokens[self.position][:1] == "{":
                self.verbatim_group(out)
        return OTHER

    def _argument(self, *, sealed: bool = True, edges: bool | None = True) -> tuple[list[str], int]:
        """Parse an argument or a script: a group, or one atom without braces."""
        token = self.tokens[self.position]
        if token == "{":
            self.position += 1
            content, shape = self._list(_END_OF_GROUP, sealed=sealed, edges=edges)
            self.position += 1
            return content, shape
        content = []
        shape = self._atom(content)
        if shape == NO_ATOM:
            raise Unparsable
        if shape == GROUP:
            return content[1:-1], OTHER
        return content, shape

    def _scripts(self, out: list[str]) -> None:
        """Parse limits, primes and scripts in any order; append them in the one order."""
        outer, self.smallness = self.smallness, 2
        subscript: list[str] | None = None
        superscript: list[str] | None = None
        after_prime = False
        while (token := self.tokens[self.position]) in AFTER_ATOM:
            self.position += 1
            if token == "_" or token == "\\sb":
                if subscript is not None:
                    raise Unparsable
                subscript = self._argument()[0]
                after_prime = False
            elif token in _LIMITS:
                if subscript is not None or superscript is not None:
                    raise Unparsable
                out.append(token)
            else:
                if superscript is not None and not after_prime:
                    raise Unparsable
                after_prime = token == "'"
                if after_prime and self.font == "\\boldsymbol":
                    raise Unparsable  # MathJax makes this one bold, and not `^ { \prime }`
                superscript = superscript or []
                superscript += ["\\prime"] if after_prime else self._argument()[0]
        self.smallness = outer
        if subscript is not None:
            out += ("_", "{", *subscript, "}")
        if superscript is not None:
            out += ("^", "{", *superscript, "}")

    def _command(self, token: str, signature: str, out: list[str]) -> int:
        """Parse the arguments of a known command; `symbols.SIGNATURES` explains the letters."""
        out.append(token)
        start = len(out)
        shape = OTHER
        outer = self.font, self.smallness, self.accented
        self.accented = token in symbols.ACCENTS
        if token in symbols.FONTS:
            self.font = token
        elif token in _FRACTIONS:
            self.smallness += 1
        elif token not in symbols.ACCENTS:
            self.smallness = 2
        edges = True if token in _FRACTIONS or token == "\\sqrt" else None
        for letter in signature:
            if letter in "ak":
                content, shape = self._argument(sealed=letter == "a", edges=edges)
                out += ("{", *content, "}")
            elif letter == "o":
                if self.tokens[self.position] == "[":
                    self.position += 1
                    content, _ = self._list(_END_OF_OPTION, sealed=False)
                    self.position += 1
                    out += ("[", *content, "]")
            elif letter == "r":
                self.verbatim_group(out)
            else:
                self.raw_token(out)
                if token in symbols.BARE_LENGTHS:
                    out[-1] = out[-1].strip("{}")
        self.font, self.smallness, self.accented = outer
        is_roman = token == "\\mathrm" and not self.font
        if is_roman and put_spaces_outside(out, start - 1, following=self.tokens[self.position]):
            return SPACED
        if token in symbols.FONTS and shape == CHARACTER:
            return CHARACTER
        if token in symbols.ACCENTS:
            # MathJax spaces a relation with a line below it as a relation; TeX does not.
            return BOX if out[start + 1] in symbols.ORDINARY or shape == BOX else OTHER
        if token in symbols.BOXES:
            return BOX
        if token in symbols.NO_ATOMS:
            return NO_ATOM
        if token in symbols.OPERATORS:
            command = out[start - 1 :]
            upright = upright_operator(command)
            no_limits = self.tokens[self.position] == "\\nolimits"
            if upright and not (no_limits and self.tokens[self.position + 1] in _LIMITS):
                self.position += no_limits
                command = ["\\operatorname" if no_limits else "\\operatorname*", "{", *upright, "}"]
            out[start - 1 :] = spelled_operator(command)
        return OTHER

    def _delimited(self, delimiter: str, out: list[str]) -> int:
        r"""Parse `\left` with its delimiter to `\right` with its own."""
        side = "\\left"
        while True:
            out.append(side + spelled_delimiter(delimiter))
            if side == "\\right":
                return OTHER
            content, _ = self._list(self.closers, sealed=False)
            out += content
            side, delimiter = part_delimiter(self.tokens[self.position])
            self.position += 1

    def _delimiter(self, out: list[str]) -> None:
        r"""Parse the delimiter after `\big` and similar commands."""
        token = self.tokens[self.position]
        if token == "{":
            self.verbatim_group(out)
            return
        if token in MISPLACED:
            raise Unparsable
        self.position += 1
        out.append(spelled_delimiter(token))

    def _environment(self, begin: str, out: list[str]) -> int:
        """Parse an environment; an unknown one stays as it is."""
        name = _ENVIRONMENTS.get(begin)
        start = len(out)
        out.append(begin)
        end = "\\end" + begin[6:]
        if name is None:
            self.verbatim(out, begin, end)
            return OTHER
        starts_formula = self.position == 1
        if self.tokens[self.position] == "[" and name in symbols.POSITIONED:
            out += self.tokens[self.position : self.position + 3]
            self.position += 3
            if out[-1] != "]":
                raise Unparsable
        alone = name in symbols.CELLS
        for _ in range(symbols.CELLS[name] if alone else symbols.ALIGNED_CELLS[name]):
            at = len(out)
            self.verbatim_group(out)
            out[at:] = spelled_columns(out[at:])
        outer, self.smallness = self.smallness, max(self.smallness, 2 if name in _SMALL else alone)
        columns = self._cells(end, out, alone=alone)
        self.smallness = outer
        if not alone:
            is_formula = starts_formula and not self.tokens[self.position]
            out[start:] = spelled_display(name, columns, out[start:], is_formula)
        return BOX if name == "array" else OTHER

    def _cells(self, end: str, out: list[str], *, alone: bool) -> int:
        """Parse the cells of an environment through its end; return the number of columns."""
        stops = frozenset(["&", "\\\\", "\\cr", end])
        columns = column = 1
        row = len(out)  # where the current row begins in `out`
        row_before_is_empty = True
        while True:
            start = self.position
            content, _ = self._list(stops, sealed=alone, edges=alone)
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
        """Parse text: its spelling becomes the one, and formulas in it come to the normal form."""
        out.append(token)
        while is_raw_argument(self.tokens[self.position]):
            self.copy_token(out)
        text: list[str] = []
        for is_formula, part in formulas_in_text(self.text_group()):
            text += ["$", *normal_tokens(part), "$"] if is_formula else part
        has_script = self.tokens[self.position] in AFTER_ATOM
        spelled = None
        if self.font != "\\boldsymbol" and (self.smallness < 2 or token not in OF_TEXT_SIZE):
            spelled = spelled_text(token, text, has_script=has_script, has_accent=self.accented)
        if spelled is None:
            out += ("{", *text, "}")
            return BOX if token in _TEXT_BOXES else OTHER
        out[-1:] = spelled
        if SPACE in (spelled[0], spelled[-1]):
            return SPACED
        return CHARACTER if len(spelled) == 4 and spelled[0] in symbols.FONTS else BOX
