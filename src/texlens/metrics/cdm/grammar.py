r"""The grammar with which the official CDM code splits a formula into tokens.

That code (UniMERNet, folder `cdm`, 2025) parses formulas with a KaTeX of 2016 whose printer writes
normalised LaTeX, as im2latex-100k's preprocessing did (Deng et al. 2017, arXiv 1609.04938). Scores
depend on what that grammar accepts, changes, drops and refuses, so this parser does the same:

- an unknown command is a letter (inside `\mathrm` a row of letters);
- `\text`, `\mbox` and the like become `\mathrm`; `\dfrac` and `\over` become `\frac`;
- every matrix, `cases` and `aligned` becomes an `array` without its lines and row gaps;
- a second script of the same kind replaces the first, and primes are superscripts;
- `\limits`, and anything after a `%`, are dropped;
- colours, `gathered` and other environments, a row that starts with `[`, a function where an
  argument should be (`\sqrt\sqrt x`) are refused: then the metric uses the raw text.

There is one pass: every method appends to `_Parser.out` what the official printer would print.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Final

from texlens.metrics.cdm import commands
from texlens.metrics.cdm.words import END, Refused, Words

MAX_DEPTH: Final = 60
"""Groups within groups beyond which a formula is refused (each takes six Python frames)."""

_ENDS_EXPRESSION: Final = frozenset(["}", "\\end", "\\right", "&", "\\\\", "\\cr", END])


def tokens(latex: str) -> list[str] | None:
    """The tokens of a formula as the official printer prints them; None where it is refused.

    `latex` is one line without comments, dollars and labels (see `tokens.first_tokens`).
    """
    try:
        parser = _Parser(latex)
        parser.expression()
        if parser.next != END:
            return None
    except Refused:
        return None
    return _with_named_operators(parser.out)


class _Parser(Words):
    """Recursive descent over one formula; `out` is the output so far."""

    def __init__(self, latex: str) -> None:
        super().__init__(latex)
        self.depth = 0
        self.roman = False  # within \mathrm, where unknown commands become single letters
        self.out: list[str] = []

    def expression(self, *, before_infix: bool = False, until: str = "") -> None:
        """Atoms up to a closing word; with `before_infix` also up to `\\over`."""
        out = self.out
        start = len(out)
        infix = -1
        name = ""
        while (word := self.next) not in _ENDS_EXPRESSION and word != until:
            if word in commands.INFIX:
                if before_infix:
                    break
                if infix >= 0:
                    raise Refused
                infix, name = len(out), commands.INFIX[word]
                self.advance()
                if self.next in ("^", "_", "'", "\\limits", "\\nolimits"):
                    raise Refused
            else:
                self.atom()
        if infix >= 0:
            numerator, denominator = out[start:infix], out[infix:]
            out[start:] = [name, *_grouped(numerator), *_grouped(denominator)]

    def atom(self) -> None:
        """A nucleus with its scripts, printed as nucleus, subscript, superscript."""
        out = self.out
        operator = self.nucleus()
        if self.text:
            return
        sub: list[str] | None = None
        sup: list[str] | None = None
        while True:
            word = self.next
            if word == "^":
                sup = self.script()
            elif word == "_":
                sub = self.script()
            elif word == "'":
                sup = ["{"]
                while self.next == "'":
                    sup.append("\\prime")
                    self.advance()
                sup.append("}")
            elif word == "\\limits" or word == "\\nolimits":
                if operator is None:
                    raise Refused
                if operator:
                    del out[operator[0] :]
                    out += _operator(operator[1], limits=word == "\\limits")
                self.advance()
            else:
                break
        if sub is not None:
            out.append("_")
            out += sub
        if sup is not None:
            out.append("^")
            out += sup

    def script(self) -> list[str] | None:
        """The argument of `^` or `_`, always in braces; None at the end of the text."""
        self.advance()
        word = self.next
        if word == END:
            return None
        out = self.out
        start = len(out)
        if word == "{":
            self.group()
            script = out[start:]
        else:
            if (
                word in commands.FUNCTIONS and word not in commands.GREEDY
            ) or word in commands.REFUSED:
                raise Refused
            if word in commands.GREEDY:
                self.function()
            else:
                self.symbol()
            script = ["{", *out[start:], "}"]
        del out[start:]
        return script

    def group(self) -> None:
        """`{...}`, with its braces."""
        out = self.out
        out.append("{")
        self.enter()
        self.advance()
        self.expression()
        self.expect("}")
        self.depth -= 1
        out.append("}")

    def enter(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Refused

    def symbol(self) -> None:
        """One word that is no function."""
        word = self.next
        if self.roman and len(word) > 1 and word not in commands.SYMBOLS:
            self.out += word
        else:
            self.out.append("~" if word == " " else word)
        self.advance()

    def nucleus(self) -> tuple[int, str] | tuple[()] | None:
        """An atom without scripts.

        Returns None for anything but an operator, () for an operator that is one symbol, and for
        a word such as `\\max`, which `\\limits` may follow, its place in `out` and its name.
        """
        word = self.next
        if word == "{":
            self.group()
        elif word not in commands.FUNCTIONS:
            if word in commands.PLAIN_ARRAYS:
                self.advance()
                self.expect("{")
                self.array(word[1:])
                self.expect("}")
            elif word in commands.REFUSED:
                raise Refused
            else:
                self.symbol()
        elif word in commands.LARGE_OPERATORS:
            self.out.append(word)
            self.advance()
            return ()
        elif word in commands.OPERATORS or word in commands.LIMIT_OPERATORS:
            place = len(self.out)
            self.out += _operator(word, limits=word in commands.LIMIT_OPERATORS)
            self.advance()
            return place, word
        elif word == "\\left":
            self.fenced()
        elif word == "\\begin":
            self.environment()
        elif word in commands.SIZES or word in commands.STYLES:
            self.declaration()
        else:
            self.function()
        return None

    def declaration(self) -> None:
        """`\\bf`, `\\displaystyle`: what follows in the group belongs to it."""
        word = self.next
        self.enter()
        self.advance()
        if word == "\\rm":
            outer, self.roman = self.roman, True
            self.out += ["\\mathrm", "{"]
            self.expression()
            self.out.append("}")
            self.roman = outer
        else:
            self.out.append(word)
            self.expression(before_infix=word in commands.STYLES)
        self.depth -= 1

    def fenced(self) -> None:
        """`\\left( ... \\right)`."""
        self.enter()
        self.delimited()
        self.expression()
        if self.next != "\\right":
            raise Refused
        self.delimited()
        self.depth -= 1

    def delimited(self) -> None:
        """`\\left` or `\\right` and its delimiter, printed as one token."""
        command = self.next
        self.advance()
        self.out.append(command + self.delimiter())

    def delimiter(self) -> str:
        """Step over a delimiter."""
        word = self.next
        if word not in commands.DELIMITERS:
            raise Refused
        self.advance()
        return word

    def function(self) -> None:
        """A command with arguments."""
        word = self.next
        out = self.out
        self.enter()
        self.advance()
        if word in commands.FRACTIONS:
            out.append(commands.FRACTIONS[word])
            start = len(out)
            self.argument(greedy=True)
            self.argument(greedy=True, previous=out[start:])
        elif word in commands.FONTS:
            name = commands.FONTS[word]
            outer, self.roman = self.roman, name == "\\mathrm"
            out.append(name)
            self.argument(greedy=True)
            self.roman = outer
        elif word in commands.TEXT:
            out.append("\\mathrm")
            self.text_argument()
        elif word in commands.LINES:
            out += [word, "{"]
            self.argument()
            out.append("}")
        elif word in commands.LAPS or word in commands.ACCENTS or word == "\\phantom":
            out.append(word)
            self.argument(braced=word not in commands.LAPS)
        elif word == "\\sqrt":
            out.append(word)
            index: list[str] | None = None
            if self.next == "[":
                start = len(out)
                out.append("[")
                self.advance()
                self.expression(until="]")
                self.expect("]")
                index = ["{", *out[start + 1 :], "}"]
                out.append("]")
            self.argument(previous=index)
        elif word in commands.BIG:
            out += [word, self.delimiter()]
        elif word == "\\rule":
            self.rule()
        else:
            raise Refused
        self.depth -= 1

    def argument(
        self, *, greedy: bool = False, braced: bool = False, previous: list[str] | None = None
    ) -> None:
        """One argument; with `braced` in braces even if it is one symbol.

        A function cannot be the argument of one as greedy. The official parser then repeats the
        previous argument, and without one it fails.
        """
        word = self.next
        if word == "{":
            self.group()
            return
        if word == END or word in commands.REFUSED:
            raise Refused
        if braced:
            self.out.append("{")
        if word in commands.FUNCTIONS:
            if greedy or word not in commands.GREEDY:
                if previous is None:
                    raise Refused
                self.out += previous
                self.advance()
            else:
                self.function()
        else:
            self.symbol()
        if braced:
            self.out.append("}")

    def text_argument(self) -> None:
        """The argument of `\\text`, where white space prints as `~`."""
        outer, self.text = self.text, True
        if self.next != "{":  # one word, with braces put around it
            if self.next == END or self.next in commands.FUNCTIONS:
                raise Refused
            self.out.append("{")
            self.symbol()
            self.out.append("}")
        else:
            self.group()
        self.text = outer
        self.reread()

    def rule(self) -> None:
        if self.next == "[":
            self.size("[", "]")
        width, height = self.size("{", "}"), self.size("{", "}")
        self.out += ["\\rule", "{", *width.split(), "}", "{", *height.split(), "}"]

    def environment(self) -> None:
        """`\\begin{array} ... \\end{array}`."""
        self.enter()
        name = self.name()
        if name not in commands.CELLS:
            raise Refused
        self.array(name)
        if self.next != "\\end" or self.name() != name:
            raise Refused
        self.depth -= 1

    def name(self) -> str:
        """The name after `\\begin` or `\\end`, which may not be padded with spaces."""
        self.advance()
        if self.next != "{":
            raise Refused
        outer, self.text = self.text, True
        self.advance()
        name = ""
        while self.next not in _ENDS_EXPRESSION:
            name += self.next
            self.advance()
        self.expect("}")
        self.text = outer
        self.reread()
        return name

    def columns(self) -> list[str]:
        """The argument of `\\begin{array}`: only plain `l`, `c`, `r` are kept."""
        start = len(self.out)
        opened = self.next == "{"
        self.argument()
        printed = self.out[start:]
        del self.out[start:]
        depth = 0
        kept: list[str] = []
        for word, after in zip(printed, [*printed[1:], ""], strict=True):
            depth += (word == "{") - (word == "}")
            if depth == opened and word in ("l", "c", "r") and after not in ("^", "_"):
                kept.append(word)
        return kept

    def array(self, name: str) -> None:
        """Rows and cells; the columns and the delimiters around them depend on `name`."""
        out = self.out
        left, right = commands.CELLS[name]
        if left:
            out.append(f"\\left{left}")
        start = len(out)
        columns = self.columns() if name in ("array", "tabular") else []
        widths: list[int] = []
        while True:
            widths.append(self.row(empty_group=name == "aligned"))
            if self.next not in ("\\\\", "\\cr"):
                break
            self.advance()
            if self.next == "[":
                self.size("[", "]")
        if self.next not in ("\\end", "}"):
            raise Refused
        if name in ("cases", "picture"):
            columns = ["l", "l"]
        elif name == "aligned":
            columns = ["rl"[n % 2] for n in range(max(widths))]
        elif name not in ("array", "tabular"):
            columns = ["l"] * widths[0]
        out[start:start] = ["\\begin{array}", "{", *columns, "}"]
        if out[-1] == "\\\\":
            out.pop()
        out.append("\\end{array}")
        if right:
            out.append(f"\\right{right}")

    def row(self, *, empty_group: bool) -> int:
        """One row, printed with its `\\\\` unless all its cells are empty; its number of cells.

        With `empty_group` every second cell starts with `{ }`, as `aligned` has it.
        """
        out = self.out
        start = len(out)
        cells, filled = 0, False
        while True:
            place = len(out)
            out.append("{")
            if empty_group and cells % 2:
                out += ["{", "}"]
            self.expression()
            out.append("}")
            cells += 1
            if len(out) == place + 2:
                del out[place:]
            else:
                filled = True
            if self.next != "&":
                break
            out.append("&")
            self.advance()
        if filled:
            out.append("\\\\")
        else:
            del out[start:]
        return cells


def _grouped(words: list[str]) -> list[str]:
    """One side of `\\over` in braces, unless it is one group already."""
    depths = list(accumulate((word == "{") - (word == "}") for word in words))
    is_group = words[:1] == ["{"] and 0 not in depths[:-1]
    return words if is_group else ["{", *words, "}"]


def _operator(word: str, *, limits: bool) -> list[str]:
    """A named operator such as `\\max`, letter by letter."""
    return ["\\operatorname*" if limits else "\\operatorname", "{", *word[1:], "}"]


def _with_named_operators(printed: list[str]) -> list[str]:
    """`\\operatorname { s i n }` is `\\sin` again, whoever wrote it."""
    place = 0
    while "\\operatorname" in printed[place:]:
        place = printed.index("\\operatorname", place) + 1
        if printed[place : place + 1] == ["{"]:
            end = printed.index("}", place)
            name = "".join(printed[place + 1 : end])
            if name in commands.NAMED_OPERATORS:
                printed[place - 1 : end + 1] = ["\\" + name]
    return printed
