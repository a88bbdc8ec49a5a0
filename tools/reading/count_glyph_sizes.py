"""Count how large the glyphs of formulas are, in em: `src/texlens/reading/pictures/glyph_sizes.npy`.

    python tools/reading/count_glyph_sizes.py FORMULAS.txt src/texlens/reading/pictures/glyph_sizes.npy

FORMULAS.txt holds one formula a line; the first 6,500 of im2latex_train were used. They are rendered
in the styles that training pictures have (needs TeX and its fonts), in type of a known size.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from random import Random

import numpy as np
from scipy import ndimage

from texlens.data.pictures.renderers import Dropped, choose_style, render_formulas
from texlens.reading.pictures.type_size import GRID, glyph_sizes, grid_cells

BATCH = 100
BLUR = 0.7  # cells
STRANGE = 0.02  # part of the glyphs that may have any size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("formulas", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pictures", type=int, default=5000)
    arguments = parser.parse_args()
    formulas = arguments.formulas.read_text(encoding="utf-8").splitlines()
    random = Random(0)
    counts = np.zeros((GRID, GRID))
    for start in range(0, arguments.pictures, BATCH):
        chosen = random.choices(formulas, k=BATCH)
        randoms = [Random(random.getrandbits(64)) for _ in chosen]
        for picture in render_formulas(chosen, choose_style(random), randoms):
            if isinstance(picture, Dropped):
                continue
            heights, widths = glyph_sizes(np.pad(picture.grey, 2, constant_values=255))
            if not heights.size:
                continue
            rows = grid_cells(np.log(heights / picture.pixels_per_em))
            columns = grid_cells(np.log(widths / picture.pixels_per_em))
            np.add.at(counts, (rows, columns), 1 / heights.size)
        print(f"{start + BATCH} formulas", flush=True)
    smooth = ndimage.gaussian_filter(counts, BLUR)
    likelihood = (1 - STRANGE) * smooth / smooth.sum() + STRANGE / GRID**2
    np.save(arguments.out, np.log(likelihood).astype(np.float16))


if __name__ == "__main__":
    main()
