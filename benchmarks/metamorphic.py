"""Does `layout` say 1 exactly when the picture stays the same? Prints a table by rewrite rule.

    python benchmarks/metamorphic.py [--n 1000] [--seed 0] [--rule NAME] [--no-cdm]

Rewrites the first N formulas of im2latex_train, and a few of our own that have what those lack, by
every rule of `rewrites`: half of the rules keep the picture, half change it. A metric is right on a pair if it gives 1 where the picture was kept and
less than 1 where it was changed. Without ../shared only our own are used. Rewrites that
cannot be drawn are counted apart. The claim: `layout` is right on at least 98 % of the pairs.
"""

from __future__ import annotations

import argparse
import platform
import time
from pathlib import Path
from random import Random

from rewrites import OWN_FORMULAS, RULES, Rule
from texlens.engine import Failure
from texlens.latex import normalize, tokenize
from texlens.metrics.base import Drawings, Metric, Pair
from texlens.metrics.cache import DrawingStore
from texlens.metrics.layout.metric import formula
from texlens.metrics.registry import build_metrics

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "im2latex_train.parquet"


def formulas(n: int) -> tuple[str, list[str]]:
    """Where the formulas come from, and the first `n` of them, with a few of our own, normalised."""
    own = [normalize(text) for text in OWN_FORMULAS]
    if not SHARED.exists():
        return "our own", own
    from pyarrow import parquet

    rows = parquet.read_table(SHARED, columns=["latex_formula"])["latex_formula"].to_pylist()
    return f"{n} of im2latex_train, {len(own)} our own", [normalize(t) for t in rows[:n]] + own


def rewritten(rule: Rule, texts: list[str], seed: int, store: Drawings) -> tuple[list[Pair], int]:
    """The pairs that one rule gives, and how many of its rewrites could not be drawn."""
    rng = Random(f"{seed} {rule.name}")
    pairs = []
    for text in texts:
        new = rule.apply(tokenize(text), rng)
        if new is not None:
            pairs.append(Pair(text[:40], text, new, text, new, (), ()))
    drawn = store.draw([formula(pair.pred) for pair in pairs])
    kept = [pair for pair, d in zip(pairs, drawn, strict=True) if not isinstance(d, Failure)]
    return kept, len(pairs) - len(kept)


def values(metric: Metric, pairs: list[Pair], store: Drawings) -> list[float]:
    key = metric.keys[0]
    scored = [item.values[key] for item in metric.score_items(pairs, store)]
    return [value for value in scored if value is not None]


def right(rule: Rule, scores: list[float]) -> int:
    return sum((score == 1) == rule.keeps for score in scores)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=1000, help="number of formulas")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rule", help="only the rules whose name contains this; shows mistakes")
    parser.add_argument("--no-cdm", action="store_true")
    arguments = parser.parse_args()

    metrics = build_metrics(["layout"] if arguments.no_cdm else ["layout", "cdm"])
    metrics.sort(key=lambda metric: metric.keys[0] != "layout")
    source, texts = formulas(arguments.n)
    rules = sorted(RULES, key=lambda rule: (not rule.keeps, rule.name))
    rules = [rule for rule in rules if (arguments.rule or "") in rule.name]
    print(f"{platform.machine()}, Python {platform.python_version()}")
    print(f"{len(texts)} formulas ({source}), seed {arguments.seed}, ", end="")
    print(f"{sum(r.keeps for r in rules)} rules keep, {sum(not r.keeps for r in rules)} change\n")
    header = "".join(f"{metric.keys[0]:>12}{'mean':>8}" for metric in metrics)
    print(f"{'rule':<36}{'picture':<9}{'pairs':>6}{'undrawn':>8}{header}")

    start = time.perf_counter()
    totals = {metric.keys[0]: [0, 0] for metric in metrics}
    for rule in rules:
        store = DrawingStore(on_disk=False)
        pairs, undrawn = rewritten(rule, texts, arguments.seed, store)
        row = f"{rule.name:<36}{'kept' if rule.keeps else 'changed':<9}{len(pairs):>6}{undrawn:>8}"
        for metric in metrics:
            scores = values(metric, pairs, store)
            good = right(rule, scores)
            totals[metric.keys[0]][0] += good
            totals[metric.keys[0]][1] += len(scores)
            share = f"{100 * good / len(scores):.1f} %" if scores else "-"
            mean = f"{sum(scores) / len(scores):.3f}" if scores else "-"
            row += f"{share:>12}{mean:>8}"
        print(row, flush=True)
        if arguments.rule:
            for pair, score in zip(pairs, values(metrics[0], pairs, store), strict=False):
                if (score == 1) != rule.keeps:
                    print(f"    {score:.3f}  {pair.gt}\n           {pair.pred}")
    print(f"\n{time.perf_counter() - start:.0f} s")
    for key, (good, n) in totals.items():
        print(f"{key}: right on {good} of {n} pairs, {100 * good / max(n, 1):.2f} %")


if __name__ == "__main__":
    main()
