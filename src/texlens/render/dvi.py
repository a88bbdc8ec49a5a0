"""Reading DVI: every character and rule that TeX put on a page, where it put it.

DVI is TeX's own page description, exact to a scaled point (1 pt = 65,536 sp). The opcodes are those
of "The DVI file format" (D. Fuchs, TUGboat 3:2, 1982); widths come from the fonts' TFM files.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from texlens.errors import TexlensError


class Glyph(NamedTuple):
    """A character of a font at a size (sp); a kind of glyph, not its place."""

    font: str
    size: int
    code: int


class Character(NamedTuple):
    """A glyph on a page; `x` and `y` (downwards) are those of its reference point in sp."""

    glyph: Glyph
    x: int
    y: int


class Rule(NamedTuple):
    """A filled rectangle: its lower left corner, width and height in sp; `y` counts downwards."""

    x: int
    y: int
    width: int
    height: int


@dataclass(slots=True)
class DviPage:
    """The content of a page; `specials` are the texts of its `\\special` commands."""

    characters: list[Character] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    specials: list[str] = field(default_factory=list)


def read_dvi(content: bytes) -> list[DviPage]:
    """The pages of a DVI file.

    Raises TexlensError when the file is damaged or a font's metrics are not installed.
    """
    try:
        return _Parser(content).pages()
    except (IndexError, KeyError, TypeError) as error:
        raise TexlensError("The DVI file is damaged or cut short.") from error


@lru_cache(maxsize=256)
def font_widths(font: str) -> dict[int, int]:
    """The width of every character of a font, in units of its size / 2^20.

    Raises TexlensError when TeX does not find the font.
    """
    found = subprocess.run(
        ["kpsewhich", f"{font}.tfm"], capture_output=True, text=True, check=False
    ).stdout.strip()
    if not found:
        raise TexlensError(f"TeX has no metrics of the font '{font}'.")
    content = Path(found).read_bytes()
    header, first, last, widths = (
        int.from_bytes(content[place : place + 2], "big") for place in (2, 4, 6, 8)
    )
    entries = 24 + 4 * header
    table = entries + 4 * (last - first + 1)
    values = [
        int.from_bytes(content[table + 4 * n : table + 4 * n + 4], "big", signed=True)
        for n in range(widths)
    ]
    return {code: values[content[entries + 4 * (code - first)]] for code in range(first, last + 1)}


_State = tuple[int, int, int, int, int, int]


class _Parser:
    def __init__(self, content: bytes) -> None:
        self.content = content
        self.place = 0
        self.fonts: dict[int, tuple[str, int, dict[int, int]]] = {}

    def number(self, size: int, *, signed: bool = False) -> int:
        value = int.from_bytes(self.content[self.place : self.place + size], "big", signed=signed)
        self.place += size
        return value

    def pages(self) -> list[DviPage]:
        pages: list[DviPage] = []
        while True:
            opcode = self.number(1)
            if opcode == 139:  # bop: ten counters and a pointer
                self.place += 44
                pages.append(self._page())
            elif opcode == 247:  # pre
                self.place += 13
                length = self.number(1)
                self.place += length
            elif 243 <= opcode <= 246:
                self._define_font(opcode - 242)
            elif opcode == 248:  # post
                return pages
            elif opcode != 138:
                raise KeyError(opcode)

    def _page(self) -> DviPage:
        page = DviPage()
        number = self.number
        h = v = w = x = y = z = 0
        stack: list[_State] = []
        font, size = "", 0
        widths: dict[int, int] = {}
        while True:
            opcode = self.content[self.place]
            self.place += 1
            if opcode <= 131 or 133 <= opcode <= 136:  # set_char, set, put
                size_of_code = opcode - (127 if opcode <= 131 else 132)
                code = opcode if opcode < 128 else number(size_of_code)
                page.characters.append(Character(Glyph(font, size, code), h, v))
                if opcode <= 131:
                    h += widths[code] * size >> 20
            elif opcode in (132, 137):  # set_rule, put_rule
                height, width = number(4, signed=True), number(4, signed=True)
                if height > 0 and width > 0:
                    page.rules.append(Rule(h, v, width, height))
                if opcode == 132:
                    h += width
            elif opcode == 140:  # eop
                return page
            elif opcode == 141:
                stack.append((h, v, w, x, y, z))
            elif opcode == 142:
                h, v, w, x, y, z = stack.pop()
            elif 143 <= opcode <= 146:
                h += number(opcode - 142, signed=True)
            elif 147 <= opcode <= 151:
                w = number(opcode - 147, signed=True) if opcode > 147 else w
                h += w
            elif 152 <= opcode <= 156:
                x = number(opcode - 152, signed=True) if opcode > 152 else x
                h += x
            elif 157 <= opcode <= 160:
                v += number(opcode - 156, signed=True)
            elif 161 <= opcode <= 165:
                y = number(opcode - 161, signed=True) if opcode > 161 else y
                v += y
            elif 166 <= opcode <= 170:
                z = number(opcode - 166, signed=True) if opcode > 166 else z
                v += z
            elif 171 <= opcode <= 234:
                font, size, widths = self.fonts[opcode - 171]
            elif 235 <= opcode <= 238:
                font, size, widths = self.fonts[number(opcode - 234)]
            elif 239 <= opcode <= 242:
                length = number(opcode - 238)
                text = self.content[self.place : self.place + length]
                self.place += length
                page.specials.append(text.decode("latin-1"))
            elif 243 <= opcode <= 246:
                self._define_font(opcode - 242)
            elif opcode != 138:
                raise KeyError(opcode)

    def _define_font(self, size: int) -> None:
        number = self.number(size)
        self.place += 4  # the checksum
        scaled = self.number(4)
        self.place += 4  # the design size
        length = self.number(1) + self.number(1)
        name = self.content[self.place : self.place + length].decode("latin-1")
        self.place += length
        self.fonts[number] = (name, scaled, font_widths(name))
