"""`texlens render`: formulas as SVG, PNG, glyph boxes, or a contact sheet."""

from __future__ import annotations

from pathlib import Path

import click

from texlens.cli.latex import formula_options, read_given
from texlens.cli.options import PATH


@click.command()
@formula_options
@click.option(
    "--out", required=True, type=PATH,
    help="A .svg, .png or .json file (glyph boxes) for one formula, a folder for many.",
)  # fmt: skip
@click.option(
    "--as", "form", type=click.Choice(["svg", "png", "json"]), default="png",
    help="The format of the files in a folder.",
)  # fmt: skip
@click.option("--sheet", is_flag=True, help="One picture of all formulas.")
@click.option("--boxes", is_flag=True, help="Draw the glyph boxes over the picture.")
@click.option("--tex", is_flag=True, help="Render with pdflatex, which must be installed.")
@click.option("--em", "em_px", type=float, help="Pixels per em of the base font (default 32).")
@click.option("--dpi", type=float, help="Resolution at 10 pt.")
@click.option("--height", "height_px", type=int, help="Height of the picture in pixels.")
@click.option("--inline", is_flag=True, help="Text style instead of display style.")
@click.option("--force", is_flag=True, help="Overwrite existing files.")
def render(
    formulas: tuple[str, ...],
    files: tuple[Path, ...],
    out: Path,
    form: str,
    sheet: bool,
    boxes: bool,
    tex: bool,
    em_px: float | None,
    dpi: float | None,
    height_px: int | None,
    inline: bool,
    force: bool,
) -> None:
    """Render LaTeX formulas as SVG or PNG.

    FORMULAS are LaTeX, with or without dollar signs; without any, they are read from --file or
    standard input.
    """
    from texlens.errors import TexlensError
    from texlens.render.files import RenderJob, render_to
    from texlens.render.picture import DEFAULT_SIZE, Size

    given = [formula.latex for formula in read_given(formulas, files)]
    has_size = any(value is not None for value in (em_px, dpi, height_px))
    job = RenderJob(
        given,
        Size(em_px=em_px, dpi=dpi, height_px=height_px) if has_size else DEFAULT_SIZE,
        form="sheet" if sheet else form,
        boxes=boxes,
        tex=tex,
        display=not inline,
    )
    failures = render_to(job, out, force=force)
    for number, message in failures:
        click.echo(f"Formula {number} {message}", err=True)
    click.echo(f"{len(given) - len(failures)} of {len(given)} rendered: {out}")
    if failures:
        raise TexlensError(f"{len(failures)} of {len(given)} formulas could not be rendered.")
