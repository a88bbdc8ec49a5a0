"""Mutated picture files through `read`: is every one recorded, within the memory it may take?

    python benchmarks/attacks/pictures.py [--count 10000] [--seed 0] [--out attacks.jsonl]
                                          [--backend onnx] [--max-new-tokens 8]

Files of every format and Pillow mode, made from the pictures of `texlens demo` and from halftones, noise,
dots, gradients, stripes and single pixels, in sizes from 1 x 1 to 60 million pixels, transparent,
animated, in CMYK, in 16 bits and in floating point. Two in three are damaged: bits flipped, cut short,
bytes removed or doubled, a header that claims another size, or another file's tail. The embedded model
reads them, in one process, a few tokens each: what is attacked is what happens to a picture before that.

A failure is an exception, a missing reading, a fault, or a hang. `peak_mb` is that of the process, with the
model and the libraries.
"""

from __future__ import annotations

import argparse
import io
import random
import struct
import sys
import tempfile
import zlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib import resources
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from ledger import HANG_SECONDS, Hang, attack, peak_mb, watched
from PIL import Image

from texlens.reading import Reader
from texlens.reading.sources import Item

BLOCK = 100
MOST_MB = 700
# Each format with modes that Pillow writes in it.
MODES = {
    "PNG": ("1", "L", "LA", "I;16", "I", "P", "PA", "RGB", "RGBA"),
    "JPEG": ("L", "RGB", "CMYK"),
    "WEBP": ("RGB", "RGBA"),
    "TIFF": ("1", "L", "LA", "I;16", "I", "F", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB"),
    "BMP": ("1", "L", "P", "RGB", "RGBA"),
    "GIF": ("1", "L", "P", "RGB", "RGBA"),
}
SIDES = (1, 1, 2, 3, 7, 40, 120, 300, 300, 700, 1500)


def demo_pictures() -> list[Image.Image]:
    """The pictures of `texlens demo`, in RGB."""
    folder = resources.files("texlens") / "demo"
    files = sorted((f for f in folder.iterdir() if f.name[:2].isdigit()), key=lambda f: f.name)
    return [Image.open(io.BytesIO(file.read_bytes())).convert("RGB") for file in files]


def pattern(rng: random.Random) -> Image.Image:
    """Something that is no formula, in any size."""
    width, height = rng.choice(SIDES), rng.choice(SIDES)
    if rng.random() < 0.01:
        width, height = rng.choice(
            ((3000, 2000), (6000, 4000), (7800, 7800), (60_000, 1), (1, 60_000))
        )
    rows, columns = np.ogrid[:height, :width]
    period, dot = rng.choice((2, 3, 5, 9)), rng.choice((1, 2, 3))
    kind = rng.choice(("dots", "noise", "stripes", "gradient", "plain", "halftone"))
    if kind == "dots":
        values = np.where((rows % period < dot) & (columns % period < dot), 0, 255)
    elif kind == "stripes":
        values = np.where((rows * rng.choice((0, 1)) + columns) % period < dot, 0, 255)
    elif kind == "gradient":
        values = (rows * 255 // height + columns * 255 // width) // 2
    elif kind == "plain":
        values = np.full((height, width), rng.choice((0, 1, 127, 254, 255)))
    else:
        noise = np.random.default_rng(rng.getrandbits(32)).integers(
            0, 256, (height, width), np.uint8
        )
        values = noise if kind == "noise" else np.where(noise < columns * 255 // width, 0, 255)
    return Image.fromarray(np.broadcast_to(values, (height, width)).astype(np.uint8)).convert("RGB")


def in_mode(image: Image.Image, mode: str, rng: random.Random) -> Image.Image:
    """The picture in a mode, with odd values and transparency where there can be."""
    if mode in ("I;16", "I", "F"):
        grey = np.asarray(image.convert("L"))
        if mode == "I;16":
            return Image.fromarray(grey.astype(np.uint16) * rng.choice((1, 257)))
        if mode == "I":
            return Image.fromarray(grey.astype(np.int32) * rng.choice((1, 257, 8_000_000)) - 5)
        values = grey.astype(np.float32) / rng.choice((1, 255))
        values.flat[:: rng.choice((1, 7, 10**6))] = rng.choice((np.nan, np.inf, -np.inf, 1e30, 0.5))
        return Image.fromarray(values)
    if mode in ("PA", "LAB"):  # Pillow converts to these from one mode only
        return (
            image.convert("P").convert("PA") if mode == "PA" else Image.new("LAB", image.size, 90)
        )
    converted = image.convert(mode)
    if mode in ("LA", "RGBA"):
        converted.putalpha(Image.eval(image.convert("L"), lambda value: 255 - value))
    return converted


def encoded(image: Image.Image, rng: random.Random) -> bytes:
    """A file of the picture, in any format and mode."""
    form = rng.choice(list(MODES))
    made = in_mode(image, rng.choice(MODES[form]), rng)
    options: dict[str, Any] = {}
    if form in ("GIF", "WEBP", "TIFF", "PNG") and rng.random() < 0.1:
        options = {"save_all": True, "append_images": [made] * rng.choice((1, 5))}
    if form == "TIFF" and made.mode in ("1", "L", "RGB"):
        options["compression"] = rng.choice(("raw", "tiff_lzw", "packbits", "tiff_adobe_deflate"))
    if rng.random() < 0.2:
        exif = Image.Exif()
        exif[0x0112] = rng.randint(0, 9)  # which way is up
        options["exif"] = exif.tobytes()
    stream = io.BytesIO()
    try:
        made.save(stream, form, **options)
    except (
        OSError,
        ValueError,
        KeyError,
        RuntimeError,
    ):  # a combination that Pillow does not write
        stream = io.BytesIO()
        image.save(stream, "PNG")
    return stream.getvalue()


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The file after one kind of damage."""
    data, size = bytearray(content), len(content)
    match rng.randrange(6):
        case 0:
            for _ in range(rng.choice((1, 3, 30))):
                data[rng.randrange(size)] ^= 1 << rng.randrange(8)
        case 1:  # near the beginning, where sizes and offsets are
            for _ in range(rng.choice((1, 2, 5))):
                data[rng.randrange(min(size, 60))] = rng.choice((0, 1, 127, 255))
        case 2:
            del data[rng.randrange(size) :]
        case 3:
            first = rng.randrange(size)
            del data[first : first + rng.choice((1, 4, 1000))]
        case 4:
            first = rng.randrange(size)
            data[first:first] = data[: rng.choice((1, 4, 1000))]
        case _:
            return claiming(data, rng)
    return bytes(data)


def claiming(data: bytearray, rng: random.Random) -> bytes:
    """The file with a header that claims an absurd size; the checksum of a PNG's is right."""
    width, height = (rng.choice((0, 1, 7999, 65535, 2**31 - 1)) for _ in range(2))
    if data.startswith(b"\x89PNG") and len(data) > 33:
        data[16:24] = struct.pack(">II", width, height)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    elif data.startswith(b"GIF"):
        data[6:10] = struct.pack("<HH", width & 0xFFFF, height & 0xFFFF)
    elif data.startswith(b"BM"):
        data[18:26] = struct.pack("<ii", width, rng.choice((1, -1)) * height)
    elif (frame := data.find(b"\xff\xc0")) > 0:
        data[frame + 5 : frame + 9] = struct.pack(">HH", height & 0xFFFF, width & 0xFFFF)
    return bytes(data)


def picture(number: int, seed: int, originals: Sequence[Image.Image]) -> bytes:
    """The file of this number."""
    rng = random.Random(f"{seed} {number}")
    image = rng.choice(originals) if rng.random() < 0.5 else pattern(rng)
    content = encoded(image, rng)
    return damaged(content, rng) if rng.random() < 2 / 3 else content


def write_pictures(numbers: Sequence[int], seed: int, folder: Path) -> list[Path]:
    """Write these files: in a process of its own, since making them takes memory, too."""
    originals = demo_pictures()
    files = [folder / str(number) for number in numbers]
    for number, file in zip(numbers, files, strict=True):
        file.write_bytes(picture(number, seed, originals))
    return files


def attack_block(numbers: Sequence[int], seed: int, reader: Reader) -> dict[str, Any]:
    """These pictures through the reader."""
    counts = {"lost": 0, "tracebacks": 0, "hangs": 0, "faults": 0, "refused": 0}
    failures: list[str] = []
    readings = []
    try:
        with tempfile.TemporaryDirectory() as folder, watched(3 * HANG_SECONDS):
            with ProcessPoolExecutor(1, get_context("spawn")) as maker:
                files = maker.submit(write_pictures, numbers, seed, Path(folder)).result()
            items = (Item(file.name, file) for file in files)
            for reading in reader.read_many(items):
                readings.append(reading)
    except Hang:
        counts["hangs"] += 1
        failures.append(f"hangs after {len(readings)} of {numbers}")
    except Exception as error:
        counts["tracebacks"] += 1
        failures.append(f"{type(error).__name__}: {error} after {len(readings)} of {numbers}")
    for reading in readings:
        counts["refused"] += reading.error is not None
        if "fault" in reading.warnings:
            counts["faults"] += 1
            failures.append(f"{reading.error}")
    expected = [str(number) for number in numbers]
    counts["lost"] += sum(name not in {reading.path for reading in readings} for name in expected)
    return {**counts, "failures": failures, "peak_mb": peak_mb()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("attacks.jsonl"))
    parser.add_argument("--backend", choices=("auto", "torch", "onnx"), default="onnx")
    parser.add_argument("--max-new-tokens", type=int, default=8)
    arguments = parser.parse_args()
    reader = Reader(
        backend=arguments.backend,
        max_new_tokens=arguments.max_new_tokens,
        reread=False,
        batch_size=8,
    )
    name = f"pictures, seed {arguments.seed}, {arguments.backend}"
    block = partial(attack_block, seed=arguments.seed, reader=reader)
    sums = attack(name, arguments.count, BLOCK, block, arguments.out)
    sys.exit(1 if sums["failures"] or sums["peak_mb"] > MOST_MB else 0)


if __name__ == "__main__":
    main()
