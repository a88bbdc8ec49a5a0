r"""Make the pictures of the sets that models are chosen and reported on.

    python tools/pretrain/make_sets.py SHARED_DATA OUT/ [SET...]

`sets/NAME.PART.tsv` fixes the formulas (by key, in the lists of SHARED_DATA; those that are generated
are written out), renderers, fonts, sizes, colours and augmentations. OUT/NAME.PART.parquet gets the
pictures with their LaTeX in normal form. Needs TeX, Chromium and texlens-fonts. `sets/hashes.json` has
the hash of each recipe, which must agree, and of the pixels as they were first made: another version
of a renderer gives slightly other pixels, and so does Chromium now and then on a busy machine (two grey
levels in a few pixels of one picture); this is printed and is no error. *dev* parts are for choices;
*test* parts are read once for a reported model.
"""

from __future__ import annotations

import csv
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from formula_lists import lists_of, read_list
from holdout import SETS, key
from PIL import Image

from texlens.data.parquet import write_examples
from texlens.data.pictures.augmentation import Picture, augment
from texlens.data.pictures.renderers import BROWSER_RENDERERS, Style
from texlens.data.pictures.renderers.browser import close_browser, photograph
from texlens.data.pictures.renderers.pdftex import EM_INCHES, packages_for, wrong_glyphs
from texlens.engine import Failure
from texlens.images import crop_to_ink, encode_png
from texlens.latex import normalize
from texlens.records import Example
from texlens.render.tex import FONTS, render_tex

HASHES = SETS / "hashes.json"
# Fonts of no training picture: those of `tools/demo/make_pictures.py`.
HELD_OUT_TEX_FONTS = {
    "held-out Concrete": r"\usepackage{ccfonts}",
    "held-out EB Garamond": r"\usepackage[T1]{fontenc}\usepackage{ebgaramond}\usepackage{ebgaramond-maths}",
    "held-out Antykwa Light": r"\usepackage[T1]{fontenc}\usepackage[light,math]{anttor}",
    "held-out Noto": r"\usepackage{notomath}",
    "held-out Erewhon": r"\usepackage[T1]{fontenc}\usepackage{erewhon}\usepackage[utopia]{newtxmath}",
    "held-out MLModern": r"\usepackage{mlmodern}",
    "held-out Pple": r"\usepackage[T1]{fontenc}\usepackage{mathpple}",
    "held-out Artemisia": r"\usepackage[T1]{fontenc}\usepackage{gfsartemisia}",
    "held-out Cochineal": r"\usepackage[T1]{fontenc}\usepackage{cochineal}\usepackage[cochineal]{newtxmath}",
    "held-out Kerkis": r"\usepackage{kmath}",
}
FONTS.update(HELD_OUT_TEX_FONTS)


@dataclass(frozen=True)
class Row:
    """One picture of a set: a line of its TSV."""

    id: str
    key: str
    source: str  # the list, or `made NAME`
    style: Style
    margin: int  # pixels
    look: dict[str, float]
    formula: str = ""  # of a generated one

    def as_cells(self) -> dict[str, Any]:
        """The cells of the line."""
        style = self.style
        return {
            "id": self.id, "key": self.key, "source": self.source, "renderer": style.renderer,
            "font": style.font, "display": int(style.display), "size": style.size,
            "scale": style.scale, "ink": style.ink, "paper": style.paper, "margin": self.margin,
            "look": json.dumps(self.look), "formula": self.formula,
        }  # fmt: skip

    @classmethod
    def from_cells(cls, cells: dict[str, str]) -> Row:
        """The row of a line."""
        style = Style(
            cells["renderer"], cells["font"], display=cells["display"] == "1",
            size=float(cells["size"]), scale=float(cells["scale"]), ink=cells["ink"],
            paper=cells["paper"],
        )  # fmt: skip
        return cls(
            cells["id"], cells["key"], cells["source"], style, int(cells["margin"]),
            json.loads(cells["look"]), cells["formula"],
        )  # fmt: skip


def read_rows(path: Path) -> list[Row]:
    """The rows of a set."""
    with path.open(encoding="utf-8", newline="") as file:
        return [Row.from_cells(cells) for cells in csv.DictReader(file, delimiter="\t")]


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write the rows of a set."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0].as_cells()), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(row.as_cells() for row in rows)


