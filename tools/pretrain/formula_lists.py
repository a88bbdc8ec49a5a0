r"""Write the formula lists of a pretraining run: normal form, one spelling of words, dev kept out.

    python tools/pretrain/formula_lists.py FORMULAS/ STACKS.tsv.xz OUT/

FORMULAS/ holds `*.txt.xz` with one formula a line, STACKS is a `.tsv.xz` whose last column is LaTeX.
Writes `NAME.txt` for training and `NAME.dev.txt` for a hash's hundredth part, which no training run
may use. What KaTeX refuses, what has more than 300 tokens or a character that TeX's fonts lack
(Chinese words), and chemistry is left out, and counted.
"""

from __future__ import annotations

import lzma
import re
import sys
import zlib
from pathlib import Path

from texlens.engine import get_engine
from texlens.latex import normalize

MAX_TOKENS = 300
_TEXT = re.compile(r"\\(?:text|textrm|textnormal|mbox|operatorname) ?\{ ?([A-Za-z ]+?) ?\}")


def spelled(formula: str) -> str:
    r"""Upright words as im2latex spells them: `\text {for all}` is `\mathrm { f o r ~ a l l }`."""
    return _TEXT.sub(lambda m: r"\mathrm{" + "~".join(m[1].split()) + "}", formula)


def main() -> None:
    formulas, stacks, out = (Path(argument) for argument in sys.argv[1:4])
    out.mkdir(parents=True, exist_ok=True)
    engine = get_engine()
    for path in [*sorted(formulas.glob("*.txt.xz")), stacks]:
        name = path.name.split(".")[0]
        if name.startswith("chemistry"):
            continue
        with lzma.open(path, "rt", encoding="utf-8") as file:
            lines = [line.rstrip("\n").rpartition("\t")[2] for line in file]
        kept: dict[str, None] = {}
        for formula in lines:
            if formula.isascii():
                text = normalize(spelled(formula))
                if 0 < len(text.split()) <= MAX_TOKENS and text.isascii() and "\n" not in text:
                    kept[text] = None
        valid = [
            text
            for text, failure in zip(kept, engine.parse(list(kept)), strict=True)
            if failure is None
        ]
        dev = [text for text in valid if zlib.crc32(text.encode()) % 100 == 0]
        held_out = set(dev)
        train = [text for text in valid if text not in held_out]
        (out / f"{name}.txt").write_text("\n".join(train) + "\n", encoding="utf-8")
        (out / f"{name}.dev.txt").write_text("\n".join(dev) + "\n", encoding="utf-8")
        print(f"{name}: {len(lines)} lines, {len(train)} kept, {len(dev)} held out", flush=True)


if __name__ == "__main__":
    main()
