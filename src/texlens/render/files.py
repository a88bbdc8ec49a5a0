"""Many formulas into files: the work behind `texlens render`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image

from texlens.engine import Failure, get_engine
from texlens.errors import InputError
from texlens.images import encode_png
from texlens.latex import formula_of
from texlens.render.overlay import overlay
from texlens.render.picture import Size, png_many, svg_many
from texlens.render.sheet import contact_sheet
from texlens.runs import write_bytes

_FORMS = {".svg": "svg", ".png": "png", ".json": "json"}


@dataclass(frozen=True, slots=True)
class RenderJob:
    """What to draw and how: `form` is svg, png, json (glyph boxes) or sheet (one picture of all)."""

    formulas: Sequence[str]
    size: Size
    form: str = "png"
    boxes: bool = False
    tex: bool = False
    display: bool = True


def render_to(job: RenderJob, out: Path, *, force: bool = False) -> list[tuple[int, str]]:
    """Draw into the file `out`, or into numbered files of the folder `out`.

    Returns the number (from 1) and the reason of each formula that could not be drawn.
    Raises InputError when there is nothing to draw or `out` will not do.
    """
    if not job.formulas:
        raise InputError("There is no formula to draw.")
    if job.form == "sheet":
        _refuse_overwriting(out, force)
        write_bytes(out, encode_png(contact_sheet(job.formulas, job.size)))
        drawn = get_engine().draw([formula_of(formula) for formula in job.formulas])
        return [(n, d.message) for n, d in enumerate(drawn, 1) if isinstance(d, Failure)]
    single = out.suffix.lower() in _FORMS
    if single and len(job.formulas) > 1:
        raise InputError(f"'{out}' is one file for {len(job.formulas)} formulas: give a folder.")
    form = _FORMS[out.suffix.lower()] if single else job.form
    digits = len(str(len(job.formulas)))
    failures = []
    for number, content in enumerate(_contents(job, form), 1):
        path = out if single else out / f"{number:0{digits}d}.{form}"
        if isinstance(content, str):
            failures.append((number, content))
        else:
            _refuse_overwriting(path, force)
            write_bytes(path, content)
    return failures


def _contents(job: RenderJob, form: str) -> list[bytes | str]:
    """The content of each file, or the reason why there is none."""
    if job.tex:
        return _by_tex(job, form)
    if job.boxes:
        em_px = job.size.em_px or 40.0
        return [
            p.message if isinstance(p, Failure) else encode_png(p)
            for p in overlay(job.formulas, em_px=em_px)
        ]
    if form == "svg":
        return [
            s.message if isinstance(s, Failure) else s.encode()
            for s in svg_many(job.formulas, display=job.display)
        ]
    if form == "json":
        return [
            d.message
            if isinstance(d, Failure)
            else (json.dumps(asdict(d), ensure_ascii=False, indent=1) + "\n").encode()
            for d in get_engine().draw(
                [formula_of(formula) for formula in job.formulas], display=job.display
            )
        ]
    return [
        p.message if isinstance(p, Failure) else p
        for p in png_many(job.formulas, job.size, display=job.display)
    ]


def _by_tex(job: RenderJob, form: str) -> list[bytes | str]:
    from texlens.render.tex import TexFailure, render_tex

    if form != "png" or job.boxes:
        raise InputError("--tex draws PNG without boxes.")
    dpi = job.size.dpi or job.size.pixels_an_em(1.0) * 7.227
    return [
        p.message if isinstance(p, TexFailure) else encode_png(Image.fromarray(p))
        for p in render_tex(job.formulas, dpi=dpi, display=job.display)
    ]


def _refuse_overwriting(path: Path, force: bool) -> None:
    if path.exists() and not force:
        raise InputError(f"'{path}' exists: give another --out, or --force.")
