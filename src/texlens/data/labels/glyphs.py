"""The pixels of glyphs at 200 dpi, by Ghostscript, with what was learnt about its old version.

In the pictures a glyph has the same pixels wherever it stands: it was moved to whole pixels, and
every pixel that it touches is black. Today's Ghostscript sets some pixels at the edges differently
from the version that made the pictures; `learning` finds which.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from texlens.errors import InputError, TexlensError
from texlens.render.dvi import Glyph
from texlens.render.pdflatex import run_pdflatex

DPI: Final = 200
PIXELS_PER_SP: Final = DPI / 72.27 / 65536

Mask = npt.NDArray[np.bool_]

_CELL: Final = 256  # pixels: the side of the page for one glyph
_ORIGIN: Final = (128, 96)  # row and column of its reference point
_SECONDS: Final = 600
_PGM: Final = re.compile(rb"P5\s+(?:#.*\n)?(\d+)\s+(\d+)\s+255\s")


class Bitmap(NamedTuple):
    """A glyph's black pixels (height, width), and its first row and column relative to its point."""

    top: int
    left: int
    ink: Mask


class GlyphTable:
    """The bitmap of every glyph that was asked for; learnt ones replace Ghostscript's.

    Attributes:
        learnt: the bitmaps that differ from Ghostscript's.
    """

    def __init__(self) -> None:
        self.learnt: dict[Glyph, Bitmap] = {}
        self._drawn: dict[Glyph, Bitmap] = {}

    def __getitem__(self, glyph: Glyph) -> Bitmap:
        return self.learnt.get(glyph) or self._drawn[glyph]

    def add(self, glyphs: Iterable[Glyph]) -> None:
        """Draw those that are not there yet. Raises TexlensError without TeX or Ghostscript."""
        new = sorted(set(glyphs) - set(self._drawn))
        if new:
            self._drawn.update(zip(new, _draw(new), strict=True))

    def save(self, path: Path) -> None:
        """Write the learnt bitmaps as an npz file."""
        names = [f"{g.font}/{g.size}/{g.code}/{b.top}/{b.left}" for g, b in self.learnt.items()]
        inks = {name: b.ink for name, b in zip(names, self.learnt.values(), strict=True)}
        with path.open("wb") as file:
            np.savez_compressed(file, **inks)  # type: ignore[arg-type]

    def load(self, path: Path) -> None:
        """Read learnt bitmaps. Raises InputError when the file is not one of `save`."""
        try:
            with np.load(path, allow_pickle=False) as content:
                for name in content.files:
                    font, size, code, top, left = name.split("/")
                    bitmap = Bitmap(int(top), int(left), content[name].astype(bool))
                    self.learnt[Glyph(font, int(size), int(code))] = bitmap
        except (OSError, ValueError) as error:
            raise InputError(f"'{path}' is not a table of glyphs.") from error


def require_ghostscript() -> str:
    """The path of Ghostscript. Raises TexlensError where it is not installed."""
    path = shutil.which("gs")
    if path is None:
        raise TexlensError("Ghostscript is not installed (no gs on the PATH).")
    return path


def _draw(glyphs: list[Glyph]) -> list[Bitmap]:
    ghostscript = require_ghostscript()
    pdf = run_pdflatex(_document(glyphs), _SECONDS).pages
    options = [
        "-q", "-dSAFER", "-dBATCH", "-dNOPAUSE", "-dAlignToPixels=0", "-dGridFitTT=2",
        "-dTextAlphaBits=4", "-dGraphicsAlphaBits=4", f"-r{DPI}", "-sDEVICE=pgmraw",
        "-sOutputFile=-", "-",
    ]  # fmt: skip
    drawn = subprocess.run(
        [ghostscript, *options], input=pdf, capture_output=True, check=False, timeout=_SECONDS
    ).stdout
    bitmaps: list[Bitmap] = []
    place = 0
    while place < len(drawn) and (header := _PGM.match(drawn, place)):
        width, height = int(header[1]), int(header[2])
        grey = np.frombuffer(drawn, np.uint8, width * height, header.end())
        bitmaps.append(_bitmap(grey.reshape(height, width) < 255))
        place = header.end() + width * height
    if len(bitmaps) != len(glyphs):
        raise TexlensError("Ghostscript did not draw every glyph: is the font installed as Type 1?")
    return bitmaps


def _document(glyphs: list[Glyph]) -> str:
    """One page a glyph, its reference point in the middle of a pixel."""
    fonts: dict[tuple[str, int], str] = {}
    for glyph in glyphs:
        letters = "".join(chr(ord("A") + int(digit)) for digit in str(len(fonts)))
        fonts.setdefault((glyph.font, glyph.size), f"Font{letters}")
    side = f"{_CELL * 72 / DPI:.4f}bp"
    down, right = (f"{(pixels + 0.375) * 72 / DPI:.5f}bp" for pixels in _ORIGIN)
    return "\n".join(
        [
            r"\documentclass{article}\pdfhorigin=0pt \pdfvorigin=0pt \pdfdecimaldigits=4",
            rf"\pdfpagewidth={side} \pdfpageheight={side}",
            *(rf"\font\{name}={font} at {size}sp" for (font, size), name in fonts.items()),
            r"\begin{document}",
            *(
                rf"\shipout\hbox to0pt{{\kern{right}\vbox to0pt{{\kern{down}"
                rf"\hbox{{\smash{{\{fonts[g.font, g.size]}\char{g.code}}}}}\vss}}\hss}}"
                for g in glyphs
            ),
            r"\end{document}",
        ]
    )


def _bitmap(ink: Mask) -> Bitmap:
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    if not len(rows):
        return Bitmap(0, 0, np.zeros((0, 0), bool))
    return Bitmap(
        int(rows[0]) - _ORIGIN[0],
        int(columns[0]) - _ORIGIN[1],
        ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].copy(),
    )
