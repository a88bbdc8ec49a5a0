r"""Chemistry in mhchem's `\ce`: formulas, ions, isotopes, states, arrows, reactions; and without it."""

from __future__ import annotations

import re
from random import Random
from typing import Final

_ELEMENTS: Final = [
    "H",
    "He",
    "Li",
    "Be",
    "B",
    "C",
    "N",
    "O",
    "F",
    "Ne",
    "Na",
    "Mg",
    "Al",
    "Si",
    "P",
    "S",
    "Cl",
    "Ar",
    "K",
    "Ca",
    "Sc",
    "Ti",
    "V",
    "Cr",
    "Mn",
    "Fe",
    "Co",
    "Ni",
    "Cu",
    "Zn",
    "Ga",
    "Ge",
    "As",
    "Se",
    "Br",
    "Kr",
    "Rb",
    "Sr",
    "Y",
    "Zr",
    "Nb",
    "Mo",
    "Ag",
    "Cd",
    "In",
    "Sn",
    "Sb",
    "Te",
    "I",
    "Xe",
    "Cs",
    "Ba",
    "La",
    "Ce",
    "Nd",
    "W",
    "Pt",
    "Au",
    "Hg",
    "Tl",
    "Pb",
    "Bi",
    "Rn",
    "Ra",
    "Th",
    "U",
    "Pu",
]
_COMMON: Final = [
    "H",
    "H",
    "H",
    "C",
    "C",
    "C",
    "C",
    "O",
    "O",
    "O",
    "N",
    "N",
    "S",
    "Cl",
    "Na",
    "K",
    "Ca",
    "Fe",
    "P",
    "Mg",
    "Al",
    "Cu",
    "Zn",
    "Br",
    "I",
    "F",
    "Si",
    "Ag",
]
_GROUPS: Final = [
    "OH",
    "SO4",
    "NO3",
    "CO3",
    "PO4",
    "NH4",
    "CH3",
    "CH2",
    "COOH",
    "CN",
    "NH2",
    "C6H5",
    "NO2",
    "SO3",
    "ClO3",
    "MnO4",
    "CHO",
    "OCH3",
]
_MOLECULES: Final = [
    "H2O",
    "CO2",
    "O2",
    "H2",
    "N2",
    "NH3",
    "CH4",
    "HCl",
    "NaCl",
    "NaOH",
    "H2SO4",
    "HNO3",
    "CaCO3",
    "CaO",
    "C2H5OH",
    "C6H12O6",
    "H2O2",
    "KMnO4",
    "CO",
    "NO",
    "NO2",
    "N2O",
    "SO2",
    "SO3",
    "O3",
    "Cl2",
    "Br2",
    "I2",
    "C2H4",
    "C2H2",
    "C6H6",
    "CH3COOH",
    "HCOOH",
    "CH3OH",
    "Fe2O3",
    "Al2O3",
    "AgNO3",
    "CuSO4",
    "MgO",
    "KCl",
    "K2Cr2O7",
    "Na2CO3",
    "NaHCO3",
    "H3PO4",
    "P4",
    "S8",
    "HBr",
    "HI",
    "HF",
    "LiAlH4",
    "CH3CH2OH",
]
_STATES: Final = ("", "", "", "", "(g)", "(l)", "(s)", "(aq)")
_ARROWS: Final = ("->", "->", "->", "->", "<=>", "<=>", "<-", "<->", "<=>>", "<<=>")
_OVER: Final = ("[H+]", "[\\Delta]", "[h\\nu]", "[Pt]", "[NaOH]", "[heat]", "[MnO2]", "[H2SO4]")


def chemistry(random: Random) -> str:
    r"""A reaction, a formula or a few of them."""
    kind = random.random()
    if kind < 0.62:
        return rf"\ce{{{_reaction(random)}}}"
    if kind < 0.85:
        return rf"\ce{{{_species(random)}}}"
    if kind < 0.92:
        return rf"[\ce{{{_ion(random)}}}] = {random.randrange(1, 10)}.{random.randrange(100)} \times 10^{{-{random.randrange(1, 12)}}}"
    left, right = _species(random), _species(random)
    return rf"K = \frac{{[\ce{{{left}}}]}}{{[\ce{{{right}}}]}}"


