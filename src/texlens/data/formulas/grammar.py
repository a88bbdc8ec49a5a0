"""Formulas of our own making, from a grammar: no list needed, length and depth as asked.

The grammar writes what schools and papers write: sums and products of terms, fractions, roots,
scripts, fences, functions, big operators with limits, accents, alphabets, matrices, cases and
aligned lines. It makes sense to a reader of symbols, not to a mathematician.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from texlens.data.formulas.symbols import (
    ACCENTS,
    ALPHABETS,
    BIG_OPERATORS,
    BINARY,
    DIGITS,
    FUNCTIONS,
    GREEK,
    GREEK_UPPER,
    LIMITS,
    LOWER,
    RELATIONS,
    UPPER,
    WIDE_ACCENTS,
)
from texlens.latex import normalize

_WORDS = """and for if with where otherwise all is in of on the as such that since when at max min eff
tot int ext cm kg Tr diag rank sgn const SU SO Hom Aut Ker Re Im out red loc vol supp id res div grad
curl sinc erf"""
_NAMES = tuple(_WORDS.split())
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
    """Each method writes tokens of one kind of expression with about ``room`` tokens."""

    def __init__(self, random: Random) -> None:
        self.random = random
        # A formula uses few letters again and again.
        self.letters = random.sample(LOWER.symbols, 5) + random.sample(UPPER.symbols, 2)
        self.greek = random.sample(GREEK.symbols, 3) + random.sample(GREEK_UPPER.symbols, 1)
        self.relations = ["=", "=", *random.sample(RELATIONS, 2)]
        self.binary = ["+", "-", "+", *random.sample(BINARY.symbols, 1)]
        self.plain = random.random() < 0.35  # school mathematics: numbers and Latin letters

    def formula(self, room: int, depth: int) -> list[str]:
        kind = self.random.random()
        if depth > 0 and room > 24 and kind < 0.12:
            return self.lines(room, depth - 1)
        if depth > 0 and room > 30 and kind < 0.18:
            return [*self.expression(room // 6, 0), "=", *self.cases(room * 3 // 4, depth - 1)]
        out = self.expression(max(room // 3, 1), depth)
        while len(out) < room * 0.85:
            out += [self.random.choice(self.relations)]
            left = max(room - len(out), 1)
            out += self.expression(self.random.randint(1, max(left, 1)), depth)
        return out + self.ending()

    def ending(self) -> list[str]:
        kind = self.random.random()
        if kind < 0.55:
            return []
        mark = [self.random.choice([",", ".", ".", ";"])]
        return mark if kind < 0.85 else [self.random.choice([r"\,", "~", r"\;", r"\ "]), *mark]

    def expression(self, room: int, depth: int) -> list[str]:
        out = ["-"] if self.random.random() < 0.1 else []
        out += self.term(self.random.randint(1, max(room, 1)), depth)
        while len(out) < room * 0.8:
            out.append(self.random.choice(self.binary))
            out += self.term(self.random.randint(1, max(room - len(out), 1)), depth)
        return out

    def term(self, room: int, depth: int) -> list[str]:
        out = self.factor(room, depth)
        while len(out) < room * 0.75:
            if self.random.random() < 0.06:
                out.append(self.random.choice([r"\,", r"\cdot", r"\times", r"\;", "~"]))
            out += self.factor(self.random.randint(1, max(room - len(out), 1)), depth)
        return out

    def factor(self, room: int, depth: int) -> list[str]:
        if depth <= 0 or room < 4:
            return self.symbol()
        makers: Sequence[tuple[int, Callable[[int, int], list[str]]]] = (
            (9, self.scripted), (5, self.fraction), (4, self.fenced), (2, self.root),
            (3, self.function), (3, self.big), (2, self.accented), (1, self.alphabet),
            (1, self.word), (1, self.limit), (1, self.over), (1, self.derivative),
            (2 if room > 18 else 0, self.matrix),
        )  # fmt: skip
        (maker,) = self.random.choices([m for _, m in makers], [w for w, _ in makers])
        return maker(room, depth - 1)

    def symbol(self) -> list[str]:
        kind = self.random.random()
        if kind < (0.4 if self.plain else 0.18):
            return self.number()
        if kind < 0.7 or self.plain:
            return [self.random.choice(self.letters)]
        if kind < 0.93:
            return [self.random.choice(self.greek)]
        return [self.random.choice([r"\infty", r"\partial", r"\nabla", r"\hbar", r"\ell", r"\ldots",
                                    r"\cdots", r"\dagger", r"\emptyset", "!", r"\%", r"\prime",
                                    r"\angle", r"\triangle", r"\forall", r"\exists"])]  # fmt: skip

    def number(self) -> list[str]:
        digits = [
            self.random.choice(DIGITS.symbols)
            for _ in range(self.random.choice((1, 1, 1, 2, 2, 3, 4)))
        ]
        if len(digits) > 1 and self.random.random() < 0.2:
            digits.insert(self.random.randint(1, len(digits) - 1), ".")
        return digits

    def scripted(self, room: int, depth: int) -> list[str]:
        base = self.symbol() if self.random.random() < 0.67 else self.accented(3, 0)
        if base[-1] in (r"\ldots", r"\cdots", "!"):
            base = [self.random.choice(self.letters)]
        room = min(max(room - 5, 1), 8)
        out = list(base)
        kind = self.random.random()
        if kind < 0.65:
            out += ["_", *self.braced(self.script(room, depth))]
        if kind > 0.45:
            out += ["^", *self.braced(self.script(room, depth))]
        return out

    def script(self, room: int, depth: int) -> list[str]:
        kind = self.random.random()
        if kind < 0.6:
            return self.symbol()
        if kind < 0.75:
            return [*self.symbol(), self.random.choice([",", "+", "-"]), *self.symbol()]
        if kind < 0.82:
            return [r"\mathrm", *self.braced(list(self.random.choice(_NAMES)))]
        if kind < 0.88:
            return [self.random.choice([r"\prime", "*", r"\dagger", "+", "-", r"\pm"])]
        return self.expression(room, depth)

    def braced(self, tokens: list[str]) -> list[str]:
        return ["{", *tokens, "}"]

    def fraction(self, room: int, depth: int) -> list[str]:
        room = max(room - 5, 2)
        upper = self.random.randint(1, room - 1)
        command = r"\binom" if self.random.random() < 0.05 else r"\frac"
        return [command, *self.braced(self.expression(upper, depth)),
                *self.braced(self.expression(room - upper, depth))]  # fmt: skip

    def fenced(self, room: int, depth: int) -> list[str]:
        left, right = self.random.choice(_FENCES)
        inside = self.expression(max(room - 2, 1), depth)
        if self.random.random() < 0.25:
            inside += [",", *self.expression(max(room // 3, 1), depth)]
        out = [left, *inside, right]
        if left == r"\left." or self.random.random() < 0.25:
            out += ["^" if left != r"\left." else "_", *self.braced(self.script(3, 0))]
        return out

    def root(self, room: int, depth: int) -> list[str]:
        degree = ["[", *self.symbol()[:1], "]"] if self.random.random() < 0.2 else []
        return [r"\sqrt", *degree, *self.braced(self.expression(max(room - 3, 1), depth))]

    def function(self, room: int, depth: int) -> list[str]:
        name = [self.random.choice(FUNCTIONS.symbols)]
        if self.random.random() < 0.3:
            name += ["^", *self.braced(["2"] if self.random.random() < 0.6 else ["-", "1"])]
        inside = self.expression(max(room - 4, 1), depth)
        if self.random.random() < 0.7:
            return [*name, "(", *inside, ")"]
        return [*name, *self.symbol()]

    def big(self, room: int, depth: int) -> list[str]:
        operator = self.random.choices(
            BIG_OPERATORS.symbols, [8, 4, 9, 2, *[1] * (len(BIG_OPERATORS.symbols) - 4)]
        )[0]
        out = [operator]
        kind = self.random.random()
        if kind < 0.8:
            index = self.random.choice(self.letters)
            lower = (
                [index, "=", *self.number()] if self.random.random() < 0.5 else self.script(5, 0)
            )
            out += ["_", *self.braced(lower)]
        if kind < 0.55:
            upper = [r"\infty"] if self.random.random() < 0.4 else self.script(4, 0)
            out += ["^", *self.braced(upper)]
        out += self.term(max(room - len(out) - 2, 1), depth)
        if operator in (r"\int", r"\oint", r"\iint"):
            out += [*([r"\,"] if self.random.random() < 0.4 else []), "d", *self.symbol()]
        return out

    def accented(self, room: int, depth: int) -> list[str]:
        accent = self.random.choice(ACCENTS.symbols + WIDE_ACCENTS.symbols)
        wide = accent in WIDE_ACCENTS.symbols and room > 5
        inside = (
            self.expression(min(room, 6), 0)
            if wide
            else [self.random.choice(self.letters + self.greek)]
        )
        return [accent, *self.braced(inside)]

    def alphabet(self, room: int, depth: int) -> list[str]:
        alphabet = self.random.choice(ALPHABETS.symbols)
        letter = self.random.choice(LOWER.symbols if alphabet in (r"\mathbf", r"\mathfrak", r"\mathsf")
                                    and self.random.random() < 0.5 else UPPER.symbols)  # fmt: skip
        return [alphabet, *self.braced([letter])]

    def word(self, room: int, depth: int) -> list[str]:
        letters = list(self.random.choice(_NAMES))
        kind = self.random.random()
        if kind < 0.5:
            return [r"\mathrm", *self.braced(letters)]
        if kind < 0.6:
            return [r"\operatorname", *self.braced(letters)]
        return [r"\quad", r"\mathrm", *self.braced(["~", *letters, "~"])]

    def limit(self, room: int, depth: int) -> list[str]:
        below = [
            self.random.choice(self.letters),
            r"\to",
            *self.random.choice((["0"], [r"\infty"], self.symbol())),
        ]
        return [
            self.random.choice(LIMITS.symbols),
            "_",
            *self.braced(below),
            *self.term(max(room - 7, 1), depth),
        ]

    def over(self, room: int, depth: int) -> list[str]:
        inside = self.expression(max(min(room - 6, 10), 1), min(depth, 1))
        kind = self.random.randrange(4)
        if kind == 0:
            return [r"\overbrace", *self.braced(inside), "^", *self.braced(self.script(3, 0))]
        if kind == 1:
            return [r"\underbrace", *self.braced(inside), "_", *self.braced(self.script(3, 0))]
        if kind == 2:
            return [r"\stackrel", *self.braced(self.script(3, 0)), *self.braced(["="])]
        return [r"\overline", *self.braced(inside)]

    def derivative(self, room: int, depth: int) -> list[str]:
        d = self.random.choice(["d", r"\partial"])
        order = ["^", "{", "2", "}"] if self.random.random() < 0.3 else []
        variable = self.random.choice(self.letters)
        over = self.symbol() if self.random.random() < 0.7 else []
        return [r"\frac", *self.braced([d, *order, *over]), *self.braced([d, variable, *order])]

    def matrix(self, room: int, depth: int) -> list[str]:
        columns, rows = (
            self.random.choice((1, 2, 2, 2, 3, 3, 4)),
            self.random.choice((2, 2, 2, 3, 3, 4)),
        )
        cell = max((room - 8) // (columns * rows) - 1, 1)
        lines = [
            [" & ".join(" ".join(self.expression(cell, min(depth, 1))) for _ in range(columns))]
            for _ in range(rows)
        ]
        body = r" \\ ".join(line[0] for line in lines).split(" ")
        kind = self.random.random()
        if kind < 0.8:
            left, right = self.random.choice(_FENCES[:6])
            spec = [self.random.choice("ccclr") for _ in range(columns)]
            return [left, r"\begin{array}", *self.braced(spec), *body, r"\end{array}", right]
        name = self.random.choice(
            ["matrix", "pmatrix", "bmatrix", "vmatrix", "smallmatrix", "Vmatrix"]
        )
        return [rf"\begin{{{name}}}", *body, rf"\end{{{name}}}"]

    def cases(self, room: int, depth: int) -> list[str]:
        rows = self.random.choice((2, 2, 3))
        each = max(room // rows - 4, 3)
        lines = []
        for _ in range(rows):
            condition = [
                self.random.choice(self.letters),
                self.random.choice(self.relations),
                *self.symbol(),
            ]
            word = [r"\mathrm", *self.braced([*"if", "~"])] if self.random.random() < 0.5 else []
            lines.append([*self.expression(max(each - 6, 1), depth), ",", "&", *word, *condition])
        body = " ".join(r" \\ ".join(" ".join(line) for line in lines).split()).split(" ")
        if self.random.random() < 0.25:
            return [r"\begin{cases}", *body, r"\end{cases}"]
        return [r"\left\{", r"\begin{array}", "{", "l", "l", "}", *body, r"\end{array}", r"\right."]

    def lines(self, room: int, depth: int) -> list[str]:
        rows = self.random.choice((2, 2, 2, 3, 3, 4))
        each = max(room // rows - 3, 4)
        lines = []
        for number in range(rows):
            left = (
                self.expression(max(each // 4, 1), min(depth, 1))
                if number == 0 or self.random.random() < 0.5
                else ["{", "}"]
            )
            right = self.expression(max(each * 3 // 4, 1), depth)
            lines.append((left, self.random.choice(self.relations), right))
        if self.random.random() < 0.25:
            body = r" \\ ".join(f"{' '.join(a)} & {r} {' '.join(b)}" for a, r, b in lines)
            return [r"\begin{aligned}", *body.split(" "), r"\end{aligned}"]
        body = r" \\ ".join(f"{' '.join(a)} & {r} & {' '.join(b)}" for a, r, b in lines)
        return [r"\begin{array}", "{", "r", "c", "l", "}", *body.split(" "), r"\end{array}"]
