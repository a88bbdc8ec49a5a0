"""Small corpora in exactly the trees and schemas in which their authors distribute them.

Sources: the file lists and cards on the Hugging Face hub (OleehyO/latex-formulas, linxy/LaTeX_OCR,
unsloth/LaTeX_OCR, wanderkid/UniMER_Dataset), the README of opendatalab/UniMERNet, MathWriting's
archive_readme.md, CROHME's description of its InkML, and for HME100K the scripts that convert its
two forms (PaddleOCR, Evvvvvvvva/qwen-ocr).
"""

from __future__ import annotations

import io
import json
import pickle
import zipfile
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


def formula(number: int) -> str:
    """A formula of its own for every number."""
    return f"{FORMULAS[number % len(FORMULAS)]} + {number}"


def picture(number: int, size: tuple[int, int] = (60, 24), form: str = "PNG") -> bytes:
    """A small picture, different for every number."""
    image = Image.new("L", size, 255)
    ImageDraw.Draw(image).text((4, 4), f"f{number}", fill=0)
    buffer = io.BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()


def transparent(number: int, ink: int) -> bytes:
    """A picture on nothing, in black (0) or white (255) ink."""
    alpha = Image.new("L", (60, 24), 0)
    ImageDraw.Draw(alpha).text((4, 4), f"f{number}", fill=255)
    image = Image.merge("LA", (Image.new("L", alpha.size, ink), alpha))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def parquet(path: Path, text_column: str, rows: int, *, ids: bool = False, first: int = 0) -> None:
    """As `datasets` writes a split: an Image feature, and its description in the metadata."""
    columns = {
        "image": [{"bytes": picture(first + n), "path": None} for n in range(rows)],
        text_column: [FORMULAS[(first + n) % len(FORMULAS)] for n in range(rows)],
    }
    if ids:
        columns["id"] = [f"row {first + n}" for n in range(rows)]
    write_parquet(path, columns)


def write_parquet(path: Path, columns: dict[str, list[object]], row_group_size: int = 2) -> None:
    features = {
        name: {"_type": "Image"} if name == "image" else {"dtype": "string", "_type": "Value"}
        for name in columns
    }
    table = pa.table(columns).replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=row_group_size)


def rows_of(
    numbers: range, text_column: str, number_of_picture: int = 0
) -> dict[str, list[object]]:
    """Pictures and formulas of their own for these numbers."""
    return {
        "image": [{"bytes": picture(number_of_picture + n), "path": None} for n in numbers],
        text_column: [formula(n) for n in numbers],
    }


def latex_formulas(root: Path, rows: int = 12) -> None:
    """The repository OleehyO/latex-formulas: two configurations, of which one has no pictures."""
    shards = 2
    for shard in range(shards):
        numbers = range(shard * rows // shards, (shard + 1) * rows // shards)
        columns = rows_of(numbers, "latex_formula")
        columns["latex_formula"] = [
            f"\\begin{{align*}}\n{latex}\n\\end{{align*}}" for latex in columns["latex_formula"]
        ]
        write_parquet(
            root / "cleaned_formulas" / f"train-{shard:05d}-of-{shards:05d}.parquet", columns
        )
    write_parquet(
        root / "raw_formulas" / "train-00000-of-00001.parquet", {"latex_formula": list(FORMULAS)}
    )
    (root / "README.md").write_text("---\nlicense: openrail\n---\n")


def linxy(root: Path, sizes: tuple[int, int, int] = (8, 2, 2)) -> None:
    """The repository linxy/LaTeX_OCR: a folder for each configuration."""
    for folder, first in (("human_handwrite", 0), ("full", 500), ("small", 700)):
        start = first
        for split, size in zip(("train", "validation", "test"), sizes, strict=True):
            columns = rows_of(range(start, start + size), "text")
            write_parquet(root / folder / f"{split}-00000-of-00001.parquet", columns)
            start += size
    write_parquet(
        root / "human_handwrite_print" / "train-00000-of-00001.parquet", rows_of(range(2), "text")
    )


def unsloth(root: Path, train: int = 8, test: int = 4) -> None:
    """The repository unsloth/LaTeX_OCR."""
    for split, numbers in (("train", range(train)), ("test", range(train, train + test))):
        write_parquet(root / "data" / f"{split}-00000-of-00001.parquet", rows_of(numbers, "text"))
    (root / "README.md").write_text("---\nlicense: apache-2.0\n---\n")


def inkml(reference: str, shift: int = 0) -> str:
    """CROHME's: channels, the writer, the truth as TeX and as MathML, traces, and their groups."""
    return (
        '<ink xmlns="http://www.w3.org/2003/InkML">'
        '<traceFormat><channel name="X" type="decimal"/><channel name="Y" type="decimal"/>'
        "</traceFormat>"
        '<annotation type="UI">2011_IVC_DEPT_F001_E001</annotation>'
        '<annotation type="writer">DEPT001</annotation>'
        f'<annotation type="truth">${reference}$</annotation>'
        '<annotationXML type="truth" encoding="Content-MathML">'
        '<math xmlns="http://www.w3.org/1998/Math/MathML"><mi xml:id="A">a</mi></math>'
        "</annotationXML>"
        f'<trace id="0">0 0, 50 {60 + shift}, 100 0</trace>'
        f'<trace id="1">120 0, 120 {90 + shift}</trace>'
        '<traceGroup xml:id="2"><annotation type="truth">Segmentation</annotation>'
        '<traceGroup xml:id="3"><annotation type="truth">a</annotation>'
        '<traceView traceDataRef="0"/><traceView traceDataRef="1"/>'
        '<annotationXML href="A"/></traceGroup></traceGroup></ink>'
    )


def crohme(folder: Path) -> None:
    """Training ink sorted by origin, the test ink with its truth and without."""
    for n, formula in enumerate(FORMULAS):
        part = "TestEM2014GT" if n % 3 == 2 else "TrainINKML/KAIST"
        path = folder / part / f"ink_{n}.inkml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(inkml(formula, n))
    without = inkml("", 2).replace('<annotation type="truth">$$</annotation>', "")
    path = folder / "TestEM2014" / "ink_2.inkml"
    path.parent.mkdir()
    path.write_text(without)
    (folder / "TrainINKML" / "broken.inkml").write_text("<ink><trace>1 2")


def mathwriting(root: Path) -> None:
    """`mathwriting-2024`: ids of 16 hexadecimal digits, points of x, y and time."""
    for place, (part, n) in enumerate(
        [("train", 0), ("train", 1), ("valid", 2), ("test", 3), ("synthetic", 4), ("symbols", 5)]
    ):
        label = f"{FORMULAS[n]} \\over q"
        annotations = {
            "sampleId": f"{place:016x}",
            "splitTagOriginal": part,
            "inkCreationMethod": "human",
            "label": label,
        }
        if part != "symbols":
            annotations["normalizedLabel"] = FORMULAS[n]
        text = "".join(f'<annotation type="{k}">{v}</annotation>' for k, v in annotations.items())
        path = root / part / f"{place:016x}.inkml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            f'<ink xmlns="http://www.w3.org/2003/InkML">{text}'
            f'<trace id="0">0 0 0.0,50 {60 + n} 10.0,100 0 20.0</trace></ink>'
        )
    (root / "symbols.jsonl").write_text("{}\n")


