"""The shape of a list of atoms: how braces around it, and scripts behind it, would change it."""

from __future__ import annotations

from texlens.latex import symbols

NOTHING = 0
CHARACTER = 1  # one ordinary symbol: braces around it make no difference
BOX = 2  # one box of class Ord, such as a fraction: braces make no difference either
GROUP = 3  # one group in braces
OTHER = 4
NO_ATOM = 5  # space or a switch: takes no scripts
SPACED = 6  # one box with space beside it: braces make no difference, unless scripts follow

# Tokens that are copied, and their shape.
PLAIN = {
    **dict.fromkeys(symbols.SPACES | symbols.SWITCHES, NO_ATOM),
    **dict.fromkeys(symbols.ORDINARY, CHARACTER),
    **dict.fromkeys(symbols.SYMBOLS - symbols.OPERATORS_OF_KATEX.keys(), OTHER),
}

# The effect of these ends with the braces: glue stretches, and a group has one infix command.
_HELD_BY_BRACES = symbols.GLUE | symbols.OTHER_INFIX | symbols.INFIX.keys()


def without_braces(group: list[str]) -> list[str]:
    """The content of a group, unless the braces make a difference."""
    # MathJax looks through a line above at an operator alone.
    lone_operator = len(group) == 3 and group[1] in symbols.SYMBOLS
    return group if lone_operator or not _HELD_BY_BRACES.isdisjoint(group) else group[1:-1]
