"""Formulas typeset by TeX itself, hundreds in one run, where TeX is installed.

One pdflatex run makes a page for each formula of a batch, as large as the formula, and pypdfium2
turns the pages into grey pictures. Every page is built inside its own box between two marks in the
log, so that a broken formula spoils only its own page and the log says which formula that was. What
a box cannot contain (unbalanced braces, definitions, an early `\\end{document}`, an endless loop)
is kept out of the batch, or runs alone, or is found when the rest runs again without it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from texlens.engine import Failure
from texlens.latex import braces_balanced, formula_of
from texlens.render.pdflatex import (
    PAGE_MACROS,
    PageFormat,
    open_pdf,
    rasterise,
    run_pdflatex,
    tex_available,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMULAS_PER_RUN: Final = 300
PAGE_MARGIN_PT: Final = 6.0
MAX_PIXELS: Final = 40_000_000
SECONDS_TO_START: Final = 5.0
SECONDS_PER_FORMULA: Final = 0.05

# Font packages of TeX Live, by the name that a user gives. The order within a preamble matters:
# text font before math font.
_NAMED_AS_THEIR_PACKAGES = (
    "lmodern", "fourier", "kpfonts", "stix2", "mathptmx", "mathpazo", "arev", "cmbright",
)  # fmt: skip
FONTS: Final[dict[str, str]] = {
    "cm": "",
    "cm-bold": r"\AtBeginDocument{\boldmath\bfseries}",
    "cm-sans": r"\usepackage{sansmathfonts}",
    "newtx": r"\usepackage{newtxtext,newtxmath}",
    "newpx": r"\usepackage{newpxtext,newpxmath}",
    "euler": r"\usepackage{eulervm}",
    "iwona": r"\usepackage[math]{iwona}",
    "kurier": r"\usepackage[math]{kurier}",
    "charter": r"\usepackage[charter]{mathdesign}",
    "libertinus": r"\usepackage{libertinust1math}",
    "antykwa": r"\usepackage[math]{anttor}",
    "newcentury": r"\usepackage{fouriernc}",
    "libertine": r"\usepackage{libertine}\usepackage[libertine]{newtxmath}",
    "xcharter": r"\usepackage{XCharter}\usepackage[xcharter]{newtxmath}",
    "scholax": r"\usepackage{scholax}\usepackage[ncf]{newtxmath}",
    "stickstoo": r"\usepackage{stickstootext}\usepackage[stickstoo]{newtxmath}",
    "kpfonts-light": r"\usepackage[light]{kpfonts}",
    "helvetica": r"\usepackage{helvet}\renewcommand\familydefault{\sfdefault}"
    r"\usepackage[italic]{mathastext}",
    **{name: rf"\usepackage{{{name}}}" for name in _NAMED_AS_THEIR_PACKAGES},
}
# Packages that define their own AMS symbols; loading amssymb beside them clashes.
_OWN_SYMBOLS: Final = frozenset(
    ["newtx", "newpx", "kpfonts", "kpfonts-light", "stix2", "charter", "libertinus", "libertine",
     "xcharter", "scholax", "stickstoo"]
)  # fmt: skip

# Loaded for formulas that use it alone: it changes what some other commands mean.
_CHEMISTRY: Final = re.compile(r"\\(?:ce|pu)(?![A-Za-z])")
_CHEMISTRY_PACKAGE: Final = r"\usepackage[version=4]{mhchem}"

_MACROS: Final = r"""
\providecommand\bm[1]{\boldsymbol{#1}}
\providecommand\mathscr[1]{\mathcal{#1}}
"""

# Commands that access files or the PDF itself, or hide which command they are: refused.
_REFUSED: Final = re.compile(
    r"\\(?:input|include[A-Za-z]*|openin|openout|read|write|immediate|special|pdf[a-z]+|csname"
    r"|usepackage|RequirePackage|documentclass|dump)(?![A-Za-z])|\^\^"
)
# Commands that may outlive their group or leave their box: such a formula gets a run of its own.
_ALONE: Final = re.compile(
    r"\\(?:[egx]?def|global|(?:future)?let|(?:re)?newcommand|providecommand|newenvironment|new[a-z]+"
    r"|catcode|output|shipout|end\s*\{\s*document|endinput|stop|batchmode|scrollmode"
    r"|errorstopmode|nonstopmode|makeatletter|loop|every[a-z]+|aftergroup|afterassignment"
    r"|expandafter|par|formula[a-z]+)(?![A-Za-z])|\\[()\[\]]"
)


def render_tex(
    formulas: Sequence[str],
    *,
    font: str = "cm",
    dpi: float | Sequence[float] = 200.0,
    display: bool = True,
    packages: str = "",
) -> list[NDArray[np.uint8] | Failure]:
    """Render each formula with TeX as a grey picture.

    Args:
        formulas: LaTeX, with or without math delimiters and display environments.
        font: a key of `FONTS`.
        dpi: pixels per inch for type of 10 points, so that a capital of Computer Modern is about
            `0.095 * dpi` pixels high; one number, or one for each formula.
        display: display style, else text style.
        packages: LaTeX for the end of the preamble: commands that the formulas use.

    Returns:
        For each formula an array (height, width) of grey values, 0 black and 255 white, with a
        margin of `PAGE_MARGIN_PT` points on every side; or a `Failure`.

    Raises:
        TexlensError: TeX is not installed.
        KeyError: `font` is unknown.
    """
    resolutions = [dpi] * len(formulas) if isinstance(dpi, float | int) else list(dpi)
    return _rasterise(_typeset(formulas, font, display, packages), resolutions)


def compiles(
    formulas: Sequence[str], *, font: str = "cm", display: bool = True
) -> list[bool | None]:
    """Whether TeX accepts each formula without an error; all None when TeX is not installed."""
    if not tex_available():
        return [None] * len(formulas)
    return [page.error is None for page in _typeset(formulas, font, display)]


@dataclass(frozen=True, slots=True)
class TypesetPage:
    """The page that shows a formula, in a file of many pages, or the formula's error.

    Attributes:
        file: of the pages, in the format that was asked for; empty where there is none.
        number: of the page in it, from 0.
        error: TeX's first error; the page may still exist.
    """

    file: bytes
    number: int
    error: str | None


def typeset(
    formulas: Sequence[str],
    document: Callable[[Sequence[str]], str],
    page_format: PageFormat = "pdf",
) -> list[TypesetPage]:
    """Typeset formulas, hundreds in one run; one page each.

    `document` makes the source for several formulas: one page each, by `\\formulapage` or with the
    same marks in the log.
    """
    pages: dict[int, TypesetPage] = {}
    together: list[int] = []
    chemistry: list[int] = []
    formulas = [formula_of(formula) for formula in formulas]
    job = _Job(document, page_format)
    for index, formula in enumerate(formulas):
        unusable = _unusable(formula)
        if unusable is not None:
            pages[index] = TypesetPage(b"", 0, unusable)
        elif _alone(formula):
            (pages[index],) = job.run([formula])
        elif _CHEMISTRY.search(formula):
            chemistry.append(index)
        else:
            together.append(index)
    for indices in (together, chemistry):
        for start in range(0, len(indices), FORMULAS_PER_RUN):
            batch = indices[start : start + FORMULAS_PER_RUN]
            made = job.run([formulas[index] for index in batch])
            pages.update(zip(batch, made, strict=True))
    return [pages[index] for index in range(len(formulas))]


def _typeset(
    formulas: Sequence[str], font: str, display: bool, packages: str = ""
) -> list[TypesetPage]:
    return typeset(formulas, lambda batch: _document(batch, font, display, packages))


def _alone(formula: str) -> bool:
    """Whether the formula might spoil others in the same run."""
    dollars = len(re.findall(r"(?<!\\)(?:\\\\)*\$", formula))
    return bool(dollars % 2) or _ALONE.search(formula) is not None


def _unusable(formula: str) -> str | None:
    """Why a formula may not even be put into a file of its own, or None."""
    if not formula.strip():
        return "the formula is empty"
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]", formula):
        return "the formula contains control characters"
    if len(formula) > 100_000:
        return "the formula is longer than 100,000 characters"
    if refused := _REFUSED.search(formula):
        return f"{refused[0]} is not allowed in a formula"
    if re.search(r"(?<!\\)(?:\\\\)*\\\Z", formula):  # it would escape what ends the page
        return "the formula ends in a backslash"
    return None if braces_balanced(formula) else "braces do not match"


@dataclass(frozen=True, slots=True)
class _Job:
    """What stays the same from run to run."""

    document: Callable[[Sequence[str]], str]
    page_format: PageFormat

    def run(self, formulas: list[str]) -> list[TypesetPage]:
        """Run TeX over the formulas, again without a formula that ended the run early."""
        if not formulas:
            return []
        count = len(formulas)
        seconds = SECONDS_TO_START + SECONDS_PER_FORMULA * count
        run = run_pdflatex(self.document(formulas), seconds, self.page_format)
        log = run.log
        written = re.search(r"^Output written on .*\((\d+) page", log, re.M)
        if written and int(written[1]) == count and f"@@end {count - 1}@@" in log:
            errors = enumerate(_errors(log, count))
            return [TypesetPage(run.pages, number, error) for number, error in errors]
        begun = [int(number) for number in re.findall(r"@@begin (\d+)@@", log)]
        if count == 1 or not (begun or run.timed_out):  # in the latter case the preamble failed
            return [TypesetPage(b"", 0, _first_error(log) or "TeX stopped in this formula")] * count
        if run.timed_out or f"@@end {count - 1}@@" in log:  # too slow, or a page too many: whose?
            middle = count // 2
            return self.run(formulas[:middle]) + self.run(formulas[middle:])
        guilty = begun[-1]
        error = _errors(log, count)[guilty] or "TeX stopped in this formula"
        before, after = formulas[:guilty], formulas[guilty + 1 :]
        return [*self.run(before), TypesetPage(b"", 0, error), *self.run(after)]


def _document(formulas: Sequence[str], font: str, display: bool, packages: str) -> str:
    symbols = "amsmath" if font in _OWN_SYMBOLS else "amsmath,amssymb"
    if any(map(_CHEMISTRY.search, formulas)):
        packages += _CHEMISTRY_PACKAGE
    style = r"\displaystyle " if display else ""
    pages = [rf"\formulapage{{{n}}}{{${style}{formula}$}}" for n, formula in enumerate(formulas)]
    return "\n".join(
        [
            rf"\documentclass{{article}} \usepackage{{{symbols}}} {FONTS[font]} {packages}",
            rf"{PAGE_MACROS}{_MACROS} \pagemargin={PAGE_MARGIN_PT}bp",
            r"\begin{document}",
            *pages,
            r"\end{document}",
        ]
    )


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
    pages: Sequence[TypesetPage], dpi: Sequence[float]
) -> list[NDArray[np.uint8] | Failure]:
    """Every page in grey, 0 black and 255 white, or its failure."""
    pictures: list[NDArray[np.uint8] | Failure] = []
    with ExitStack() as stack:
        documents: dict[int, Any] = {}
        for page, resolution in zip(pages, dpi, strict=True):
            if page.error is not None:
                pictures.append(Failure(page.error, None, "tex"))
                continue
            if id(page.file) not in documents:
                documents[id(page.file)] = stack.enter_context(open_pdf(page.file))
            document = documents[id(page.file)]
            pixels = rasterise(document, page.number, resolution, MAX_PIXELS, grayscale=True)
            pictures.append(Failure(pixels, None, "tex") if isinstance(pixels, str) else pixels)
    return pictures
