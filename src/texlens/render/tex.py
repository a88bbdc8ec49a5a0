"""Formulas drawn by TeX itself, hundreds in one run, when TeX is installed.

One ``pdflatex`` run ships out one tight page for each formula of a batch and pypdfium2 turns the
pages into grey pictures. Every page is built inside its own box between two marks in the log, so a
broken formula spoils only its own page and the log says which one it was. What a box cannot hold
(unbalanced braces, definitions, an early ``\\end{document}``, an endless loop) is kept out of the
batch, run alone, or found by running the rest again without it.

TeX runs in batch mode in a temporary folder, without shell escape, reading and writing only there
and in its own tree, under a time limit.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from texlens.errors import TexlensError
from texlens.latex import formula_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMULAS_PER_RUN: Final = 300
PAGE_MARGIN_PT: Final = 6.0
MAX_PIXELS: Final = 40_000_000
SECONDS_TO_START: Final = 5.0
SECONDS_PER_FORMULA: Final = 0.05

# Font packages, by the name a user gives. All are in TeX Live; which are installed here is
# answered by `installed_fonts`. Order within a preamble matters: text font before math font.
FONTS: Final[dict[str, str]] = {
    "cm": "",
    "lmodern": r"\usepackage{lmodern}",
    "cm-bold": r"\AtBeginDocument{\boldmath\bfseries}",
    "cm-sans": r"\usepackage{sansmathfonts}",
    "newtx": r"\usepackage{newtxtext,newtxmath}",
    "newpx": r"\usepackage{newpxtext,newpxmath}",
    "fourier": r"\usepackage{fourier}",
    "kpfonts": r"\usepackage{kpfonts}",
    "stix2": r"\usepackage{stix2}",
    "euler": r"\usepackage{eulervm}",
    "mathptmx": r"\usepackage{mathptmx}",
    "mathpazo": r"\usepackage{mathpazo}",
    "arev": r"\usepackage{arev}",
    "cmbright": r"\usepackage{cmbright}",
    "iwona": r"\usepackage[math]{iwona}",
    "kurier": r"\usepackage[math]{kurier}",
    "charter": r"\usepackage[charter]{mathdesign}",
    "libertinus": r"\usepackage{libertinust1math}",
    "antykwa": r"\usepackage[math]{anttor}",
    "newcentury": r"\usepackage{fouriernc}",
}
# Packages that define their own AMS symbols; loading amssymb beside them clashes.
_OWN_SYMBOLS: Final = frozenset({"newtx", "newpx", "kpfonts", "stix2", "charter", "libertinus"})

# Each formula is typeset in a box and shipped out on a page of the box's size. The paragraph in
# the throwaway box resets TeX's count of errors, which otherwise ends the run at one hundred.
_PREAMBLE: Final = r"""
\pdfhorigin=0pt \pdfvorigin=0pt \pdfcompresslevel=0 \pdfobjcompresslevel=0
\hbadness=10000 \vbadness=10000 \hfuzz=\maxdimen \vfuzz=\maxdimen
\providecommand\bm[1]{\boldsymbol{#1}}
\providecommand\mathscr[1]{\mathcal{#1}}
\newsavebox\formulabox \newdimen\pagemargin \pagemargin=%(margin)sbp
\newcommand\formulapage[2]{%%
  \immediate\write-1{@@begin #1@@}%%
  \setbox\formulabox\hbox{#2}%%
  \pdfpagewidth=\dimexpr\wd\formulabox+2\pagemargin\relax
  \pdfpageheight=\dimexpr\ht\formulabox+\dp\formulabox+2\pagemargin\relax
  \shipout\vbox{\kern\pagemargin\hbox{\kern\pagemargin\box\formulabox}}%%
  \setbox\formulabox\vbox{\noindent\par}%%
  \immediate\write-1{@@end #1@@}}
"""

# Commands that reach for files or the PDF itself, or hide which command they are: refused.
_REFUSED: Final = re.compile(
    r"\\(?:input|include[A-Za-z]*|openin|openout|read|write|immediate|special|pdf[a-z]+|csname"
    r"|usepackage|RequirePackage|documentclass|dump)(?![A-Za-z])|\^\^"
)
# Commands that may outlive their group or leave their box: such a formula gets a run of its own.
_ALONE: Final = re.compile(
    r"\\(?:[egx]?def|global|(?:future)?let|(?:re)?newcommand|providecommand|newenvironment|new[a-z]+"
    r"|catcode|output|shipout|end\s*\{\s*document|endinput|stop|batchmode|scrollmode"
    r"|errorstopmode|nonstopmode|makeatletter|loop|every[a-z]+|aftergroup|afterassignment"
    r"|expandafter|par|formula[a-z]+)(?![A-Za-z])|\\[()\[\]]|%|\n\s*\n"
)


@dataclass(frozen=True, slots=True)
class TexFailure:
    """Why TeX could not draw one formula: the first error it reported."""

    message: str


def tex_available() -> bool:
    """Whether ``pdflatex`` is installed."""
    return shutil.which("pdflatex") is not None


def require_tex() -> str:
    """Path of ``pdflatex``; raises `TexlensError` naming what to install."""
    path = shutil.which("pdflatex")
    if path is None:
        raise TexlensError(
            "TeX is not installed (no pdflatex on the PATH): install TeX Live with its font "
            "packages (on Debian or Ubuntu: texlive-latex-extra texlive-fonts-extra), "
            "or draw with MathJax, which needs nothing."
        )
    return path


@lru_cache(maxsize=1)
def installed_fonts() -> tuple[str, ...]:
    """The names in `FONTS` with which a formula of letters and symbols compiles on this machine."""
    require_tex()
    probe = [
        r"x ^ { 2 } \leq \mathbb { R } \mathcal { L } \sqrt { \alpha } \sum _ { i } \mathrm{d}"
    ]
    return tuple(font for font in FONTS if compiles(probe, font=font) == [True])


def render_tex(
    formulas: Sequence[str],
    *,
    font: str = "cm",
    dpi: float | Sequence[float] = 200.0,
    display: bool = True,
) -> list[NDArray[np.uint8] | TexFailure]:
    """Draw each formula with TeX as a grey picture.

    Args:
        formulas: LaTeX, with or without math delimiters and display environments.
        font: a key of `FONTS`.
        dpi: pixels per inch for type of 10 points, so that a capital of Computer Modern is about
            ``0.095 * dpi`` pixels high; one number, or one for each formula.
        display: display style, else text style.

    Returns:
        For each formula an array (height, width) of grey values, 0 black and 255 white, with a
        margin of `PAGE_MARGIN_PT` points on every side; or a `TexFailure`.

    Raises:
        TexlensError: TeX is not installed.
        KeyError: ``font`` is unknown.
    """
    resolutions = [dpi] * len(formulas) if isinstance(dpi, float | int) else list(dpi)
    return _rasterise(_typeset(formulas, font, display), resolutions)


def compiles(
    formulas: Sequence[str], *, font: str = "cm", display: bool = True
) -> list[bool | None]:
    """Whether TeX accepts each formula without an error; all ``None`` when TeX is not installed."""
    if not tex_available():
        return [None] * len(formulas)
    return [page.error is None for page in _typeset(formulas, font, display)]


@dataclass(frozen=True, slots=True)
class _Page:
    """Where a formula was drawn: a page of a PDF; or its error."""

    pdf: bytes
    number: int
    error: str | None


def _typeset(formulas: Sequence[str], font: str, display: bool) -> list[_Page]:
    pages: dict[int, _Page] = {}
    together: list[int] = []
    formulas = [formula_of(formula) for formula in formulas]
    for index, formula in enumerate(formulas):
        unusable = _unusable(formula)
        if unusable is not None:
            pages[index] = _Page(b"", 0, unusable)
        elif _alone(formula):
            (pages[index],) = _run([formula], font, display)
        else:
            together.append(index)
    for start in range(0, len(together), FORMULAS_PER_RUN):
        batch = together[start : start + FORMULAS_PER_RUN]
        drawn = _run([formulas[index] for index in batch], font, display)
        pages.update(zip(batch, drawn, strict=True))
    return [pages[index] for index in range(len(formulas))]


def _alone(formula: str) -> bool:
    """Whether the formula might spoil others in the same run."""
    dollars = len(re.findall(r"(?<!\\)(?:\\\\)*\$", formula))
    return bool(dollars % 2) or _ALONE.search(formula) is not None


def _unusable(formula: str) -> str | None:
    """Why a formula cannot even be put into a file of its own, or ``None``."""
    if not formula.strip():
        return "the formula is empty"
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]", formula):
        return "the formula holds control characters"
    if len(formula) > 100_000:
        return "the formula is longer than 100,000 characters"
    if refused := _REFUSED.search(formula):
        return f"{refused[0]} is not allowed in a formula"
    if re.search(r"(?<!\\)(?:\\\\)*\\\Z", formula):  # it would escape what ends the page
        return "the formula ends in a backslash"
    depth = 0
    for mark in re.findall(r"\\.|[{}]", formula, re.S):
        depth += (mark == "{") - (mark == "}")
        if depth < 0:
            break
    return "braces do not match" if depth else None


def _run(formulas: list[str], font: str, display: bool) -> list[_Page]:
    """Run TeX over the formulas, again without a formula that ended the run early."""
    if not formulas:
        return []
    pdf, log = _pdflatex(formulas, font, display)
    count = len(formulas)
    written = re.search(r"^Output written on .*\((\d+) page", log, re.M)
    if written and int(written[1]) == count and f"@@end {count - 1}@@" in log:
        return [_Page(pdf, number, error) for number, error in enumerate(_errors(log, count))]
    begun = [int(number) for number in re.findall(r"@@begin (\d+)@@", log)]
    if count == 1 or (log and not begun):  # in the latter case the preamble failed
        return [_Page(b"", 0, _first_error(log) or "TeX stopped in this formula")] * count
    if not log or f"@@end {count - 1}@@" in log:  # too slow, or a page too many: who was it?
        middle = count // 2
        return _run(formulas[:middle], font, display) + _run(formulas[middle:], font, display)
    guilty = begun[-1]
    error = _errors(log, count)[guilty] or "TeX stopped in this formula"
    before, after = formulas[:guilty], formulas[guilty + 1 :]
    return [*_run(before, font, display), _Page(b"", 0, error), *_run(after, font, display)]


def _pdflatex(formulas: Sequence[str], font: str, display: bool) -> tuple[bytes, str]:
    """The PDF (empty if none) and the log (empty when TeX ran out of time)."""
    pdflatex = require_tex()
    with tempfile.TemporaryDirectory(prefix="texlens-tex-") as folder:
        Path(folder, "batch.tex").write_text(_document(formulas, font, display), encoding="utf-8")
        environment = {
            **os.environ,
            "openin_any": "p",
            "openout_any": "p",
            "max_print_line": "10000",
            "TEXMFOUTPUT": folder,
            "MKTEXPK": "0",  # no bitmap fonts made on the way
            "MKTEXTFM": "0",
        }
        command = [pdflatex, "-interaction=batchmode", "-no-shell-escape", "batch.tex"]
        try:
            subprocess.run(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=SECONDS_TO_START + SECONDS_PER_FORMULA * len(formulas),
                check=False,
            )
        except subprocess.TimeoutExpired:
            return b"", ""
        pdf, log = Path(folder, "batch.pdf"), Path(folder, "batch.log")
        return (
            pdf.read_bytes() if pdf.exists() else b"",
            log.read_text(encoding="utf-8", errors="replace") if log.exists() else "! no log",
        )


def _document(formulas: Sequence[str], font: str, display: bool) -> str:
    symbols = "amsmath" if font in _OWN_SYMBOLS else "amsmath,amssymb"
    style = r"\displaystyle " if display else ""
    lines = [
        r"\documentclass{article}",
        rf"\usepackage{{{symbols}}}",
        FONTS[font],
        _PREAMBLE % {"margin": PAGE_MARGIN_PT},
        r"\begin{document}",
    ]
    for number, formula in enumerate(formulas):
        lines.append(rf"\formulapage{{{number}}}{{${style}{formula}$}}")
    lines.append(r"\end{document}")
    return "\n".join(lines)


def _errors(log: str, count: int) -> list[str | None]:
    """The first error of every formula, read from between its marks in the log."""
    errors: list[str | None] = [None] * count
    for number, part in re.findall(r"@@begin (\d+)@@(.*?)(?=@@begin|\Z)", log, re.S):
        if int(number) < count:
            errors[int(number)] = _first_error(part)
    return errors


def _first_error(log: str) -> str | None:
    match = re.search(r"^(?:! ?(.+)|(Missing character: .+))$", log, re.M)
    return (match[1] or match[2]).strip() if match else None


def _rasterise(
    pages: Sequence[_Page], dpi: Sequence[float]
) -> list[NDArray[np.uint8] | TexFailure]:
    import pypdfium2

    documents: dict[int, Any] = {}
    pictures: list[NDArray[np.uint8] | TexFailure] = []
    try:
        for page, resolution in zip(pages, dpi, strict=True):
            if page.error is not None:
                pictures.append(TexFailure(page.error))
                continue
            if id(page.pdf) not in documents:
                documents[id(page.pdf)] = pypdfium2.PdfDocument(page.pdf)
            pictures.append(_page_pixels(documents[id(page.pdf)], page.number, resolution))
    finally:
        for document in documents.values():
            document.close()
    return pictures


def _page_pixels(document: Any, number: int, dpi: float) -> NDArray[np.uint8] | TexFailure:
    import pypdfium2

    try:
        page = document[number]
    except pypdfium2.PdfiumError:
        return TexFailure("the page cannot be read")
    try:
        width, height = page.get_size()
        if width * height * (dpi / 72) ** 2 > MAX_PIXELS:
            return TexFailure(f"the page of {width:.0f} x {height:.0f} points is too large")
        bitmap = page.render(scale=dpi / 72, grayscale=True)
        pixels: NDArray[np.uint8] = bitmap.to_numpy().reshape(bitmap.height, -1)
        pixels = pixels[:, : bitmap.width].copy()
        bitmap.close()
        return pixels
    finally:
        page.close()
