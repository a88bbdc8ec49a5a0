"""Small corpora in exactly the layouts of their authors, made by each test."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

FORMULAS = [
    r"x ^ { 2 }",
    r"\frac { a } { b }",
    r"\alpha + 1",
    r"\sqrt { y }",
    r"z = 3",
    r"\sum _ { i } i",
]


def picture(number: int, size: tuple[int, int] = (60, 24), form: str = "PNG") -> bytes:
    """A small picture, different for every number."""
    image = Image.new("L", size, 255)
    ImageDraw.Draw(image).text((4, 4), f"f{number}", fill=0)
    buffer = io.BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()


def parquet(path: Path, text_column: str, rows: int, *, ids: bool = False, first: int = 0) -> None:
    columns = {
        "image": [{"bytes": picture(first + n), "path": None} for n in range(rows)],
        text_column: [FORMULAS[(first + n) % len(FORMULAS)] for n in range(rows)],
    }
    if ids:
        columns["id"] = [f"row {first + n}" for n in range(rows)]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, row_group_size=2)


def inkml(reference: str, shift: int = 0) -> str:
    return (
        '<ink xmlns="http://www.w3.org/2003/InkML">'
        f'<annotation type="truth">${reference}$</annotation>'
        f'<trace id="0">0 0, 50 {60 + shift}, 100 0</trace><trace id="1">120 0, 120 {90 + shift}</trace></ink>'
    )


def crohme(folder: Path) -> None:
    for n, formula in enumerate(FORMULAS):
        part = "TestEM2014GT" if n % 3 == 2 else "TrainINKML/KAIST"
        path = folder / part / f"ink_{n}.inkml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(inkml(formula, n))
    (folder / "TrainINKML" / "broken.inkml").write_text("<ink><trace>1 2")


def hme100k(folder: Path, *, pickled: bool) -> None:
    for part, numbers in (("train", (0, 1, 2)), ("test", (3, 4))):
        place = folder / part
        (place / "images").mkdir(parents=True)
        lines = [f"{part}_{n}.jpg\t{FORMULAS[n]}" for n in numbers]
        (place / "caption.txt").write_bytes("\r\n".join([*lines, f"{part}_99.jpg\tq"]).encode())
        if pickled:
            arrays = {
                f"{part}_{n}.jpg": np.asarray(Image.open(io.BytesIO(picture(n)))) for n in numbers
            }
            (place / "images.pkl").write_bytes(pickle.dumps(arrays))
        else:
            for n in numbers:
                (place / "images" / f"{part}_{n}.jpg").write_bytes(picture(n, form="JPEG"))


def unimer(folder: Path) -> None:
    for subset, pictures in (("train", "images"), ("spe", "spe"), ("sce", "sce")):
        (folder / pictures).mkdir(parents=True)
        (folder / f"{subset}.txt").write_text("\n".join(FORMULAS) + "\n")
        for n in range(len(FORMULAS) - 1):
            (folder / pictures / f"{n:07d}.png").write_bytes(picture(n))


def im2latex(folder: Path) -> None:
    (folder / "formula_images").mkdir(parents=True)
    (folder / "im2latex_formulas.lst").write_bytes(
        "\n".join([*FORMULAS, "\\mbox{é}"]).encode("latin-1")
    )
    for name, numbers in (("train", (0, 1)), ("validate", (2,)), ("test", (3, 6))):
        lines = [f"{n} abc{n} basic" for n in numbers]
        (folder / f"im2latex_{name}.lst").write_text("\n".join(lines) + "\n")
        for n in numbers:
            (folder / "formula_images" / f"abc{n}.png").write_bytes(picture(n))