def hme100k(folder: Path, *, pickled: bool) -> None:
    """As recognisers trained on it have it: `caption.txt` in `train` and `test`."""
    for part, numbers in (("train", (0, 1, 2)), ("test", (3, 4))):
        place = folder / part
        place.mkdir(parents=True)
        lines = [f"{part}_{n}.jpg\t{FORMULAS[n]}" for n in numbers]
        (place / "caption.txt").write_bytes("\r\n".join([*lines, f"{part}_99.jpg\tq"]).encode())
        if pickled:
            arrays = {
                f"{part}_{n}.jpg": np.asarray(Image.open(io.BytesIO(picture(n))).convert("RGB"))[
                    ..., ::-1
                ]
                for n in numbers
            }
            (place / "images.pkl").write_bytes(pickle.dumps(arrays))
        else:
            (place / "images").mkdir()
            for n in numbers:
                (place / "images" / f"{part}_{n}.jpg").write_bytes(picture(n, form="JPEG"))


def hme100k_as_distributed(folder: Path, train: int = 3, test: int = 2, first: int = 0) -> None:
    """As its authors distribute it: `train_images/` beside `train_labels.txt`."""
    for part, numbers in (
        ("train", range(first, first + train)),
        ("test", range(first + train, first + train + test)),
    ):
        images = folder / f"{part}_images"
        images.mkdir(parents=True)
        lines = [f"{part}_{n}.jpg\t{formula(n)}\n" for n in numbers]
        (folder / f"{part}_labels.txt").write_text("".join(lines))
        for n in numbers:
            (images / f"{part}_{n}.jpg").write_bytes(picture(n, form="JPEG"))


def unimer(folder: Path) -> None:
    """UniMER-1M and UniMER-Test, unpacked into one folder; the last picture is missing."""
    for subset, pictures in (("train", "images"), ("spe", "spe"), ("sce", "sce")):
        (folder / pictures).mkdir(parents=True)
        (folder / f"{subset}.txt").write_text("\n".join(FORMULAS) + "\n")
        for n in range(len(FORMULAS) - 1):
            (folder / pictures / f"{n:07d}.png").write_bytes(picture(n))


def unimer_zip(root: Path, rows: int = 6) -> None:
    """The repository wanderkid/UniMER_Dataset: two zip files with a folder each."""
    root.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(root / "UniMER-Test.zip", "w") as archive:
        archive.writestr("__MACOSX/UniMER-Test/._spe.txt", b"\0")
        for place, subset in enumerate(("spe", "cpe", "sce", "hwe")):
            numbers = range(1000 * (place + 1), 1000 * (place + 1) + rows)
            archive.writestr(
                f"UniMER-Test/{subset}.txt", "\n".join(formula(n) for n in numbers) + "\n"
            )
            for line, n in enumerate(numbers):
                archive.writestr(f"UniMER-Test/{subset}/{line:07d}.png", picture(n))
    with zipfile.ZipFile(root / "UniMER-1M.zip", "w") as archive:
        archive.writestr("UniMER-1M/train.txt", "\n".join(FORMULAS) + "\n")
        for n in (0, 2, 3):
            archive.writestr(f"UniMER-1M/images/{n:07d}.png", picture(n))


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
