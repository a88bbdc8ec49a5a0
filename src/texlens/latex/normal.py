r"""The normal form: one spelling for formulas that draw the same picture.

Tokens are separated by single spaces; arguments and scripts stand in braces (`x_1` is
`x _ { 1 }`), the subscript first; primes are `^ { \prime }`; braces that leave no trace in the
picture are gone; synonyms (`symbols.py`) have one spelling. No rule may move a glyph: where one
could not be made safe it is not here. The normal form of a normal form is itself.
"""

from __future__ import annotations

from texlens.latex import symbols
from texlens.latex.tokens import TEXT_COMMANDS, detokenize, tokenize
from texlens.latex.wrappers import unwrap

# Deeper formulas are left as they are. TeX itself gives up at 255 levels of grouping; the parser
# needs up to four Python frames a level.
MAX_DEPTH = 100
# So are longer ones: no picture holds them, and an answer must come within a second.
MAX_TOKENS = 100_000


class _Unparsable(Exception):
    """Not the LaTeX that this parser knows: the formula stays as it is."""


def normalize(latex: str) -> str:
    r"""Bring a formula to the normal form; never raises.

    Math wrappers (`$`, `\[`, `equation`, ...) are taken off first. A formula that cannot be
    parsed, defines commands, or is too deep or too long comes back as its tokens, joined.
    """
    return detokenize(normal_tokens(tokenize(unwrap(latex))))


def normal_tokens(tokens: list[str]) -> list[str]:
    """The normal form of a formula given and returned as tokens of `tokenize`."""
    if len(tokens) > MAX_TOKENS or not symbols.DEFINITIONS.isdisjoint(tokens):
        return tokens
    try:
        return _join_delimiters(_Parser(_part_delimiters(tokens)).formula())
    except _Unparsable:
        return tokens


_SIDES = ("\\left", "\\right", "\\middle")


def _part_delimiters(tokens: list[str]) -> list[str]:
    r"""`\left(` as `\left`, `(`: the parser treats the delimiter as any other."""
    parted: list[str] = []
    for token in tokens:
        side = next((s for s in _SIDES if token.startswith(s)), "") if token[:1] == "\\" else ""
        if side and len(token) > len(side) and not token[len(side)].isalpha():
            parted += (side, token[len(side) :])
        else:
            parted.append(token)
    return parted


def _join_delimiters(tokens: list[str]) -> list[str]:
    joined: list[str] = []
    stream = iter(tokens)
    for token in stream:
        if token in _SIDES:
            delimiter = next(stream, "")
            joined += (token, delimiter) if delimiter in ("", "{") else (token + delimiter,)
        else:
            joined.append(token)
    return joined


# What a list of atoms is, as far as the braces around it matter.
_NOTHING = 0
_CHARACTER = 1  # one ordinary symbol: braces around it leave no trace
_BOX = 2  # one box, such as a fraction: braces leave no trace unless it has scripts
_GROUP = 3  # one group in braces
_OTHER = 4
_NO_ATOM = 5  # space or a switch: takes no scripts

_SCRIPTS = frozenset(["_", "^", "'", "\\sb", "\\sp"])
_LIMITS = frozenset(["\\limits", "\\nolimits", "\\displaylimits"])
_AFTER_ATOM = _SCRIPTS | _LIMITS
# Where these stand and are not awaited, the formula is broken.
_MISPLACED = frozenset(["", "}", "&", "$", "#", "\\right", "\\middle"]) | _AFTER_ATOM

_END = frozenset([""])
_END_OF_GROUP = frozenset(["}"])
_END_OF_OPTION = frozenset(["]"])
_END_OF_DELIMITED = frozenset(["\\right", "\\middle"])

_ENVIRONMENTS = {f"\\begin{{{name}}}": name for name in symbols.CELLS | symbols.ALIGNED_CELLS}


