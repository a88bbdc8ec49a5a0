r"""Boxes of tokens as in the official CDM code: TeX draws every token in a colour of its own.

One pdflatex run with the official preamble draws a batch, a page for each formula. Pages are
rasterised at 200 dpi by pdfium without smoothing, and the box of a token is that of the pixels of
its colour. (The official code starts TeX and ImageMagick once for every formula and smooths; its
boxes differ by a pixel at most.) Two of its bugs are fixed: pages are as large as their formula, so
no ink is cut off, and no formula is counted with the ink of another one.

A formula that the grammar could not parse may break the page it is on. It gets a run of its own,
in the official document. As in the official code, a page that TeX made despite errors counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from texlens.errors import MissingExtra
from texlens.metrics.cdm.matching import CROP_PADDING_PX, Inked
from texlens.metrics.cdm.tokens import CLOSE, CLOSE_BRACED, Ink, Painted, contains_chinese
from texlens.render.pdflatex import PAGE_MACROS, open_pdf, rasterise, require_tex, run_pdflatex

FORMULAS_PER_RUN: Final = 100
SECONDS_PER_RUN: Final = 30.0
DPI: Final = 200
MAX_PIXELS: Final = 120_000_000
_WHITE: Final = np.uint32(0xFFFFFF)

_PREAMBLE: Final = r"""\documentclass[12pt]{article}
\usepackage[landscape]{geometry}
\geometry{paperwidth=1000mm,paperheight=500mm,scale=0.98}
\pagestyle{empty}
\usepackage{booktabs}
\usepackage{amsmath}
\usepackage{upgreek}
\usepackage{amssymb}
\usepackage{xcolor}
\pdfcompresslevel=0 \pdfobjcompresslevel=0
\hbadness=10000 \vbadness=10000 \hfuzz=\maxdimen \vfuzz=\maxdimen
"""
# The stack of colours, which a broken formula can leave in disorder, is reset for every page.
# `\[` and the like in a formula leave no ink, as in a display, and do not end the page's formula.
_PAGES: Final = r"""\pagemargin=30pt
\let\[\relax \let\]\relax \let\(\relax \let\)\relax
\ExplSyntaxOn \makeatletter
\cs_new:Npn \freshcolours {
  \seq_if_exist:NT \g__mathcolor_seq { \seq_gclear:N \g__mathcolor_seq }
  \edef \@pdfcolorstack { \pdfcolorstackinit page~direct { 0~g~0~G } ~ }
}
\ExplSyntaxOff \makeatother
"""
_CJK_OPENING: Final = "\\begin{CJK}{UTF8}{gkai}\n"
_CJK_CLOSING: Final = "\\end{CJK}\n"

# What outlives its group or leaves the batch.
_ALONE: Final = re.compile(
    r"\\(?:[egx]?def|global|(?:future)?let|catcode|csname|input|include|open(?:in|out)|read|write"
    r"|immediate|special|pdf[a-z]+|output|shipout|endinput|(?:batch|scroll|errorstop)mode"
    r"|(?:re)?newcommand|loop|every[a-z]+|after[a-z]+|expandafter|par|item)(?![A-Za-z])"
    r"|\\end *\{ *document|\^\^|%|[\x00-\x1f]|[^\x00-\x7f]"
)


def draw(formulas: Sequence[Painted]) -> list[Inked | None]:
    """The inked tokens of each formula; None where TeX makes no page or no token leaves ink.

    Raises TexlensError when TeX, MissingExtra when pypdfium2 is not installed.
    """
    require_tex()
    try:
        import pypdfium2  # noqa: F401
    except ImportError as error:
        raise MissingExtra("CDM by TeX", "tex", "pypdfium2") from error
    drawn: dict[int, Inked | None] = {}
    together = [number for number, formula in enumerate(formulas) if not _breaks_pages(formula)]
    for start in range(0, len(together), FORMULAS_PER_RUN):
        numbers = together[start : start + FORMULAS_PER_RUN]
        drawn.update(zip(numbers, _draw_batch([formulas[n] for n in numbers]), strict=True))
    return [
        drawn[number] if number in drawn else _draw_alone(formula)
        for number, formula in enumerate(formulas)
    ]


def latex_of(formula: Painted) -> str:
    """The formula with its colours: token number n is drawn in colour n + 1."""
    words = []
    for piece in formula.pieces:
        if isinstance(piece, Ink):
            red, green, blue = (piece.number + 1).to_bytes(3, "big")
            colour = f"[RGB]{{{red},{green},{blue}}}"
            words.append(piece.coloured(colour, piece.token, braced=piece.braced))
        else:
            words.append({CLOSE: "}", CLOSE_BRACED: "}}"}.get(piece, piece))
    return " ".join(words)


def _breaks_pages(formula: Painted) -> bool:
    return not formula.parsed or _ALONE.search(" ".join(formula.tokens)) is not None


def _draw_batch(formulas: Sequence[Painted]) -> list[Inked | None]:
    pages = [
        f"\\freshcolours\\formulapage{{{n}}}{{$\\displaystyle {latex_of(f)}$}}"
        for n, f in enumerate(formulas)
    ]
    document = "\n".join(
        [_PREAMBLE + PAGE_MACROS + _PAGES + "\\begin{document}", *pages, "\\end{document}"]
    )
    run = run_pdflatex(document, SECONDS_PER_RUN)
    done = [int(number) for number in re.findall(r"@@end (\d+)@@", run.log)]
    if run.pages and done == list(range(len(formulas))):
        return _read_pages(run.pages, formulas)
    if len(formulas) == 1:
        return [_draw_alone(formulas[0])]
    middle = len(formulas) // 2
    return _draw_batch(formulas[:middle]) + _draw_batch(formulas[middle:])


def _draw_alone(formula: Painted) -> Inked | None:
    """The official document, except for the paper size."""
    body = f"\\begin{{displaymath}}\n{latex_of(formula)}\n\\end{{displaymath}}\n"
    preamble = _PREAMBLE
    if contains_chinese(body):
        preamble += "\\usepackage{CJK}\n"
        body = _CJK_OPENING + body + _CJK_CLOSING
    document = f"{preamble}\\begin{{document}}\n{body}\\end{{document}}\n"
    pdf = run_pdflatex(document, SECONDS_PER_RUN).pages
    return _read_pages(pdf, [formula])[0] if pdf else None


def _read_pages(pdf: bytes, formulas: Sequence[Painted]) -> list[Inked | None]:
    with open_pdf(pdf) as document:
        return [
            read_boxes(_pixels(document, number), formula.tokens)
            for number, formula in enumerate(formulas)
        ]


def _pixels(document: Any, number: int) -> NDArray[np.uint32]:
    """The colours of a page, red * 65536 + green * 256 + blue; empty if it cannot be rasterised."""
    sharp = {f"no_smooth{what}": True for what in ("text", "path", "image")}
    pixels = rasterise(document, number, DPI, MAX_PIXELS, prefer_bgrx=True, **sharp)
    if isinstance(pixels, str):
        return np.empty((0, 0), dtype=np.uint32)
    return pixels.view("<u4")[:, :, 0] & _WHITE


def read_boxes(pixels: NDArray[np.uint32], tokens: Sequence[str]) -> Inked | None:
    """The boxes of the colours in a picture, widened by a pixel; None if there are none."""
    y, x = np.nonzero(pixels != _WHITE)
    if not len(y):
        return None
    left, top, right, bottom = x.min(), y.min(), x.max(), y.max()
    corners = np.stack([x - 1, y - 1, x + 1, y + 1], axis=1).astype(float)
    corners -= np.array([left, top, left, top]) - CROP_PADDING_PX
    return Inked.of(
        tokens,
        pixels[y, x].astype(np.intp) - 1,
        corners,
        float(right - left + 2 * CROP_PADDING_PX),
        float(bottom - top + 2 * CROP_PADDING_PX),
    )
