r"""Formulas of one kind each: what people photograph and paste, and papers do not hold.

Words in formulas, units, money, boxed answers, cases with words, chemistry, large matrices, school
layouts, single symbols, rare commands. Each kind is a function of a random generator; numbers, names
and operators are random, so that nothing is learnt by heart.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from texlens.data.formulas import symbols
from texlens.data.formulas.chemistry import chemistry
from texlens.data.formulas.grammar import generate
from texlens.data.formulas.rare import rare
from texlens.data.formulas.words import phrase, word

_UNITS: Final = (
    "m", "cm", "mm", "km", "kg", "g", "mg", "s", "ms", "min", "h", "N", "J", "kJ", "W", "kW", "V", "mV",
    "A", "mA", "Hz", "kHz", "MHz", "Pa", "kPa", "mol", "K", "L", "mL", "m/s", "km/h", "eV", "MeV", "GeV",
    "T", "C", "F", "dB", "rad", "ft", "in", "lb", "mi", "mph", "hours", "minutes", "people", "days",
)  # fmt: skip
_POWERED: Final = ("m", "cm", "s", "kg", "ft", "in", "km", "mol", "K")
_ENDS: Final = ("", "", "", ".", ",", "?")


def number(random: Random) -> str:
    """A number as it is written: whole, decimal, negative, with thousands, percent, a power of ten."""
    digits = str(random.randrange(10 ** random.choice((1, 1, 2, 2, 3, 4, 5, 6))))
    kind = random.random()
    if kind < 0.45:
        return digits
    if kind < 0.7:
        return f"{digits}.{random.randrange(10 ** random.choice((1, 2, 2, 3))):d}"
    if kind < 0.78:
        return f"-{digits}"
    if kind < 0.86:
        comma = random.choice((",", "{,}", r"\,"))
        return f"{random.randrange(1, 999)}{comma}{random.randrange(1000):03d}"
    if kind < 0.93:
        exponent = random.choice(("", "-")) + str(random.randrange(1, 24))
        return rf"{random.randrange(1, 10)}.{random.randrange(100)} \times 10^{{{exponent}}}"
    return rf"{digits}\%"


def _letter(random: Random) -> str:
    return random.choice(symbols.LOWER.members + symbols.UPPER.members)


def _expression(random: Random, tokens: int = 8, depth: int = 1) -> str:
    """A short piece of mathematics without the punctuation that ends a formula."""
    return generate(random, tokens=tokens, depth=depth).rstrip(" .,;~\\")


def _text(random: Random, words: str) -> str:
    """Words set upright, as one of the commands that do so."""
    command = random.choices((r"\text", r"\mathrm", r"\textrm", r"\mbox"), (12, 3, 1, 1))[0]
    return _set(command, words)


def _set(command: str, words: str) -> str:
    """Words as the argument of a command; commands of mathematics need `~` for a space."""
    if command.startswith(r"\math"):
        words = words.replace(" ", "~")
    return rf"{command}{{{words}}}"


def words(random: Random) -> str:
    """Mathematics with words before, between or after it."""
    parts = [_expression(random, random.choice((4, 8, 14)), random.choice((0, 1, 2)))]
    for _ in range(random.choice((1, 1, 1, 2))):
        words = phrase(random, random.choice((1, 1, 2, 3, 4)))
        space = random.choice(("", r"\ ", r"\quad ", r"\;", "~"))
        before, after = ("", " ") if not parts else (" " if not space else "", " ")
        piece = _text(random, f"{before}{words}{after}")
        if random.random() < 0.2:
            parts.insert(0, _text(random, f"{words} "))
        else:
            parts += [space + piece, _expression(random, random.choice((2, 5, 9)), 1)]
    if random.random() < 0.3:
        parts.pop()
    return " ".join(parts) + random.choice(_ENDS)


def named(random: Random) -> str:
    """An equation between words, or words as names of quantities: ``Area = ...``."""
    left = _text(random, phrase(random, random.choice((1, 1, 2, 3))).capitalize())
    kind = random.random()
    if kind < 0.4:
        over = _text(random, phrase(random, random.choice((1, 2, 3))))
        under = _text(random, phrase(random, random.choice((1, 2, 3))))
        return rf"{left} = \frac{{{over}}}{{{under}}}"
    if kind < 0.7:
        other = _text(random, phrase(random, 1))
        sign = random.choice((r"\times", "+", "-", r"\cdot"))
        return rf"{left} = {other} {sign} {number(random)}"
    subscript = rf"{_letter(random)}_{{{_text(random, word(random))}}}"
    return rf"{left} = {subscript} {random.choice('+-')} {_expression(random)}"


def units(random: Random) -> str:
    """A quantity with its unit, or a calculation with quantities."""
    name = rf"{_letter(random)} = " if random.random() < 0.5 else ""
    parts = [_quantity(random)]
    for _ in range(random.choice((0, 0, 1, 2))):
        parts += [
            random.choice(("+", "-", r"\times", r"\cdot", "=", r"\approx")),
            _quantity(random),
        ]
    if random.random() < 0.2:
        return rf"{name}\frac{{{parts[0]}}}{{{_quantity(random)}}}"
    return name + " ".join(parts)


def _quantity(random: Random) -> str:
    space = random.choice(("", r"\,", r"\ ", "~", r"\;"))
    kind = random.random()
    if kind < 0.2:
        scale = random.choice(("", "", r"\mathrm{C}", r"\text{F}", " C"))
        return rf"{random.randrange(1000)}^\circ{scale}"
    unit = random.choice(_UNITS)
    if kind < 0.35:
        unit, power = random.choice(_POWERED), random.choice(("2", "3", "-1", "-2"))
        return rf"{number(random)}{space}\mathrm{{{unit}}}^{{{power}}}"
    if kind < 0.45:
        over, under = random.choice(_UNITS), random.choice(_POWERED)
        return rf"{number(random)}{space}\frac{{\text{{{over}}}}}{{\text{{{under}}}}}"
    if kind < 0.52:
        return rf"{number(random)}{space}\mu\mathrm{{{random.choice('mgsAFV')}}}"
    if kind < 0.55:
        return rf"{number(random)}\,\Omega"
    command = random.choice((r"\text", r"\mathrm", r"\text", r"\rm"))
    if command == r"\rm":
        return rf"{number(random)}{space}{{\rm {unit}}}"
    return rf"{number(random)}{space}{command}{{{unit}}}"


def degrees(random: Random) -> str:
    """Angles and temperatures."""
    angle = random.choice(
        (rf"{random.randrange(361)}^\circ", rf"{random.randrange(361)}^{{\circ}}",
         rf"{random.randrange(90)}.{random.randrange(10)}^\circ",
         rf"{random.randrange(90)}^\circ {random.randrange(60)}'", rf"{random.randrange(361)}\degree")
    )  # fmt: skip
    kind = random.randrange(5)
    if kind == 0:
        points = "".join(random.sample("ABCDEFPQR", 3))
        sign = random.choice((r"\angle ", r"m\angle ", r"\measuredangle "))
        return rf"{sign}{points} = {angle}"
    if kind == 1:
        return rf"{random.choice(symbols.FUNCTIONS.members[:6])} {angle} = {number(random)}"
    if kind == 2:
        return rf"{random.choice(symbols.GREEK.members)} = {angle}"
    if kind == 3:
        return rf"{random.randrange(-40, 120)}^\circ \mathrm{{{random.choice('CFK')}}}"
    return rf"{angle} + {random.randrange(180)}^\circ = {random.randrange(361)}^\circ"


def boxed(random: Random) -> str:
    """An answer in a box."""
    inside = random.choice(
        (number, lambda r: _expression(r, r.choice((3, 6, 12)), r.choice((0, 1, 2))), units,
         lambda r: _text(r, phrase(r, r.choice((1, 2)))), lambda r: _letter(r))
    )(random)  # fmt: skip
    kind = random.random()
    if kind < 0.45:
        return rf"\boxed{{{inside}}}"
    left = _letter(random) if kind < 0.7 else _expression(random, random.choice((3, 8)), 1)
    if kind < 0.9:
        return rf"{left} = \boxed{{{inside}}}{random.choice(_ENDS)}"
    return rf"\boxed{{{left} = {inside}}}"


def money(random: Random) -> str:
    """Prices and sums of money."""
    (sign,) = random.choices((r"\$", r"\text{\$}", r"\pounds"), (20, 1, 1))

    def amount() -> str:
        whole = str(random.randrange(10 ** random.choice((1, 1, 2, 3))))
        if random.random() < 0.2:
            whole = f"{random.randrange(1, 400)}{random.choice((',', '{,}'))}{random.randrange(1000):03d}"
        return f"{sign}{whole}" + (f".{random.randrange(100):02d}" if random.random() < 0.6 else "")

    kind = random.randrange(5)
    if kind == 0:
        return amount()
    if kind == 1:
        return rf"{amount()} \times {number(random)} = {amount()}"
    if kind == 2:
        return rf"{amount()} {random.choice('+-')} {amount()} = {amount()}"
    if kind == 3:
        return rf"\frac{{{amount()}}}{{{random.randrange(2, 60)}}} = {amount()}"
    unit = random.choice(("per hour", "per month", "each", "a day", "per kg", "per person"))
    return rf"{amount()}\text{{ {unit}}}"


def cases(random: Random) -> str:
    """Cases with words or conditions."""
    rows = []
    for _ in range(random.choice((2, 2, 2, 3, 3, 4))):
        value = _expression(random, random.choice((2, 5, 9)), 1)
        condition = rf"{random.choice('xtnk')} {random.choice(symbols.COMPARISONS.members)} {number(random)}"
        start = random.choice(
            (r"\text{if } ", r"\text{for } ", r"\text{if }", r"\mathrm{if}~", "", r"\text{when } ")
        )
        rows.append(f"{value}{random.choice(('', ',', ','))} & {start}{condition}")
    if random.random() < 0.5:
        value = rows[-1].split("&")[0]
        rows[-1] = (
            rf"{value}& \text{{{random.choice(('otherwise', 'else', 'otherwise.', 'if not'))}}}"
        )
    body = r" \\ ".join(rows)
    left = rf"{_letter(random)}({random.choice('xtn')}) = " if random.random() < 0.75 else ""
    if random.random() < 0.7:
        return rf"{left}\begin{{cases}} {body} \end{{cases}}"
    return rf"{left}\left\{{ \begin{{array}}{{ll}} {body} \end{{array}} \right."


def matrix(random: Random) -> str:
    """Matrices of up to six rows and columns; some augmented, some with dots."""
    rows, columns = random.choice((2, 2, 3, 3, 4, 5, 6)), random.choice((1, 2, 2, 3, 3, 4, 5, 6))
    kind = random.random()

    def cell(row: int, column: int) -> str:
        if kind < 0.45:
            return str(random.randrange(-9, 100) if random.random() < 0.5 else random.randrange(10))
        if kind < 0.6:
            return rf"{letter}_{{{row + 1}{column + 1}}}"
        if kind < 0.67:
            return "1" if row == column else "0"
        if kind < 0.8:  # powers, as in Vandermonde's
            base = rf"{letter}_{{{row + 1}}}"
            return ("1", base, rf"{base}^{{{column}}}")[min(column, 2)]
        return _expression(random, random.choice((1, 2, 4)), random.choice((0, 1)))

    letter = random.choice(symbols.LOWER.members)
    grid = [[cell(row, column) for column in range(columns)] for row in range(rows)]
    if kind > 0.45 and random.random() < 0.15 and rows > 2 and columns > 2:
        grid[-2] = [random.choice((r"\vdots", r"\vdots", r"\ddots")) for _ in range(columns)]
        for row in grid:
            row[-2] = r"\cdots" if row is not grid[-2] else r"\ddots"
    body = r" \\ ".join(" & ".join(row) for row in grid)
    if random.random() < 0.2:
        columns_text = "c" * columns
        if columns > 1 and random.random() < 0.6:
            columns_text = "c" * (columns - 1) + "|c"
        left, right = random.choice((("[", "]"), ("(", ")")))
        made = rf"\left{left} \begin{{array}}{{{columns_text}}} {body} \end{{array}} \right{right}"
    else:
        name = random.choices(
            ("pmatrix", "bmatrix", "vmatrix", "matrix", "Vmatrix", "Bmatrix", "smallmatrix"),
            (6, 8, 4, 1, 1, 1, 1),
        )[0]
        made = rf"\begin{{{name}}} {body} \end{{{name}}}"
    if random.random() < 0.4:
        made = rf"{random.choice(symbols.UPPER.members)} = {made}"
    if random.random() < 0.2 and rows < 5:
        vector = r" \\ ".join(_letter(random) for _ in range(rows))
        made += rf" \begin{{bmatrix}} {vector} \end{{bmatrix}}"
    return made


def aligned(random: Random) -> str:
    """Up to six lines of a calculation or a system of equations."""
    lines = []
    for at in range(random.choice((2, 2, 3, 3, 4, 5, 6))):
        left = (
            _expression(random, random.choice((1, 3, 5)), 1)
            if at == 0 or random.random() < 0.4
            else ""
        )
        relation = random.choices(
            ("=", r"\leq", r"\geq", r"\approx", "<", r"\Rightarrow"), (12, 1, 1, 1, 1, 1)
        )[0]
        right = _expression(random, random.choice((3, 6, 10, 14)), random.choice((1, 1, 2)))
        line = rf"{left} &{relation} {right}"
        if random.random() < 0.1:
            line += rf" && \text{{{phrase(random, random.choice((1, 2, 3)))}}}"
        lines.append(line)
    body = r" \\ ".join(lines)
    if random.random() < 0.15 and "&&" not in body:
        return rf"\left\{{ \begin{{aligned}} {body} \end{{aligned}} \right."
    return rf"\begin{{aligned}} {body} \end{{aligned}}"


def nested(random: Random) -> str:
    """Fractions in fractions, roots in roots, scripts on scripts."""
    kind = random.randrange(4)
    inside = _expression(random, 3, 0)
    for _ in range(random.choice((2, 2, 3, 4))):
        other = _expression(random, random.choice((1, 2, 3)), 0)
        if kind == 0:
            inside = rf"{other} {random.choice('+-')} \frac{{{number(random)}}}{{{inside}}}"
        elif kind == 1:
            index = rf"[{random.choice('345n')}]" if random.random() < 0.4 else ""
            inside = rf"{other} {random.choice('+-')} \sqrt{index}{{{inside}}}"
        elif kind == 2:
            inside = (
                rf"\frac{{{inside}}}{{{other}}}"
                if random.random() < 0.5
                else rf"\frac{{{other}}}{{{inside}}}"
            )
        else:
            inside = rf"{_letter(random)}{random.choice('^_')}{{{inside}}}"
    return inside if random.random() < 0.5 else rf"{_letter(random)} = {inside}"


def roots(random: Random) -> str:
    """Roots with and without an index."""
    index = random.choice(
        ("", "", "[3]", "[4]", "[5]", "[n]", rf"[{random.randrange(2, 20)}]", "[m+1]")
    )
    inside = random.choice((number(random), _letter(random), _expression(random, 6, 1)))
    root = rf"\sqrt{index}{{{inside}}}"
    kind = random.random()
    if kind < 0.4:
        return root
    if kind < 0.7:
        sign = random.choice(("+", "-", "=", r"\approx"))
        return rf"{number(random)}{root} {sign} {number(random)}"
    return rf"\frac{{{root}}}{{{_letter(random)}}}"


def long_line(random: Random) -> str:
    """A single line of up to 300 tokens."""
    room = random.randrange(90, 290)
    line = _expression(random, random.choice((20, 30)), 2)
    while len(line.split()) < room:
        joint = random.choice(("+", "-", "=", r"\quad", ",", r"\leq", r"\Rightarrow"))
        more = _expression(random, random.choice((10, 20, 30)), random.choice((1, 2, 3)))
        if r"\\" in more or "&" in more:
            continue
        line = f"{line} {joint} {more}"
    return line


def single(random: Random) -> str:
    """A single symbol, perhaps with a script or an accent."""
    group = random.choice((symbols.CLASSES[0], *symbols.CLASSES))
    symbol = random.choice(group.members)
    if group in (symbols.ACCENTS, symbols.WIDE_ACCENTS, symbols.ALPHABETS):
        return rf"{symbol}{{{random.choice(symbols.UPPER.members)}}}"
    kind = random.random()
    if kind < 0.7:
        return symbol
    return rf"{symbol}{random.choice('_^')}{{{random.choice((_letter(random), str(random.randrange(100))))}}}"


def school(random: Random) -> str:
    """Layouts of school: columns of digits, long equations with arrows, lists of answers, blanks."""
    kind = random.randrange(8)
    if kind == 0:
        rows = [str(random.randrange(10**4)) for _ in range(2)]
        sign = random.choice(("+", "-", r"\times"))
        return (rf"\begin{{array}}{{r}} {rows[0]} \\ {sign} {rows[1]} \\ \hline "
                rf"{random.randrange(10**5)} \end{{array}}")  # fmt: skip
    if kind == 1:
        return r" \quad ".join(
            rf"\text{{({c})}} \; {_expression(random, 4, 1)}"
            for c in "abcd"[: random.randrange(2, 5)]
        )
    if kind == 2:
        return rf"{number(random)} \div {number(random)} = {number(random)} \text{{ R }} {random.randrange(10)}"
    if kind == 3:
        one, two = (
            rf"\frac{{{random.randrange(1, 20)}}}{{{random.randrange(2, 20)}}}" for _ in "ab"
        )
        sign = random.choice(("+", "-", r"\times", r"\div", "="))
        return rf"{random.randrange(1, 20)} {one} {sign} {two}"
    if kind == 4:
        return rf"{_letter(random)} : {_letter(random)} = {random.randrange(1, 20)} : {random.randrange(1, 20)}"
    if kind == 5:
        one, two = (
            rf"{random.randrange(2, 9)}x {random.choice('+-')} {random.randrange(1, 9)}y = {random.randrange(40)}"
            for _ in range(2)
        )
        return rf"\left\{{ \begin{{array}}{{l}} {one} \\ {two} \end{{array}} \right."
    if kind == 6:
        cells = [str(random.randrange(50)) for _ in range(random.choice((3, 4, 5)))]
        names = random.sample(symbols.LOWER.members, 2)
        other = [str(random.randrange(50)) for _ in cells]
        return (rf"\begin{{array}}{{|c|{'c|' * len(cells)}}} \hline {names[0]} & {' & '.join(cells)} \\ \hline "
                rf"{names[1]} & {' & '.join(other)} \\ \hline \end{{array}}")  # fmt: skip
    striken = random.choice((r"\cancel", r"\bcancel", r"\xcancel"))
    return rf"\frac{{{striken}{{{random.randrange(2, 30)}}}{_letter(random)}}}{{{striken}{{{random.randrange(2, 30)}}}}} = {_letter(random)}"


def plain(random: Random) -> str:
    """Plain words, in the fonts of text."""
    command = random.choices(
        (
            r"\text",
            r"\textbf",
            r"\textit",
            r"\mathrm",
            r"\mathbf",
            r"\mathsf",
            r"\textsf",
            r"\texttt",
        ),
        (10, 3, 2, 3, 1, 1, 1, 1),
    )[0]
    words = phrase(random, random.choice((1, 1, 2, 3, 5)))
    if random.random() < 0.4:
        words = words.capitalize()
    return _set(command, words + random.choice(("", "", ".", ":", ",")))


MADE_KINDS: Final[dict[str, Callable[[Random], str]]] = {
    "words": words, "named": named, "units": units, "degrees": degrees, "boxed": boxed, "money": money,
    "cases": cases, "matrix": matrix, "aligned": aligned, "nested": nested, "roots": roots,
    "long": long_line, "single": single, "number": number, "plain": plain, "school": school,
    "chemistry": chemistry, "rare": rare,
}  # fmt: skip
