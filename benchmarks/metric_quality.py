"""Does `layout` agree with people? Probes labelled by eye, and ratings by three people a pair.

    python benchmarks/metric_quality.py [--repeats 20] [--seed 0] [--mistakes]

Probes (cdm_probes.jsonl): a metric is right if it gives 1 to `same` and less than 1, or no value, to
`diff`. Ratings (human_ratings.jsonl): correlation with the mean of three ratings. Three figures for
`layout`: as shipped; cross-validated, that is with costs and scale chosen on four fifths of the pairs
and judged on the fifth left out, repeated over random splits; and the 95 % interval of both from
bootstrap over pairs. For comparison the CDM given with the ratings, by the official code, normalised token edit
distance, and one rater against the mean of the other two.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr

from texlens.engine import Drawing
from texlens.metrics.base import Pair
from texlens.metrics.cache import DrawingStore
from texlens.metrics.layout.alignment import Aligner, Costs
from texlens.metrics.layout.metric import Layout, formula
from texlens.metrics.layout.sequence import reading_sequence
from texlens.metrics.registry import build_metrics

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
FOLDS = 5
RESAMPLES = 1000
Floats = NDArray[np.float64]

# What the cross-validation chooses from: 3 x 3 x 3 x 3 costs, 3 x 3 scales.
GRID = {
    "lookalike": (25, 50, 100),
    "accent": (50, 75, 100),
    "style": (5, 15, 30),
    "repeated": (0, 25, 100),
}
SEVERITY = (0.3, 0.5, 0.8)
RELIEF = (0.0, 0.3, 0.6)


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SHARED / name).read_text("utf-8").splitlines()]


def scores(key: str, pairs: list[Pair], store: DrawingStore) -> list[float | None]:
    """One value a pair; a distance d as 1 - d."""
    (metric,) = build_metrics([key])
    values = [item.values[key] for item in metric.score_items(pairs, store)]
    if metric.lower_is_better:
        return [None if value is None else 1 - value for value in values]
    return values


def agreement(one: Floats, two: Floats) -> Floats:
    """Pearson and Spearman correlation."""
    return np.array([pearsonr(one, two)[0], spearmanr(one, two)[0]])


@dataclass
class Candidate:
    """One choice of costs and scale, with its scores of all rated pairs."""

    name: str
    scores: Floats


def candidates(pairs: list[Pair], store: DrawingStore) -> list[Candidate]:
    """The scores of every choice in the grid."""
    sequences = []
    for pair in pairs:
        drawn = store.draw([formula(pair.gt), formula(pair.pred)])
        assert all(isinstance(d, Drawing) for d in drawn), f"cannot draw {pair.id}"
        sequences.append([reading_sequence(d) for d in drawn if isinstance(d, Drawing)])
    found = []
    for values in itertools.product(*GRID.values()):
        chosen = dict(zip(GRID, values, strict=True))
        aligner = Aligner(Costs(**chosen))
        errors = [aligner.compare(a, b) for a, b in sequences]
        for severity, relief in itertools.product(SEVERITY, RELIEF):
            layout = Layout(Costs(**chosen), severity, relief)
            name = f"{chosen | {'severity': severity, 'relief': relief}}"
            values_of = [layout.value(e, a, b) for e, (a, b) in zip(errors, sequences, strict=True)]
            found.append(Candidate(name, np.array(values_of)))
    return found


def cross_validated(
    choices: list[Candidate], ratings: Floats, repeats: int, seed: int
) -> tuple[Floats, Floats]:
    """Scores judged out of fold, shape (repeats, pairs), and their agreement, shape (repeats, 2)."""
    rng = np.random.default_rng(seed)
    outside = np.empty((repeats, len(ratings)))
    for repeat in range(repeats):
        folds = np.array_split(rng.permutation(len(ratings)), FOLDS)
        for fold in folds:
            rest = np.setdiff1d(np.arange(len(ratings)), fold)
            fit = [agreement(c.scores[rest], ratings[rest]).sum() for c in choices]
            outside[repeat, fold] = choices[int(np.argmax(fit))].scores[fold]
    return outside, np.array([agreement(row, ratings) for row in outside])


def interval(judged: Floats, ratings: Floats, seed: int) -> Floats:
    """95 % bootstrap interval of Pearson and Spearman, shape (2 quantiles, 2)."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(ratings), (RESAMPLES, len(ratings)))
    return np.quantile([agreement(judged[i], ratings[i]) for i in drawn], (0.025, 0.975), axis=0)


