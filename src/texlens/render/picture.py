"""Formulas as SVG and PNG, rendered by MathJax and resvg."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from texlens.engine import Engine, Failure, SvgPicture, get_engine
from texlens.errors import InputError
from texlens.latex import formula_of
from texlens.workers import WorkerFault, in_worker, run_each

POINTS_AN_EM = 10.0  # size of the base font where a resolution in dpi is given
MAX_SIDE_PX = 20_000
MAX_PIXELS = 50_000_000
_FORMULAS_A_JOB = 32

_ROOT = re.compile(r"<svg [^>]*>")


@dataclass(frozen=True, slots=True)
class Size:
    """How large a formula is rendered: exactly one of the first three is given.

    Attributes:
        em_px: pixels per em of the base font.
        dpi: pixels per inch, for a base font of 10 pt.
        height_px: height of the whole picture.
        margin_px: added on every side.
    """

    em_px: float | None = None
    dpi: float | None = None
    height_px: int | None = None
    margin_px: int = 4

    def pixels_an_em(self, height_em: float) -> float:
        """The scale for a formula of this height. Raises InputError for a size that is not valid."""
        given = [value for value in (self.em_px, self.dpi, self.height_px) if value is not None]
        if len(given) != 1 or given[0] <= 0 or self.margin_px < 0:
            raise InputError("Give one positive size: pixels per em, dpi, or a height in pixels.")
        if self.em_px is not None:
            return self.em_px
        if self.dpi is not None:
            return self.dpi / 72.27 * POINTS_AN_EM
        assert self.height_px is not None
        room = self.height_px - 2 * self.margin_px
        if room < 1:
            raise InputError("The margins leave no room in that height.")
        return room / max(height_em, 0.01)


DEFAULT_SIZE = Size(em_px=32.0)


def svg(formula: str, *, display: bool = True) -> str | Failure:
    """One formula as a self-contained SVG: shapes alone, no style, script, link or text to run.

    Its width and height are in em, so that it takes the size of the text around it.
    """
    return svg_many([formula], display=display)[0]


def svg_many(formulas: Sequence[str], *, display: bool = True) -> list[str | Failure]:
    """Formulas as SVG, or the failure of each that cannot be rendered."""
    shapes = _shapes(get_engine(), formulas, display)
    return [shape if isinstance(shape, Failure) else shape[0] for shape in shapes]


def png(
    formula: str,
    size: Size = DEFAULT_SIZE,
    *,
    display: bool = True,
    background: str = "#fff",
    font: str = "tex",
) -> bytes | Failure:
    """One formula as PNG bytes. See `png_many`."""
    return png_many([formula], size, display=display, background=background, font=font)[0]


def png_many(
    formulas: Sequence[str],
    size: Size | Sequence[Size] = DEFAULT_SIZE,
    *,
    display: bool = True,
    background: str = "#fff",
    font: str = "tex",
) -> list[bytes | Failure]:
    """Formulas as PNG bytes, or the failure of each that cannot be rendered.

    Args:
        formulas: LaTeX, with or without math delimiters and display environments.
        size: the size of all pictures, or one for each formula.
        display: display style, else text style.
        background: a colour; "" makes the background transparent.
        font: one of `texlens.engine.fonts()`.

    Raises:
        InputError: the size is not valid, or the font is not installed.
    """
    engine = get_engine(font)  # an unknown font is an error here, not in a worker
    sizes = [size] * len(formulas) if isinstance(size, Size) else size
    jobs = list(zip(formulas, sizes, strict=True))
    render = partial(_rasteriser, engine.font, display, background)
    if in_worker():
        return render()(jobs)
    results: list[bytes | Failure] = []
    for start in range(0, len(jobs), _FORMULAS_A_JOB):
        found = run_each(render, jobs[start : start + _FORMULAS_A_JOB])
        results += [
            Failure(str(r), None, "fault") if isinstance(r, WorkerFault) else r for r in found
        ]
    return results


def _rasteriser(
    font: str, display: bool, background: str
) -> Callable[[Sequence[tuple[str, Size]]], list[bytes | Failure]]:
    """In a worker, since resvg too could end its process: what renders formulas."""

    def render(jobs: Sequence[tuple[str, Size]]) -> list[bytes | Failure]:
        shapes = _shapes(get_engine(font), [formula for formula, _ in jobs], display)
        return [
            shape if isinstance(shape, Failure) else _rasterised(shape, size, background)
            for shape, (_, size) in zip(shapes, jobs, strict=True)
        ]

    return render


def _shapes(engine: Engine, formulas: Sequence[str], display: bool) -> list[SvgPicture | Failure]:
    """The shapes of each formula in black, with their size."""
    pictures = engine.svg([formula_of(formula) for formula in formulas], display=display)
    return [
        p if isinstance(p, Failure) else (p[0].replace("currentColor", "#000"), *p[1:])
        for p in pictures
    ]


def _rasterised(shape: SvgPicture, size: Size, background: str) -> bytes | Failure:
    """The shapes in a window of whole pixels with a margin, as PNG."""
    import resvg_py

    text, width, height, depth = shape
    scale = size.pixels_an_em(height + depth)
    margin = size.margin_px
    wide, high = (max(1, round(length * scale)) + 2 * margin for length in (width, height + depth))
    if max(wide, high) > MAX_SIDE_PX or wide * high > MAX_PIXELS:
        message = f"would be {wide} x {high} pixels, too large to render"
        return Failure(message, None, "limit")
    unit = 1000 / scale  # SVG units a pixel
    window = (-margin * unit, -height * 1000 - margin * unit, wide * unit, high * unit)
    view_box = " ".join(f"{value:.3f}" for value in window)
    root = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" '
        f'viewBox="{view_box}">'
    )
    svg_text = _ROOT.sub(root, text, count=1)
    # System fonts are loaded only where a character is missing from MathJax's: that takes long.
    plain = "<text" not in text
    try:
        return bytes(
            resvg_py.svg_to_bytes(svg_text, skip_system_fonts=plain, background=background or None)
        )
    except ValueError as error:
        return Failure(f"cannot be rendered: {error}", None)