class _Parser:
    """A recursive descent over the tokens that writes the normal form as it goes."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = [*tokens, ""]  # "" is the end
        self.position = 0
        self.depth = 0

    def formula(self) -> list[str]:
        """Parse the whole formula. Space at its end, which draws nothing, is dropped."""
        out, _ = self._list(_END, sealed=True)
        while out and out[-1] in symbols.SPACES:
            out.pop()
        return out

    def _list(self, stops: frozenset[str], *, sealed: bool) -> tuple[list[str], int]:
        """Parse atoms up to one of `stops`, without taking it; return their tokens and shape.

        A list is sealed if nothing outside can tell its content from one group with that content:
        then such braces go, and a font switch at its head becomes a command with an argument.
        """
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _Unparsable
        tokens = self.tokens
        out: list[str] = []
        shape = _NOTHING
        font = infix = ""
        numerator: list[str] = []
        declares = False  # a switch stands here, other than the font at the head
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
                numerator = out[1:-1] if shape == _GROUP else out
                out = []
                shape = _NOTHING
                continue
            elif token in symbols.FONT_SWITCHES and sealed and not (out or infix or font):
                self.position += 1
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
                declares = declares or token in symbols.DECLARATIONS
                atom = self._atom(out)
                if len(out) == start:
                    continue
            if tokens[self.position] in _AFTER_ATOM:
                if atom == _NO_ATOM:
                    shape = _OTHER
                    continue
                self._scripts(out)
                atom = _OTHER
            shape = _OTHER if start or atom == _NO_ATOM else atom
        if shape == _GROUP and (sealed or infix):
            out = out[1:-1]
            shape = _OTHER if out else _NOTHING
        if infix:
            if infix in symbols.INFIX and not declares:
                out = [symbols.INFIX[infix], "{", *numerator, "}", "{", *out, "}"]
                shape = _BOX
            else:
                out = [*numerator, infix, *out]
                shape = _OTHER
        if font and out:
            out = [symbols.FONT_SWITCHES[font], "{", *out, "}"]
            shape = _CHARACTER if shape == _CHARACTER else _BOX
        self.depth -= 1
        return out, shape

    def _atom(self, out: list[str]) -> int:
        """Parse one atom without its scripts, append its normal form, return its shape."""
        token = self.tokens[self.position]
        token = symbols.SYNONYMS.get(token, token)
        self.position += 1
        if token in symbols.SYMBOLS:
            out.append(token)
            return _OTHER
        if token in symbols.ORDINARY:
            out.append(token)
            return _CHARACTER
        if token == "{":
            content, shape = self._list(_END_OF_GROUP, sealed=True)
            self.position += 1
            bare = shape == _CHARACTER or (
                shape == _BOX and self.tokens[self.position] not in _AFTER_ATOM
            )
            if bare:
                out += content
                return shape
            out += ("{", *content, "}")
            return _GROUP
        if token in symbols.SPACES or token in symbols.SWITCHES:
            out.append(token)
            return _NO_ATOM
        if signature := symbols.SIGNATURES.get(token):
            return self._command(token, signature, out)
        if token == "\\left":
            return self._delimited(out)
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
            self.position += self.tokens[self.position][:1] == "{"
            return _NO_ATOM
        if token in _MISPLACED or token[:5] == "\\end{":
            raise _Unparsable
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
                script = ["\\prime"] if after_prime else self._argument()[0]
                superscript = [*(superscript or ()), *script]
        if subscript is not None:
            out += ("_", "{", *subscript, "}")
        if superscript is not None:
            out += ("^", "{", *superscript, "}")

    def _command(self, token: str, signature: str, out: list[str]) -> int:
        """Parse the arguments of a known command; `symbols.SIGNATURES` explains the letters."""
        out.append(token)
        start = len(out)
        shape = _OTHER
        for letter in signature:
            if letter == "a" or letter == "k":
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
        if token in symbols.NO_ATOMS:
            return _NO_ATOM
        if token in symbols.OPERATOR_NAMES:
            name = "".join(out[start + 1 : -1])
            if name in symbols.OPERATOR_NAMES[token]:
                out[start - 1 :] = ["\\" + name]
            return _OTHER
        if token in symbols.FONTS and shape == _CHARACTER:
            return _CHARACTER
        return _BOX if token in symbols.BOXES else _OTHER

    def _delimited(self, out: list[str]) -> int:
        r"""Parse `\left` to `\right`."""
        out.append("\\left")
        self._delimiter(out)
        while True:
            content, _ = self._list(_END_OF_DELIMITED, sealed=False)
            out += content
            token = self.tokens[self.position]
            self.position += 1
            out.append(token)
            self._delimiter(out)
            if token == "\\right":
                return _OTHER

    def _delimiter(self, out: list[str]) -> None:
        token = self.tokens[self.position]
        if token == "{":
            self._verbatim_group(out)
            return
        if token in _MISPLACED:
            raise _Unparsable
        self.position += 1
        token = symbols.SYNONYMS.get(token, token)
        out.append(symbols.DELIMITERS.get(token, token))

    def _environment(self, begin: str, out: list[str]) -> int:
        """Parse an environment; one that is not known stays as it is."""
        end = "\\end" + begin[6:]
        name = _ENVIRONMENTS.get(begin)
        out.append(begin)
        if name is None:
            self._verbatim(out, begin, end)
            return _OTHER
        if self.tokens[self.position] == "[" and name in symbols.POSITIONED:
            out += self.tokens[self.position : self.position + 3]
            self.position += 3
            if out[-1] != "]":
                raise _Unparsable
        alone = name in symbols.CELLS
        for _ in range(symbols.CELLS[name] if alone else symbols.ALIGNED_CELLS[name]):
            self._verbatim_group(out)
        stops = frozenset(["&", "\\\\", "\\cr", end])
        while True:
            content, _ = self._list(stops, sealed=alone)
            out += content
            token = self.tokens[self.position]
            self.position += 1
            if token == end:
                out.append(token)
                return _OTHER
            out.append("\\\\" if token == "\\cr" else token.replace("*", ""))

    def _text(self, token: str, out: list[str]) -> int:
        """Copy text; the formulas in it come to the normal form."""
        out.append(token)
        while self.tokens[self.position][:1] == "[":
            self._raw_token(out)
        if self.tokens[self.position] != "{":
            raise _Unparsable
        depth = 0
        while True:
            token = self.tokens[self.position]
            if not token:
                raise _Unparsable
            self.position += 1
            out.append(token)
            depth += (token == "{") - (token == "}")
            if not depth:
                return _OTHER
            if token == "$":
                end = self.tokens.index("$", self.position)
                out += normal_tokens(self.tokens[self.position : end])
                out.append("$")
                self.position = end + 1

    def _raw_token(self, out: list[str]) -> None:
        """Copy an argument that the tokeniser kept whole."""
        token = self.tokens[self.position]
        while token[:1] == "[" and len(token) > 1:
            out.append(token)
            self.position += 1
            token = self.tokens[self.position]
        if len(token) < 2 or token[0] == "\\":
            raise _Unparsable
        out.append(token)
        self.position += 1

    def _verbatim_group(self, out: list[str]) -> None:
        """Copy a group in braces as it stands."""
        token = self.tokens[self.position]
        if token[:1] != "{":
            raise _Unparsable
        self.position += 1
        out.append(token)
        if token == "{":
            self._verbatim(out, "{", "}")

    def _verbatim(self, out: list[str], opening: str, closing: str) -> None:
        """Copy tokens as they stand through the one that closes what is open."""
        depth = 1
        while depth:
            token = self.tokens[self.position]
            if not token:
                raise _Unparsable
            self.position += 1
            out.append(token)
            depth += (token == opening) - (token == closing)
