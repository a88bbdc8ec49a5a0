r"""LaTeX through tokens, check, normal form, `cdm`, `layout` and export: does anything break?

    python benchmarks/attacks/formulas.py [--count 20000] [--seed 0] [--out attacks.jsonl]
    python benchmarks/attacks/formulas.py --lists FOLDER [--part 1/16] [--out attacks.jsonl]

Without lists every string is a formula of benchmarks/formulas.txt after one to eight mutations: tokens deleted,
doubled, swapped or taken from another formula, braces lost or added, nesting up to 3,000 deep, control
characters, NULs, lone surrogates, foreign scripts, and up to 100,000 characters. It is checked,
normalised, scored against the formula it came from (and that against it) and exported.

With a folder of lists (`.txt.xz`, one formula a line) it is every formula of these as it stands, scored
against the next one. `--part 1/16` takes the first sixteenth, so that many processes share the work.

A failure is an exception other than InputError, a metric's fault, a missing result or a hang.
"""

from __future__ import annotations

import argparse
import lzma
import random
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ledger import Hang, attack, peak_mb, watched

from texlens.errors import InputError
from texlens.export import FORMATS
from texlens.export.word import WordDocument
from texlens.latex import check, normalize, tokenize
from texlens.metrics.batches import ScoringConfig, score_batches
from texlens.records import Prediction

FORMULAS = (Path(__file__).resolve().parents[1] / "formulas.txt").read_text("utf-8").splitlines()
BLOCK = 100
_ODD = (
    "\x00", "\x01", "\x1b[31m", "\x7f", "\u2028", "\ufeff", "\ud800", "\U0001d54f", "é", "漢", "ع",
    "\u0301", "\u200d", "\r", "\t", "%", "&", "#", "~", "$", "$$", "\\", "\\\\", "^", "_", "^^M", "''",
)  # fmt: skip
_COMMANDS = (
    r"\frac", r"\left(", r"\right.", r"\begin{array}{cc}", r"\end{matrix}", r"\sqrt[", r"\def\a{\a\a}",
    r"\a", r"\color{red}", r"\kern-99em", r"\rule{9999em}{1em}", r"\hspace{1e9pt}", r"\ce{", r"\text{$",
    r"\over", r"\limits", r"\verb|", r"\newcommand{\x}[9]{#9}", r"\genfrac", r"\operatorname", r"\tag{1}",
    r"\multicolumn{99999}{c}{x}", r"\mathchoice{}{}{}", r"\phantom", r"\href{x}{", r"\\[9999em]", r"\hline",
)  # fmt: skip
_NESTS = (
    (r"\frac{1}{", "}"), (r"\sqrt{", "}"), ("{", "}"), ("x^{", "}"), (r"\left(", r"\right)"),
    (r"\begin{matrix}", r"\end{matrix}"), (r"\text{$", "$}"), (r"\hat{", "}"), (r"\ce{", "}"),
)  # fmt: skip