def show(name: str, judged: Floats, ratings: Floats, seed: int, mean: Floats | None = None) -> None:
    value = agreement(judged, ratings) if mean is None else mean
    low, high = interval(judged, ratings, seed)
    pearson, spearman = (
        f"{v:.3f} [{a:.3f}, {b:.3f}]" for v, a, b in zip(value, low, high, strict=True)
    )
    print(f"{name:<44}{pearson:>24}{spearman:>24}")


def probes(keys: list[str], store: DrawingStore, mistakes: bool) -> None:
    labelled = rows("cdm_probes.jsonl")
    pairs = [Pair.of(row["gt"], row["pred"], id=row["id"]) for row in labelled]
    judged = {key: scores(key, pairs, store) for key in keys}
    judged["cdm, official code"] = [row["official_f1"] for row in labelled]
    print(f"\n{len(labelled)} probes labelled by eye: right on")
    for name, given in judged.items():
        wrong = [
            row["kind"]
            for row, score in zip(labelled, given, strict=True)
            if (score == 1) != (row["expect"] == "same")
        ]
        share = 1 - len(wrong) / len(labelled)
        print(f"{name:<44}{100 * share:>8.1f} %")
        if mistakes and name == "layout":
            print(f"    wrong: {', '.join(wrong)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20, help="random splits into five folds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mistakes", action="store_true", help="name the probes judged wrongly")
    arguments = parser.parse_args()
    if not SHARED.exists():
        raise SystemExit("The labelled data in ../shared/data is not here: nothing to measure.")

    store = DrawingStore(on_disk=False)
    print(f"{platform.machine()}, Python {platform.python_version()}, seed {arguments.seed}")
    probes(["layout", "cdm"], store, arguments.mistakes)

    rated = rows("human_ratings.jsonl")
    pairs = [Pair.of(row["gt"], row["pred"], id=row["id"]) for row in rated]
    raters = np.array([row["human_scores"] for row in rated], float)
    ratings = raters.mean(axis=1)
    print(f"\n{len(rated)} rated pairs, {RESAMPLES} resamples{'Pearson':>24}{'Spearman':>24}")
    shipped = np.array([score or 0.0 for score in scores("layout", pairs, store)])
    show("layout, as shipped", shipped, ratings, arguments.seed)
    choices = candidates(pairs, store)
    outside, found = cross_validated(choices, ratings, arguments.repeats, arguments.seed)
    label = f"layout, cross-validated ({len(choices)} choices)"
    show(label, outside[0], ratings, arguments.seed, found.mean(axis=0))
    print(f"    over {arguments.repeats} splits: sd {found.std(axis=0).round(4)}")
    for key in ("cdm", "edit_tokens"):
        given = np.array([score or 0.0 for score in scores(key, pairs, store)])
        show(key, given, ratings, arguments.seed)
    official = np.array([row["official_cdm_published"] for row in rated])
    show("cdm, official code, given with the ratings", official, ratings, arguments.seed)
    ceiling = [agreement(raters[:, i], np.delete(raters, i, axis=1).mean(axis=1)) for i in range(3)]
    pearson, spearman = np.mean(ceiling, axis=0)
    print(f"{'one rater against the mean of two others':<44}{pearson:>8.3f}{spearman:>24.3f}")


if __name__ == "__main__":
    main()