_SYMBOL: Final = re.compile(r"(?<![\\A-Za-z])(?:[A-Z][a-z]?)+|(?<![0-9.{])[2-9](?![0-9.])")
_ELEMENT: Final = re.compile(r"[A-Z][a-z]?")


def vary_chemistry(formula: str, random: Random) -> str:
    """The formula with some elements, the same ones everywhere, and some numbers replaced."""
    names: dict[str, str] = {}

    def element(match: re.Match[str]) -> str:
        name = match[0]
        if name not in _ELEMENTS:
            return name
        if name not in names:
            names[name] = random.choice(_ELEMENTS) if random.random() < 0.3 else name
        return names[name]

    def symbol(match: re.Match[str]) -> str:
        if match[0].isdigit():
            return str(random.randrange(2, 10)) if random.random() < 0.35 else match[0]
        # Words, such as the names of products, have letters that are no elements.
        if not all(part in _ELEMENTS for part in _ELEMENT.findall(match[0])):
            return match[0]
        return _ELEMENT.sub(element, match[0])

    return _SYMBOL.sub(symbol, formula)


def _reaction(random: Random) -> str:
    sides = []
    for _ in range(2):
        terms = [_term(random) for _ in range(random.choice((1, 2, 2, 2, 3)))]
        sides.append(" + ".join(terms))
    arrow = random.choice(_ARROWS)
    if random.random() < 0.15:
        arrow = "->" + random.choice(_OVER)
    end = random.choice((" ^", " v")) if random.random() < 0.08 else ""
    return f"{sides[0]} {arrow} {sides[1]}{end}"


def _term(random: Random) -> str:
    count = random.choice(("", "", "", "2", "3", "2 ", "4", "1/2 ", "6"))
    return count + _species(random) + random.choice(_STATES)


def _species(random: Random) -> str:
    kind = random.random()
    if kind < 0.3:
        return random.choice(_MOLECULES)
    if kind < 0.48:
        return _ion(random)
    if kind < 0.54:
        element, mass = random.choice(_ELEMENTS), random.randrange(1, 240)
        return f"^{{{mass}}}_{{{random.randrange(1, 95)}}}{element}"
    if kind < 0.6:
        return random.choice(("*OH", "*CH3", "HO2", "e-", "O*", "H+", "OH-", "Products", "CH3*"))
    if kind < 0.67:
        bond = random.choice(("-", "=", "-", r"\bond{2}", r"\bond{3}"))
        return f"{_part(random)}{bond}{_part(random)}"
    if kind < 0.72:
        return f"{random.choice(_MOLECULES)} * {random.randrange(1, 11)}H2O"
    if kind < 0.8:
        return f"[{random.choice(_ELEMENTS)}({random.choice(_GROUPS)}){random.randrange(2, 7)}]^{{{random.randrange(1, 4)}{random.choice('+-')}}}"
    return "".join(_part(random) for _ in range(random.choice((2, 2, 3, 4))))


def _part(random: Random) -> str:
    count = random.choice(("", "", "2", "3", "4", "5", "6", str(random.randrange(2, 23))))
    if random.random() < 0.2:
        group = random.choice(_GROUPS)
        return f"({group}){count or 2}" if random.random() < 0.5 else group
    element = random.choice(_COMMON if random.random() < 0.7 else _ELEMENTS)
    return element + count


def _ion(random: Random) -> str:
    charge = random.choice(("+", "-", "^2+", "^2-", "^3+", "^{3-}", "^{2+}"))
    base = random.choice(_GROUPS) if random.random() < 0.4 else random.choice(_ELEMENTS)
    return base + charge
