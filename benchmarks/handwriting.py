"""Pictures of composed handwriting per second of processor time.

    python benchmarks/handwriting.py FORMULAS.txt [--ink TrainINKML --captions FILE] [--pictures 3000]

FORMULAS.txt holds one formula a line, which are sampled with their symbols renamed. Processor time is
that of the process and of the engine below it, the compression of shards included, so that a busy machine
gives nearly the same numbers. What comes once (reading the ink or the strokes) is printed apart.
"""

from __future__ import annotations

import argparse
import bz2
import hashlib
from pathlib import Path

import cv2
import numpy as np

from renderers import processor_seconds
from texlens.data.corpora.crohme import Crohme
from texlens.data.formulas.sources import FormulaSource
from texlens.data.pictures.hands.open_hands import read_hands
from texlens.data.pictures.hands.shards import ComposedShards
from texlens.data.pictures.printed import PrintedShards
from texlens.data.pictures.renderers import FormulaPicture
from texlens.data.pictures.shards import pack

PER_SHARD = 1000
HANDS = Path(__file__).parents[1] / "data" / "hand_glyphs" / "hands.txt"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("formulas", type=Path)
    parser.add_argument("--ink", type=Path)
    parser.add_argument("--captions", type=Path)
    parser.add_argument("--pictures", type=int, default=3000)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    source = FormulaSource.parse(f"varied:1:{options.formulas}")
    printed = PrintedShards((source,), PER_SHARD, 0, 0, 16, 220, None)
    start = processor_seconds()
    if options.ink:
        inks = list(Crohme(options.ink, captions=options.captions).inks())
        make = ComposedShards(printed, inks).open()
    else:
        make = ComposedShards(printed, hands=read_hands(HANDS)).open()
    once = processor_seconds() - start
    make(0)  # loads MathJax
    start, pictures, digest = processor_seconds(), 0, hashlib.sha256()
    for number in range(1, 1 + options.pictures // PER_SHARD):
        some = [one.grey.ravel() for one in make(number) if isinstance(one, FormulaPicture)]
        packed = pack(np.concatenate(some)).tobytes()
        bz2.compress(packed)  # as a shard is
        digest.update(packed)
        pictures += len(some)
    seconds = processor_seconds() - start
    print(f"{pictures / seconds:.0f} pictures/s of processor time, {pictures} pictures")
    print(f"once {once:.1f} s; SHA-256 of all pixels {digest.hexdigest()[:16]}")


if __name__ == "__main__":
    main()
