r"""Write the formula lists of a pretraining run: normal form, one spelling of words, dev kept out.

    python tools/pretrain/formula_lists.py FORMULAS/ STACKS.tsv.xz IM2LATEX.parquet OUT/

FORMULAS/ holds `*.txt.xz` with one formula a line, STACKS is a `.tsv.xz` whose last column is LaTeX, of
IM2LATEX the first 6,500 rows are taken. OUT/tokenizer knows the tokens of all of them, of our grammar,
and `\ce`, which a later run needs: a run that finds it in its folder takes it.
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
from random import Random

from pyarrow import parquet

from texlens.data.formulas.grammar import generate
from texlens.engine import get_engine
from texlens.latex import normalize
from texlens.model.prompt_config import PromptConfig
from texlens.model.tokenizer import build_tokenizer

MAX_TOKENS = 300
_TEXT = re.compile(r"\\(?:text|textrm|textnormal|mbox|operatorname) ?\{ ?([A-Za-z ]+?) ?\}")


def spelled(formula: str) -> str:
    r"""Upright words as im2latex spells them: `\text {for all}` is `\mathrm { f o r ~ a l l }`."""
    return _TEXT.sub(lambda m: r"\mathrm{" + "~".join(m[1].split()) + "}", formula)


def main() -> None:
    formulas, stacks, im2latex, out = (Path(argument) for argument in sys.argv[1:5])
    out.mkdir(parents=True, exist_ok=True)
    rows = parquet.read_table(im2latex, columns=["latex_formula"])["latex_formula"].to_pylist()
    known = [normalize(row) for row in rows[:6500]]
    (out / "im2latex_train.txt").write_text("\n".join(known) + "\n", encoding="utf-8")
    known *= 3
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
        known += train
        print(f"{name}: {len(lines)} lines, {len(train)} kept, {len(dev)} held out", flush=True)
    random = Random(0)
    known += [generate(random, tokens=40, depth=3) for _ in range(20_000)]
    known += [r"\ce { H _ { 2 } O -> } \pu { m } \boxed { 7 } \$ \% \degree"] * 50
    prompt = PromptConfig()
    tokenizer = build_tokenizer(
        known, phrases=(prompt.system, prompt.instruction), size=1536, min_count=8
    )
    tokenizer.save_pretrained(out / "tokenizer")


if __name__ == "__main__":
    main()