def mutated(formula: str, rng: random.Random) -> str:
    """A formula after one to eight mutations."""
    tokens = tokenize(formula)
    for _ in range(rng.randint(1, 8)):
        tokens = rng.choice(_MUTATIONS)(tokens, rng)
    text = rng.choice(("", " ")).join(tokens)
    if rng.random() < 0.02:
        opening, closing = rng.choice(_NESTS)
        depth = rng.choice((20, 99, 300, 3000))
        text = opening * depth + text + closing * rng.choice((depth, depth, depth - 1, 0))
    if rng.random() < 0.01:
        text *= min(rng.choice((20, 200, 2000)), 100_000 // max(1, len(text)) + 1)
    return text


def _delete(tokens: list[str], rng: random.Random) -> list[str]:
    at = rng.randrange(len(tokens) + 1)
    return tokens[:at] + tokens[at + rng.randint(1, 3) :]


def _double(tokens: list[str], rng: random.Random) -> list[str]:
    first, last = sorted((rng.randrange(len(tokens) + 1), rng.randrange(len(tokens) + 1)))
    return tokens[:last] + tokens[first:]


def _swap(tokens: list[str], rng: random.Random) -> list[str]:
    if not tokens:
        return tokens
    swapped, one, other = list(tokens), rng.randrange(len(tokens)), rng.randrange(len(tokens))
    swapped[one], swapped[other] = swapped[other], swapped[one]
    return swapped


def _insert(tokens: list[str], rng: random.Random) -> list[str]:
    at = rng.randrange(len(tokens) + 1)
    new = rng.choice((_ODD, _COMMANDS, ("{", "}", "{", "}")))
    return [*tokens[:at], rng.choice(new), *tokens[at:]]


def _splice(tokens: list[str], rng: random.Random) -> list[str]:
    other = tokenize(rng.choice(FORMULAS))
    return tokens[: rng.randrange(len(tokens) + 1)] + other[rng.randrange(len(other)) :]


_MUTATIONS = (_delete, _double, _swap, _insert, _insert, _splice)


def mutated_pair(number: int, seed: int) -> tuple[str, str]:
    """The formula and its mutation of this number."""
    rng = random.Random(f"{seed} {number}")
    formula = rng.choice(FORMULAS)
    return formula, mutated(formula, rng)


def neighbours(folder: Path, part: str) -> list[tuple[str, str]]:
    """Every formula of the folder's lists, or of a part of them, after the one that follows it."""
    formulas = [
        formula
        for path in sorted(folder.glob("*.txt.xz"))
        for formula in lzma.decompress(path.read_bytes()).decode().removesuffix("\n").split("\n")
    ]
    which, parts = (int(number) for number in part.split("/"))
    first, last = (len(formulas) * k // parts for k in (which - 1, which))
    return [(formulas[(i + 1) % len(formulas)], formulas[i]) for i in range(first, last)]


def attack_block(numbers: Sequence[int], pair: Callable[[int], tuple[str, str]]) -> dict[str, Any]:
    """Everything that TexLens does with formulas, done to the second of each of these pairs."""
    pairs = [pair(number) for number in numbers]
    texts = [text for _, text in pairs]
    counts = {"lost": 0, "tracebacks": 0, "hangs": 0, "faults": 0, "refused": 0}
    failures: list[str] = []

    def tried(what: str, job: Callable[[], Any], where: str) -> Any:
        try:
            with watched():
                return job()
        except InputError:
            counts["refused"] += 1
        except Hang:
            counts["hangs"] += 1
            failures.append(f"{what} hangs: {where}")
        except Exception as error:
            counts["tracebacks"] += 1
            failures.append(f"{what}: {type(error).__name__}: {error} {where}")
        return None

    def each(what: str, job: Callable[[Sequence[Any]], Sequence[Any]], items: Sequence[Any]) -> Any:
        """A job over a whole block; where it fails, over each item, to name the guilty."""
        try:
            with watched():
                results = job(items)
        except (Exception, Hang):
            for item in items:
                tried(what, lambda item=item: job([item]), repr(item)[:300])
            counts["lost"] += len(items)
            return None
        counts["lost"] += len(items) - len(results)
        return results

    for text in texts:
        tried("tokens", lambda text=text: tokenize(text), repr(text)[:300])
        tried("normalize", lambda text=text: normalize(text), repr(text)[:300])
    each("check", check, texts)
    predictions = [
        Prediction(str(number), *(reversed(both) if number % 2 else both))
        for number, both in zip(numbers, pairs, strict=True)
    ]
    config = ScoringConfig(("cdm", "layout"), cache=False)
    results = each("score", lambda some: list(score_batches(some, config)), predictions)
    for prediction, result in zip(predictions, results or [], strict=bool(results)):
        if result.faults:
            counts["faults"] += 1
            failures.append(f"{result.warnings} {prediction.gt!r} {prediction.pred!r}")
    word = WordDocument()
    for number, text in zip(numbers, texts, strict=True):
        name = list(FORMATS)[number % len(FORMATS)]
        tried(name, lambda text=text, name=name: FORMATS[name].write(text), repr(text)[:300])
        tried("docx", lambda text=text: word.add_formula(text), repr(text)[:300])
    tried("docx", word.content, f"{numbers[0]} and after")
    return {**counts, "failures": failures, "peak_mb": peak_mb()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lists", type=Path)
    parser.add_argument("--part", default="1/1")
    parser.add_argument("--out", type=Path, default=Path("attacks.jsonl"))
    arguments = parser.parse_args()
    if arguments.lists:
        pairs = neighbours(arguments.lists, arguments.part)
        name, count = f"lists, part {arguments.part}", len(pairs)
        block = partial(attack_block, pair=pairs.__getitem__)
    else:
        name, count = f"formulas, seed {arguments.seed}", arguments.count
        block = partial(attack_block, pair=partial(mutated_pair, seed=arguments.seed))
    sums = attack(name, count, BLOCK, block, arguments.out)
    sys.exit(1 if sums["failures"] else 0)


if __name__ == "__main__":
    main()
