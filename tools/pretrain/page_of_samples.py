"""Write pages of training pictures, by renderer and look, beside real ones.

    python tools/pretrain/page_of_samples.py OUT/ REAL_FOLDER SHARDS...

OUT/samples-N.png has a row for each renderer and medium: left as rendered, then as a scan, a screen,
a photograph of paper and one of a screen. REAL_FOLDER holds PNG files, shown below.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from random import Random
from typing import get_args

import numpy as np
from PIL import Image, ImageDraw

from texlens.data.pictures.augmentation import Medium, Picture, augment_as
from texlens.data.pictures.shards import read_shard

CELL = (380, 110)
COLUMNS = 5
ROWS = 20


def sampled(folders: list[Path], count: int) -> list[tuple[str, str, Picture]]:
    """Pictures with their style and formula, all styles in turn."""
    random = Random(0)
    by_style: dict[str, list[tuple[str, str, Picture]]] = defaultdict(list)
    for folder in folders:
        paths = sorted(folder.glob("shard-*.npz"))
        for path in random.sample(paths, min(6, len(paths))):
            shard = read_shard(path)
            ends = np.cumsum(shard.heights * shard.widths)
            for at in random.sample(range(len(ends)), min(200, len(ends))):
                size = int(shard.heights[at] * shard.widths[at])
                picture = shard.pixels[ends[at] - size : ends[at]]
                grey = picture.reshape(shard.heights[at], shard.widths[at])
                by_style[shard.styles[at]].append((shard.styles[at], shard.formulas[at], grey))
    chosen = []
    styles = sorted(by_style)
    for turn in range(count):
        style = styles[turn % len(styles)]
        if by_style[style]:
            chosen.append(by_style[style].pop())
    return chosen[:count]


def cell(picture: Image.Image, caption: str) -> Image.Image:
    """One picture with its caption."""
    page = Image.new("RGB", CELL, "white")
    small = picture.convert("RGB")
    small.thumbnail((CELL[0] - 6, CELL[1] - 32))
    page.paste(small, (3, 3))
    text = caption.encode("ascii", "replace").decode()
    ImageDraw.Draw(page).multiline_text(
        (3, CELL[1] - 26), f"{text[:62]}\n{text[62:124]}", fill="#06c", spacing=1
    )
    return page


def main() -> None:
    out, real, folders = Path(sys.argv[1]), Path(sys.argv[2]), list(map(Path, sys.argv[3:]))
    out.mkdir(parents=True, exist_ok=True)
    media: tuple[Medium | None, ...] = (None, *get_args(Medium))
    cells = []
    for number, (style, formula, grey) in enumerate(sampled(folders, 2 * ROWS * COLUMNS)):
        medium = media[number // 8 % len(media)]
        picture = np.pad(grey, 10, constant_values=255)
        if medium:
            picture = augment_as(picture, medium, np.random.default_rng(number), strength=0.6)
        cells.append(cell(Image.fromarray(picture), f"{style} {medium or ''}: {formula}"))
    for page in range(2):
        some = cells[page * ROWS * COLUMNS : (page + 1) * ROWS * COLUMNS]
        some += [cell(Image.open(path), f"REAL {path.stem}") for path in sorted(real.glob("*.png"))]
        sheet = Image.new("RGB", (CELL[0] * COLUMNS, CELL[1] * -(-len(some) // COLUMNS)), "#ccc")
        for n, one in enumerate(some):
            sheet.paste(one, (n % COLUMNS * CELL[0], n // COLUMNS * CELL[1]))
        sheet.save(out / f"samples-{page}.png")


if __name__ == "__main__":
    main()
