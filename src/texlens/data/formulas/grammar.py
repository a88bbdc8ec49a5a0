"""Formulas sampled from a grammar, of a given length and depth.

The grammar covers what schools and papers write: sums and products of terms, fractions, roots,
scripts, fences, functions, big operators with limits, accents, alphabets, matrices, cases and
aligned lines. The formulas look like mathematics, and need not mean anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import TypeVar

from texlens.data.formulas import symbols
from texlens.latex import normalize

T = TypeVar("T")

_WORDS = """and for if with where otherwise all is in of on the as such that since when at max min eff
tot int ext cm kg Tr diag rank sgn const SU SO Hom Aut Ker Re Im out red loc vol supp id res div grad
curl sinc erf"""
_NAMES = tuple(_WORDS.split())
_CONSTANTS = (
    r"\infty", r"\partial", r"\nabla", r"\hbar", r"\ell", r"\ldots", r"\cdots", r"\dagger",
    r"\emptyset", "!", r"\%", r"\prime", r"\angle", r"\triangle", r"\forall", r"\exists",
)  # fmt: skip
_FENCES = (
    (r"\left(", r"\right)"), (r"\left[", r"\right]"), (r"\left\{", r"\right\}"),
    (r"\left|", r"\right|"), (r"\left\langle", r"\right\rangle"), (r"\left\|", r"\right\|"),
    (r"\left\lfloor", r"\right\rfloor"), (r"\left\lceil", r"\right\rceil"),
    (r"\left.", r"\right|"), ("(", ")"), ("[", "]"), (r"\{", r"\}"), ("|", "|"),
    (r"\langle", r"\rangle"), (r"\big(", r"\big)"), (r"\Big[", r"\Big]"), (r"\bigg(", r"\bigg)"),
)  # fmt: skip


def generate(random: Random, *, tokens: int = 40, depth: int = 3) -> str:
    """One formula in normal form.

    Args:
        random: source of all choices; the same state gives the same formula.
        tokens: length aimed at, in tokens of `texlens.latex.tokenize`; met within about a third.
        depth: how deep fractions, scripts, fences and the like may nest; 0 writes one flat line.
    """
    return normalize(" ".join(_Grammar(random).formula(tokens, depth)))


class _Grammar:
    """Each method samples the tokens of one kind of expression, about ``room`` of them."""

    def __init__(self, random: Random) -> None:
        self.random = random
        # A formula uses few letters again and again.
        self.letters = random.sample(symbols.LOWER.members, 5) + random.sample(
            symbols.UPPER.members, 2
        )
        self.greek = random.sample(symbols.GREEK.members, 3) + random.sample(
            symbols.GREEK_UPPER.members, 1
        )
        self.relations = ["=", "=", *random.sample(symbols.RELATIONS, 2)]
        self.binary = ["+", "-", "+", *random.sample(symbols.BINARY.members, 1)]
        self.school = self.chance(0.35)  # school mathematics: numbers and Latin letters

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def choose(self, *options: T) -> T:
        return self.random.choice(options)

    def up_to(self, room: int) -> int:
        return self.random.randint(1, max(room, 1))

    def letter(self) -> str:
        return self.choose(*self.letters)

    def formula(self, room: int, depth: int) -> list[str]:
        kind = self.random.random()
        if depth > 0 and room > 24 and kind < 0.12:
            return self.lines(room, depth - 1)
        if depth > 0 and room > 30 and kind < 0.18:
            return [*self.expression(room // 6, 0), "=", *self.cases(room * 3 // 4, depth - 1)]
        out = self.expression(max(room // 3, 1), depth)
        while len(out) < room * 0.85:
            out += [self.choose(*self.relations)]
            out += self.expression(self.up_to(room - len(out)), depth)
        return out + self.ending()

    def ending(self) -> list[str]:
        kind = self.random.random()
        if kind < 0.55:
            return []
        mark = [self.choose(",", ".", ".", ";")]
        return mark if kind < 0.85 else [self.choose(r"\,", "~", r"\;", r"\ "), *mark]

    def expression(self, room: int, depth: int) -> list[str]:
        out = ["-"] if self.chance(0.1) else []
        out += self.term(self.up_to(room), depth)
        while len(out) < room * 0.8:
            out.append(self.choose(*self.binary))
            out += self.term(self.up_to(room - len(out)), depth)
        return out

    def term(self, room: int, depth: int) -> list[str]:
        out = self.factor(room, depth)
        while len(out) < room * 0.75:
            if self.chance(0.06):
                out.append(self.choose(r"\,", r"\cdot", r"\times", r"\;", "~"))
            out += self.factor(self.up_to(room - len(out)), depth)
        return out

    def factor(self, room: int, depth: int) -> list[str]:
        if depth <= 0 or room < 4:
            return self.symbol()
        kinds: dict[Callable[[int, int], list[str]], int] = {
            self.scripted: 9, self.fraction: 5, self.fenced: 4, self.root: 2, self.function: 3,
            self.big: 3, self.accented: 2, self.alphabet: 1, self.word: 1, self.limit: 1,
            self.over: 1, self.derivative: 1, self.matrix: 2 if room > 18 else 0,
        }  # fmt: skip
        (kind,) = self.random.choices(list(kinds), list(kinds.values()))
        return kind(room, depth - 1)

    def symbol(self) -> list[str]:
        kind = self.random.random()
        if kind < (0.4 if self.school else 0.18):
            return self.number()
        if kind < 0.7 or self.school:
            return [self.letter()]
        return [self.choose(*self.greek) if kind < 0.93 else self.choose(*_CONSTANTS)]

    def number(self) -> list[str]:
        length = self.choose(1, 1, 1, 2, 2, 3, 4)
        digits = [self.choose(*symbols.DIGITS.members) for _ in range(length)]
        if length > 1 and self.chance(0.2):
            digits.insert(self.random.randint(1, length - 1), ".")
        return digits

    def scripted(self, room: int, depth: int) -> list[str]:
        out = self.symbol() if self.chance(0.67) else self.accented(3, 0)
        if out[-1] in (r"\ldots", r"\cdots", "!"):
            out = [self.letter()]
        room = min(max(room - 5, 1), 8)
        kind = self.random.random()
        if kind < 0.65:
            out += ["_", *_braced(self.script(room, depth))]
        if kind > 0.45:
            out += ["^", *_braced(self.script(room, depth))]
        return out

    def script(self, room: int, depth: int) -> list[str]:
        kind = self.random.random()
        if kind < 0.6:
            return self.symbol()
        if kind < 0.75:
            return [*self.symbol(), self.choose(",", "+", "-"), *self.symbol()]
        if kind < 0.82:
            return [r"\mathrm", *_braced(self.choose(*_NAMES))]
        if kind < 0.88:
            return [self.choose(r"\prime", "*", r"\dagger", "+", "-", r"\pm")]
        return self.expression(room, depth)

    def fraction(self, room: int, depth: int) -> list[str]:
        room = max(room - 5, 2)
        upper = self.random.randint(1, room - 1)
        command = r"\binom" if self.chance(0.05) else r"\frac"
        above = _braced(self.expression(upper, depth))
        return [command, *above, *_braced(self.expression(room - upper, depth))]

    def fenced(self, room: int, depth: int) -> list[str]:
        left, right = self.choose(*_FENCES)
        inside = self.expression(max(room - 2, 1), depth)
        if self.chance(0.25):
            inside += [",", *self.expression(max(room // 3, 1), depth)]
        out = [left, *inside, right]
        if left == r"\left." or self.chance(0.25):
            out += ["^" if left != r"\left." else "_", *_braced(self.script(3, 0))]
        return out

    def root(self, room: int, depth: int) -> list[str]:
        degree = ["[", *self.symbol()[:1], "]"] if self.chance(0.2) else []
        return [r"\sqrt", *degree, *_braced(self.expression(max(room - 3, 1), depth))]

    def function(self, room: int, depth: int) -> list[str]:
        name = [self.choose(*symbols.FUNCTIONS.members)]
        if self.chance(0.3):
            name += ["^", *_braced("2" if self.chance(0.6) else "-1")]
        inside = self.expression(max(room - 4, 1), depth)
        return [*name, "(", *inside, ")"] if self.chance(0.7) else [*name, *self.symbol()]

    def big(self, room: int, depth: int) -> list[str]:
        weights = [8, 4, 9, 2, *[1] * (len(symbols.BIG_OPERATORS.members) - 4)]
        (operator,) = self.random.choices(symbols.BIG_OPERATORS.members, weights)
        out = [operator]
        kind = self.random.random()
        if kind < 0.8:
            index = self.letter()
            lower = [index, "=", *self.number()] if self.chance(0.5) else self.script(5, 0)
            out += ["_", *_braced(lower)]
        if kind < 0.55:
            out += ["^", *_braced([r"\infty"] if self.chance(0.4) else self.script(4, 0))]
        out += self.term(max(room - len(out) - 2, 1), depth)
        if operator in (r"\int", r"\oint", r"\iint"):
            out += [*([r"\,"] if self.chance(0.4) else []), "d", *self.symbol()]
        return out

    def accented(self, room: int, depth: int) -> list[str]:
        accent = self.choose(*symbols.ACCENTS.members, *symbols.WIDE_ACCENTS.members)
        if accent in symbols.WIDE_ACCENTS.members and room > 5:
            return [accent, *_braced(self.expression(min(room, 6), 0))]
        return [accent, *_braced([self.choose(*self.letters, *self.greek)])]

    def alphabet(self, room: int, depth: int) -> list[str]:
        alphabet = self.choose(*symbols.ALPHABETS.members)
        has_lower = alphabet in (r"\mathbf", r"\mathfrak", r"\mathsf")
        letters = symbols.LOWER if has_lower and self.chance(0.5) else symbols.UPPER
        return [alphabet, *_braced(self.choose(*letters.members))]

    def word(self, room: int, depth: int) -> list[str]:
        letters = self.choose(*_NAMES)
        kind = self.random.random()
        if kind < 0.6:
            return [r"\mathrm" if kind < 0.5 else r"\operatorname", *_braced(letters)]
        return [r"\quad", r"\mathrm", *_braced(f"~{letters}~")]

    def limit(self, room: int, depth: int) -> list[str]:
        below = [self.letter(), r"\to", *self.choose(["0"], [r"\infty"], self.symbol())]
        limit = [self.choose(*symbols.LIMITS.members), "_", *_braced(below)]
        return limit + self.term(max(room - 7, 1), depth)

    def over(self, room: int, depth: int) -> list[str]:
        inside = _braced(self.expression(max(min(room - 6, 10), 1), min(depth, 1)))
        kind = self.random.randrange(4)
        if kind == 0:
            return [r"\overbrace", *inside, "^", *_braced(self.script(3, 0))]
        if kind == 1:
            return [r"\underbrace", *inside, "_", *_braced(self.script(3, 0))]
        if kind == 2:
            return [r"\stackrel", *_braced(self.script(3, 0)), *_braced("=")]
        return [r"\overline", *inside]

    def derivative(self, room: int, depth: int) -> list[str]:
        d = self.choose("d", r"\partial")
        order = ["^", "{", "2", "}"] if self.chance(0.3) else []
        variable = self.letter()
        over = self.symbol() if self.chance(0.7) else []
        return [r"\frac", *_braced([d, *order, *over]), *_braced([d, variable, *order])]

    def matrix(self, room: int, depth: int) -> list[str]:
        columns, rows = self.choose(1, 2, 2, 2, 3, 3, 4), self.choose(2, 2, 2, 3, 3, 4)
        cell = max((room - 8) // (columns * rows) - 1, 1)
        body = _rows(
            [[self.expression(cell, min(depth, 1)) for _ in range(columns)] for _ in range(rows)]
        )
        if self.chance(0.8):
            left, right = self.choose(*_FENCES[:6])
            return [left, *_array([self.choose(*"ccclr") for _ in range(columns)], body), right]
        name = self.choose("matrix", "pmatrix", "bmatrix", "vmatrix", "smallmatrix", "Vmatrix")
        return [rf"\begin{{{name}}}", *body, rf"\end{{{name}}}"]

    def cases(self, room: int, depth: int) -> list[str]:
        rows = self.choose(2, 2, 3)
        each = max(room // rows - 4, 3)
        lines = []
        for _ in range(rows):
            condition = [self.letter(), self.choose(*self.relations), *self.symbol()]
            word = [r"\mathrm", *_braced("if~")] if self.chance(0.5) else []
            value = [*self.expression(max(each - 6, 1), depth), ","]
            lines.append([value, word + condition])
        if self.chance(0.25):
            return [r"\begin{cases}", *_rows(lines), r"\end{cases}"]
        return [r"\left\{", *_array("ll", _rows(lines)), r"\right."]

    def lines(self, room: int, depth: int) -> list[str]:
        rows = self.choose(2, 2, 2, 3, 3, 4)
        each = max(room // rows - 3, 4)
        lines = []
        for number in range(rows):
            left = ["{", "}"]
            if number == 0 or self.chance(0.5):
                left = self.expression(max(each // 4, 1), min(depth, 1))
            right = self.expression(max(each * 3 // 4, 1), depth)
            lines.append((left, [self.choose(*self.relations)], right))
        if self.chance(0.25):
            body = _rows([[left, relation + right] for left, relation, right in lines])
            return [r"\begin{aligned}", *body, r"\end{aligned}"]
        return _array("rcl", _rows(lines))


def _braced(tokens: Iterable[str]) -> list[str]:
    """Tokens, or the letters of a word, in braces."""
    return ["{", *tokens, "}"]


def _rows(rows: Sequence[Sequence[list[str]]]) -> list[str]:
    """Cells of tokens, joined to rows and lines."""
    lines = (" & ".join(" ".join(cell) for cell in row) for row in rows)
    return r" \\ ".join(lines).split(" ")


def _array(columns: Iterable[str], body: list[str]) -> list[str]:
    return [r"\begin{array}", *_braced(columns), *body, r"\end{array}"]