def pictures_of(rows: Sequence[Row], formulas: Sequence[str]) -> list[Picture | str]:
    """The picture of each row, or why there is none."""
    made: dict[str, Picture | str] = {}

    def group(pair: tuple[Row, str]) -> str:
        style = pair[0].style
        # One run of TeX makes all sizes; a page of the browser has one size, scale and theme.
        return repr(replace(style, scale=1.0) if style.renderer == "pdftex" else style)

    pairs = sorted(zip(rows, formulas, strict=True), key=group)
    for _, members in groupby(pairs, key=group):
        batch = list(members)
        styles = [row.style for row, _ in batch]
        texts = [formula for _, formula in batch]
        if styles[0].renderer in BROWSER_RENDERERS:
            shots = photograph(texts, styles[0])
            pages = [shot if isinstance(shot, str) else shot.colour for shot in shots]
        else:
            pages = _by_tex(texts, styles)
        for (row, _), page in zip(batch, pages, strict=True):
            made[row.id] = page if isinstance(page, str) else _finished(page, row)
    return [made[row.id] for row in rows]


def _by_tex(texts: Sequence[str], styles: Sequence[Style]) -> list[Picture | str]:
    """Pages by pdfTeX; `scale` is the size of type in pixels an em."""
    font, display = styles[0].font, styles[0].display
    pages = render_tex(
        texts, font=font, dpi=[style.scale / EM_INCHES for style in styles], display=display,
        packages=packages_for(texts, font),
    )  # fmt: skip
    return [
        wrong_glyphs(text, font) or (page.message if isinstance(page, Failure) else page)
        for text, page in zip(texts, pages, strict=True)
    ]


def _finished(page: Picture, row: Row) -> Picture | str:
    """Cut to the ink and the margin, with the looks of the row."""
    grey = np.asarray(Image.fromarray(page).convert("L")).astype(np.int16)
    ink = np.abs(grey - grey[0, 0]) > 24
    box = crop_to_ink(np.where(ink, 0, 255).astype(np.uint8))
    if box is None:
        return "the picture is blank"
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    cut = page[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    sides = ((row.margin, row.margin),) * 2 + ((0, 0),) * (page.ndim - 2)
    framed = np.empty(
        [side + sum(around) for side, around in zip(cut.shape, sides, strict=True)], np.uint8
    )
    framed[:] = page[0, 0]
    framed[row.margin : row.margin + cut.shape[0], row.margin : row.margin + cut.shape[1]] = cut
    rng = np.random.default_rng([int(row.key, 16), *row.id.encode()])
    return augment(framed, row.look, rng)


def main() -> None:
    shared, out, names = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    out.mkdir(parents=True, exist_ok=True)
    hashes = json.loads(HASHES.read_text(encoding="utf-8")) if HASHES.exists() else {}
    listed = {
        name: {key(f.strip()): f.strip() for f in read_list(path)}
        for name, path in lists_of(shared).items()
    }
    for path in sorted(SETS.glob("*.tsv")):
        if names and path.stem.split(".")[0] not in names and path.stem not in names:
            continue
        recipe = hashlib.sha256(path.read_bytes()).hexdigest()
        frozen = hashes.setdefault(path.stem, {"recipe": recipe})
        if frozen["recipe"] != recipe:
            raise SystemExit(f"{path} is not the frozen one: its hash is not that in {HASHES}.")
        rows = read_rows(path)
        formulas = [row.formula or listed[row.source][row.key] for row in rows]
        pictures = pictures_of(rows, formulas)
        for at, picture in enumerate(pictures):
            if isinstance(picture, str):  # on a busy machine a limit of time may be the cause
                close_browser()
                (pictures[at],) = pictures_of([rows[at]], [formulas[at]])
        pixels = hashlib.sha256()
        examples = []
        for row, formula, picture in zip(rows, formulas, pictures, strict=True):
            if isinstance(picture, str):
                raise SystemExit(f"{path.stem}: {row.id} cannot be made: {picture}.")
            pixels.update(picture.tobytes())
            image = encode_png(Image.fromarray(picture))
            kind = "screen" if row.style.renderer in BROWSER_RENDERERS else "printed"
            examples.append(Example(row.id, image, normalize(formula), path.stem, kind))
        write_examples(out / f"{path.stem}.parquet", examples)
        digest = pixels.hexdigest()
        same = (
            "the pixels of the first making"
            if frozen.setdefault("pixels", digest) == digest
            else "other pixels than first: another version of a renderer or font, or Chromium's rounding"
        )
        print(f"{path.stem}: {len(examples)} pictures, {same}", flush=True)
    HASHES.write_text(json.dumps(hashes, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
