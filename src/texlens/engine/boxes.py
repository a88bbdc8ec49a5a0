"""The results of the engine: boxes of ink, or why a formula could not be rendered."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from texlens.errors import TexlensError

KINDS = ("glyph", "rule", "radical", "stretch", "line")


@dataclass(frozen=True, slots=True)
class Box:
    r"""One piece of ink on the page.

    Lengths are in em of the base font, y grows downwards, the origin is the start of the baseline.

    kind: `glyph`; `rule` (fraction bar, the bar of a root, \rule); `radical` (the root sign without
    its bar); `stretch` (a delimiter, arrow, brace or accent in a larger size or made of pieces; an
    over- or underline, which is a stretched ―); `line` (lines of tables and enclosures, strikes).
    char: the character: its code points, '' for rules and lines; of a stretch the character that
    was stretched; letters of the mathematical alphabets as plain letters.
    font: normal, italic, bold, bold-italic, double-struck, calligraphic (\mathcal),
    bold-calligraphic, script (\mathscr), bold-script, fraktur, bold-fraktur, sans-serif,
    bold-sans-serif, sans-serif-italic, monospace, oldstyle.
    token: the LaTeX token that it belongs to, '' if unknown; color: as \color set it, '' if none.
    x0, y0, x1, y1: the box of the ink alone. scale: 1 for the base size, about 0.7 for scripts.
    base: y of the glyph's own baseline.
    place: the structures that contain it, outermost first, each `NODE#NUMBER:PART`, joined by `/`.
    NODE is MathML's name; PART 0 is the base, numerator or radicand, 1 the subscript, under part,
    denominator or root index, 2 the superscript or over part, 3 and 4 sub- and superscript before
    the base, `ROW,COLUMN` a cell, `-` the ink of the structure itself (fraction bar, root sign,
    lines). Lines broken outside any environment are rows of an `mtable`.
    """

    kind: str
    char: str
    font: str
    token: str
    color: str
    x0: float
    y0: float
    x1: float
    y1: float
    scale: float
    base: float
    place: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """All ink of a formula, in the order of rendering, and the size of its line box in em."""

    boxes: tuple[Box, ...]
    width: float
    height: float
    depth: float


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a formula could not be parsed or rendered.

    kind: `parse`; `limit`, over a count of `limits`; `tex`; `fault`, no verdict on the formula: its
    process ended, hung or ran out of memory. position: where in the formula, if known, counted in
    UTF-16 units as JavaScript does.
    """

    message: str
    position: int | None
    kind: str = "parse"


class EngineFault(TexlensError):
    """The engine failed on a formula, which may be fine."""


Result = TypeVar("Result")


def without_fault(results: list[Result]) -> list[Result]:
    """The results themselves. Raises EngineFault where one of them is a fault."""
    for result in results:
        if isinstance(result, Failure) and result.kind == "fault":
            raise EngineFault(f"the formula {result.message}")
    return results


def drawing_from_json(result: list[Any]) -> Drawing:
    """The drawing that `tools/engine/src/boxes.js` describes: strings, 12 numbers a box, the size.

    There lengths are in 1/10,000 em (the size in 1/1,000), y up.
    """
    strings, numbers, width, height, depth = result
    column = iter(numbers)
    boxes = tuple(
        Box(
            KINDS[kind],
            *plain_letter(strings[char], strings[variant]),
            strings[token],
            strings[color],
            x0 / 10_000,
            -y1 / 10_000,
            x1 / 10_000,
            -y0 / 10_000,
            scale / 1_000,
            -base / 10_000,
            strings[place],
        )
        for kind, char, variant, token, color, x0, y0, x1, y1, scale, base, place in zip(
            *[column] * 12, strict=True
        )
    )
    return Drawing(boxes, width / 1_000, height / 1_000, depth / 1_000)


# Names of MathJax's variants, or of Unicode's alphabets, that are not the names of fonts here.
_FONTS = {
    **dict.fromkeys(("", "-smallop", "-largeop", "-size3", "-size4", "-tex-variant"), "normal"),
    "-tex-mathit": "italic",
    "-tex-calligraphic": "calligraphic",
    "-tex-bold-calligraphic": "bold-calligraphic",
    "-tex-oldstyle": "oldstyle",
    "-tex-bold-oldstyle": "oldstyle",
    "sans-serif-bold": "bold-sans-serif",
    "black-letter": "fraktur",
    "planck": "italic",
}
# How the Unicode names of letters in the mathematical alphabets begin.
_ALPHABET = re.compile(
    "(?:MATHEMATICAL )?(BOLD ITALIC|BOLD SCRIPT|BOLD FRAKTUR|DOUBLE-STRUCK|SANS-SERIF BOLD|"
    "SANS-SERIF ITALIC|SANS-SERIF|MONOSPACE|BOLD|ITALIC|SCRIPT|FRAKTUR|BLACK-LETTER|PLANCK)"
)
_NO_ALPHABET = frozenset("ℓ℘ℏ")


@lru_cache(maxsize=8192)
def plain_letter(char: str, variant: str) -> tuple[str, str]:
    """A character as a plain letter and a font: ('𝐱', 'bold') and ('x', 'bold') are the same."""
    font = _FONTS.get(variant, variant)
    if len(char) != 1 or char in _NO_ALPHABET or ord(char) < 0x2100:
        return char, font
    decomposition = unicodedata.decomposition(char).split()
    if decomposition[:1] != ["<font>"] and char != "ℎ":
        return char, font
    letter = chr(int(decomposition[1], 16)) if len(decomposition) == 2 else char
    if alphabet := _ALPHABET.match(unicodedata.name(char, "")):
        font = alphabet[1].lower().replace(" ", "-")
    return letter, _FONTS.get(font, font)
