"""Write a page for each augmentation: real renderings at five strengths, three seeds a strength.

python tools/pretrain/pages_of_looks.py OUT/
"""

from __future__ import annotations

import sys
import zlib
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image, ImageDraw

from texlens.data.pictures.augmentation import AUGMENTATIONS, MEDIA, Picture, augment, augment_as
from texlens.data.pictures.renderers import Dropped, Style, render_formulas

FORMULAS = (
    r"f ( x ) = \frac { 1 } { \sqrt { 2 \pi } \sigma } e ^ { - \frac { ( x - \mu ) ^ { 2 } } { 2 \sigma ^ { 2 } } }",
    r"\sum _ { n = 1 } ^ { \infty } \frac { 1 } { n ^ { 2 } } = \frac { \pi ^ { 2 } } { 6 }",
    r"| x | = \begin{cases} x & \text {if } x \geq 0 \\ - x & \text {otherwise} \end{cases}",
)
STRENGTHS = (0.2, 0.4, 0.6, 0.8, 1.0)
CELL = (400, 130)


def base_pictures() -> list[Picture]:
    """The formulas with a margin, dark on white."""
    style = Style("mathjax", "tex")
    rendered = render_formulas(FORMULAS, style, [Random(n) for n in range(len(FORMULAS))])
    return [
        np.pad(one.grey, 12, constant_values=255)
        for one in rendered
        if not isinstance(one, Dropped)
    ]


def sheet(rows: list[tuple[str, list[Picture]]]) -> Image.Image:
    """Rows of pictures, each with its title."""
    page = Image.new("RGB", (CELL[0] * len(rows[0][1]), (CELL[1] + 16) * len(rows)), "#bcbcbc")
    for row, (title, pictures) in enumerate(rows):
        ImageDraw.Draw(page).text((4, row * (CELL[1] + 16) + 2), title, fill="#003")
        for column, picture in enumerate(pictures):
            image = Image.fromarray(picture).convert("RGB")
            image.thumbnail((CELL[0] - 8, CELL[1] - 4))
            page.paste(image, (column * CELL[0] + 4, row * (CELL[1] + 16) + 18))
    return page


def main() -> None:
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    pictures = base_pictures()
    for name in AUGMENTATIONS:
        rows = []
        for strength in STRENGTHS:
            seeded = [np.random.default_rng([zlib.crc32(name.encode()), n]) for n in range(3)]
            changed = [
                augment(picture, {name: strength}, rng)
                for picture, rng in zip(pictures, seeded, strict=True)
            ]
            rows.append((f"{name} {strength}", changed))
        sheet(rows).save(out / f"{name}.png")
    for medium in MEDIA:
        rows = []
        for strength in STRENGTHS:
            seeded = [np.random.default_rng([7, round(10 * strength), n]) for n in range(3)]
            changed = [
                augment_as(picture, medium, rng, strength=strength)
                for picture, rng in zip(pictures, seeded, strict=True)
            ]
            rows.append((f"as {medium}, {strength}", changed))
        sheet(rows).save(out / f"as_{medium}.png")


if __name__ == "__main__":
    main()
