"""Formulas as SVG and PNG, drawn by MathJax and resvg."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import resvg_py

from texlens.engine import Failure, get_engine
from texlens.errors import InputError
from texlens.latex import formula_of

POINTS_AN_EM = 10.0  # size of the base font where a resolution in dpi is asked for
MAX_SIDE_PX = 20_000
MAX_PIXELS = 50_000_000

_ROOT = re.compile(r"<svg [^>]*>")


@dataclass(frozen=True, slots=True)
class Size:
    """How large a formula is drawn: exactly one of the three.

    em_px: pixels an em of the base font; dpi: the same at 10 pt; height_px: of the whole picture.
    margin_px is added on every side.
    """

    em_px: float | None = None
    dpi: float | None = None
    height_px: int | None = None
    margin_px: int = 4

    def pixels_an_em(self, height_em: float) -> float:
        """The scale for a formula of this height. Raises InputError for a size that is none."""
        given = [value for value in (self.em_px, self.dpi, self.height_px) if value is not None]
        if len(given) != 1 or given[0] <= 0 or self.margin_px < 0:
            raise InputError("Give one positive size: pixels an em, dpi, or a height in pixels.")
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


def svg(formula: str, *, display: bool = True, color: str = "#000") -> str | Failure:
    """One formula as a self-contained SVG: shapes alone, no style, script, link or text to run.

    Its width and height are in em, so that it takes the size of the text around it.
    """
    return svg_many([formula], display=display, color=color)[0]


def svg_many(
    formulas: Sequence[str], *, display: bool = True, color: str = "#000"
) -> list[str | Failure]:
    """Formulas as SVG, or the failure of each that cannot be drawn."""
    return [
        result if isinstance(result, Failure) else _colored(result[0], color)
        for result in get_engine().svg([formula_of(f) for f in formulas], display=display)
    ]


def png(
    formula: str,
    size: Size = DEFAULT_SIZE,
    *,
    display: bool = True,
    color: str = "#000",
    background: str = "#fff",
    font: str = "tex",
) -> bytes | Failure:
    """One formula as PNG bytes. `background` '' leaves the ground transparent; `font`: see `fonts`."""
    return png_many(
        [formula], size, display=display, color=color, background=background, font=font
    )[0]


def png_many(
    formulas: Sequence[str],
    size: Size = DEFAULT_SIZE,
    *,
    display: bool = True,
    color: str = "#000",
    background: str = "#fff",
    font: str = "tex",
) -> list[bytes | Failure]:
    """Formulas as PNG bytes, or the failure of each that cannot be drawn.

    Raises InputError for a size that is none.
    """
    pictures: list[bytes | Failure] = []
    shapes = get_engine(font).svg([formula_of(f) for f in formulas], display=display)
    for result in shapes:
        if isinstance(result, Failure):
            pictures.append(result)
            continue
        text, width, height, depth = result
        scale = size.pixels_an_em(height + depth)
        wide, high = (
            max(1, round(length * scale)) + 2 * size.margin_px for length in (width, height + depth)
        )
        if max(wide, high) > MAX_SIDE_PX or wide * high > MAX_PIXELS:
            message = f"would be {wide} x {high} pixels, too large to draw"
            pictures.append(Failure(message, None, "too_long"))
            continue
        framed = _framed(_colored(text, color), wide, high, scale, size.margin_px, height)
        pictures.append(_rasterise(framed, background))
    return pictures


def _colored(text: str, color: str) -> str:
    if not re.fullmatch(r"#[0-9a-fA-F]{3,8}|[a-zA-Z]+", color):
        raise InputError(f"'{color}' is not a colour: give #rrggbb or a name.")
    return text.replace("currentColor", color)


def _framed(text: str, wide: int, high: int, scale: float, margin: int, height_em: float) -> str:
    """The same shapes in a window of whole pixels with a margin."""
    unit = 1000 / scale  # SVG units a pixel
    window = (-margin * unit, -height_em * 1000 - margin * unit, wide * unit, high * unit)
    view_box = " ".join(f"{value:.3f}" for value in window)
    root = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" '
        f'viewBox="{view_box}">'
    )
    return _ROOT.sub(root, text, count=1)


def _rasterise(text: str, background: str) -> bytes | Failure:
    # System fonts are loaded only where a character is missing from MathJax's: it takes long.
    plain = "<text" not in text
    try:
        return bytes(
            resvg_py.svg_to_bytes(
                svg_string=text, skip_system_fonts=plain, background=background or None
            )
        )
    except ValueError as error:
        return Failure(f"cannot be drawn: {error}", None, "parse")
