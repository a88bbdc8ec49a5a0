"""Many formulas into files: the work behind `texlens render`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image

from texlens.engine import Drawing, Failure, get_engine
from texlens.errors import InputError
from texlens.images import encode_png
from texlens.latex import formula_of
from texlens.render.overlay import overlay
from texlens.render.picture import Size, png_many, svg_many
from texlens.render.sheet import contact_sheet
from texlens.render.tex import render_tex
from texlens.runs import check_out_file, write_bytes

_FORMS = {".svg": "svg", ".png": "png", ".json": "json"}


@dataclass(frozen=True, slots=True)
class RenderJob:
    """What to render and how.

    `form` is `svg`, `png`, `json` (glyph boxes) or `sheet` (one picture of all formulas).
    """

    formulas: Sequence[str]
    size: Size
    form: str = "png"
    boxes: bool = False
    tex: bool = False
    display: bool = True


def render_to(job: RenderJob, out: Path, *, force: bool = False) -> list[tuple[int, str]]:
    """Render into the file `out`, or into numbered files of the folder `out`.

    Returns the number (from 1) and the reason of each formula that could not be rendered.
    Raises InputError when there is no formula, or `out` is of the wrong kind or exists.
    """
    if not job.formulas:
        raise InputError("There is no formula to render.")
    if job.form == "sheet":
        check_out_file(out, force=force)
        sheet, failures = contact_sheet(job.formulas, job.size)
        write_bytes(out, encode_png(sheet))
        return failures
    single = out.suffix.lower() in _FORMS
    if single and len(job.formulas) > 1:
        raise InputError(f"'{out}' is one file for {len(job.formulas)} formulas: give a folder.")
    form = _FORMS[out.suffix.lower()] if single else job.form
    digits = len(str(len(job.formulas)))
    failures = []
    for number, content in enumerate(_contents(job, form), 1):
        path = out if single else out / f"{number:0{digits}d}.{form}"
        if isinstance(content, Failure):
            failures.append((number, content.message))
        else:
            check_out_file(path, force=force)
            write_bytes(path, content)
    return failures


def _contents(job: RenderJob, form: str) -> Sequence[bytes | Failure]:
    """The content of each file, or why there is none."""
    if job.tex:
        if form != "png" or job.boxes:
            raise InputError("--tex renders PNG without boxes.")
        dpi = job.size.dpi or job.size.pixels_an_em(1.0) * 7.227
        pages = render_tex(job.formulas, dpi=dpi, display=job.display)
        return [p if isinstance(p, Failure) else encode_png(Image.fromarray(p)) for p in pages]
    if job.boxes:
        pictures = overlay(job.formulas, em_px=job.size.em_px or 40.0)
        return [p if isinstance(p, Failure) else encode_png(p) for p in pictures]
    if form == "svg":
        drawings = svg_many(job.formulas, display=job.display)
        return [d if isinstance(d, Failure) else d.encode() for d in drawings]
    if form == "json":
        formulas = [formula_of(formula) for formula in job.formulas]
        boxes = get_engine().draw(formulas, display=job.display)
        return [b if isinstance(b, Failure) else _as_json(b) for b in boxes]
    return png_many(job.formulas, job.size, display=job.display)


def _as_json(drawing: Drawing) -> bytes:
    return (json.dumps(asdict(drawing), ensure_ascii=False, indent=1) + "\n").encode()
