"""The reward `picture`: fitted on some rows, judged on others. Does it know right answers from wrong ones?

    python benchmarks/picture_reward.py sample --data im2latex_train.parquet --rows 5000:5500 --out fit.jsonl
    python benchmarks/picture_reward.py sample --data im2latex_train.parquet --rows 6500:7000 --out dev.jsonl
    python benchmarks/picture_reward.py judge fit.jsonl dev.jsonl --data im2latex_train.parquet [--write]

`sample` answers each picture up to five times with the embedded model (the likeliest answer, and at
temperatures 0.8, 1.2, 1.2 and 1.5) and scores the different answers against the reference. `judge` fits the
logistic regression on the first file, by five folds of pictures and then on all, and applies it to the second. It
prints the area under the ROC curve of right against wrong, right meaning `layout` 1; the same where TeX
draws answer and reference alike exactly if `layout` is 1 (`agreed`: the truth in which the picture has a say);
what share of pictures with right and wrong answers ranks a right one first; how often values mean what they
promise; and the answers that it is most wrong about. Needs TeX. `--write` writes the package's `picture.json`.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata

from texlens.engine import Failure
from texlens.metrics import score
from texlens.metrics.columns import interval
from texlens.reading import Reader
from texlens.reading.sources import as_item
from texlens.reading.views import View
from texlens.records import Example
from texlens.render.tex import render_tex
from texlens.runs import write_json, write_json_lines
from texlens.train.data.examples import rows_of
from texlens.train.rewards.matching import FEATURES
from texlens.train.rewards.picture import CLIP, Matched, Model, pair_features

TEMPERATURES = (0.0, 0.8, 1.2, 1.2, 1.5)
_PENALTY = 0.01  # of squared weights, a mean answer
_FAR = 0.1  # the weight of made answers against that of sampled ones
_FAR_KINDS = ("of another picture", "one letter", "a black rectangle", "twice")
_FOLDS = 5
_ALONE = -1.0  # the value of what cannot be matched: below all others


def sample(data: Path, rows: tuple[int, int], out: Path) -> None:
    reader = Reader(constrained=False, reread=False)
    examples: list[Example] = list(rows_of(data, rows))
    prepared = reader._prepare_all([as_item(e.image, n) for n, e in enumerate(examples)])
    answers: list[dict[str, float]] = [{} for _ in examples]
    for seed, temperature in enumerate(TEMPERATURES):
        for place, one in enumerate(reader._candidates(prepared, View(1.0, temperature, seed))):
            reading = one.reading
            if reading.latex:
                answers[place].setdefault(reading.latex, reading.confidence)
    records = []
    for place, (example, own) in enumerate(zip(examples, answers, strict=True)):
        if own:
            layouts = score([(example.latex_formula, a) for a in own], ["layout"])["layout"].items
            records += [
                {
                    "row": rows[0] + place,
                    "ref": example.latex_formula,
                    "ans": answer,
                    "conf": own[answer],
                    "layout": value,
                }
                for answer, value in zip(own, layouts, strict=True)
                if value is not None
            ]
    write_json_lines(out, records)


def read(path: Path, data: Path) -> tuple[list[dict[str, Any]], list[list[float] | Matched]]:
    """The answers of a file, and the features of each, with its picture."""
    answers = [json.loads(line) for line in path.read_text().splitlines()]
    answers = [a for a in answers if a["layout"] is not None and a.get("set", "real") == "real"]
    first, last = (f(a["row"] for a in answers) for f in (min, max))
    pictures = dict(enumerate((e.image for e in rows_of(data, (first, last + 1))), first))
    return answers, pair_features([(pictures[a["row"]], a["ans"]) for a in answers])


def fit(features: list[list[float]], right: np.ndarray, far: list[list[float]]) -> Model:
    """Logistic regression with a penalty, and no weight above 0 (see `Model`).

    `far` are features of made answers that are nothing like the picture: sampled ones rarely are. They are
    `_FAR` of all in weight.
    """
    x = np.array([*features, *far])
    right = np.concatenate([right, np.zeros(len(far), bool)])
    share = np.where(
        np.arange(len(x)) < len(features), 1.0, _FAR * len(features) / max(len(far), 1)
    )
    mean, spread = x.mean(0), x.std(0) + 1e-9
    z = torch.tensor(np.clip((x - mean) / spread, *CLIP))
    y = torch.tensor(right, dtype=torch.float64)
    free = torch.full((z.shape[1] + 1,), -1.0, dtype=torch.float64, requires_grad=True)

    def weights_of() -> torch.Tensor:
        return -torch.nn.functional.softplus(free[:-1])

    optimizer = torch.optim.LBFGS([free], max_iter=500, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        weights = weights_of()
        value = torch.nn.functional.binary_cross_entropy_with_logits(
            z @ weights + free[-1], y, weight=torch.tensor(share)
        )
        value = value + _PENALTY * weights.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return Model(mean, spread, weights_of().detach().numpy(), float(free[-1].detach()))


def values_of(model: Model, features: list[list[float] | Matched]) -> np.ndarray:
    return np.array([_ALONE if isinstance(f, Matched) else model.probability(f) for f in features])


def area(values: np.ndarray, right: np.ndarray) -> float:
    """The area under the ROC curve; ties count half."""
    ranks, n = rankdata(values), int(right.sum())
    return float((ranks[right].sum() - n * (n + 1) / 2) / (n * (len(right) - n)))


def alike(answers: list[dict[str, Any]]) -> np.ndarray:
    """Whether TeX draws answer and reference alike."""
    one, other = (render_tex([a[name] for a in answers], dpi=200) for name in ("ref", "ans"))
    return np.array(
        [
            not isinstance(a, Failure) and not isinstance(b, Failure) and _same(a, b)
            for a, b in zip(one, other, strict=True)
        ]
    )


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    def ink(picture: np.ndarray) -> np.ndarray:
        rows, columns = np.nonzero(picture < 250)
        return picture[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].astype(int)

    if not ((one < 250).any() and (other < 250).any()):
        return False
    a, b = ink(one), ink(other)
    return a.shape == b.shape and bool((np.abs(a - b) > 40).mean() < 1e-4)


def report(name: str, answers: list[dict[str, Any]], values: np.ndarray) -> None:
    right = np.array([a["layout"] > 1 - 1e-9 for a in answers])
    rows = np.array([a["row"] for a in answers])
    rng, distinct = np.random.default_rng(12345), np.unique(rows)
    places = {row: np.flatnonzero(rows == row) for row in distinct}
    drawn = [
        np.concatenate([places[row] for row in rng.choice(distinct, len(distinct))])
        for _ in range(300)
    ]
    low, high = interval(np.array([area(values[d], right[d]) for d in drawn]))
    agreed = alike(answers) == right
    by_row = defaultdict(list)
    for row, value, good in zip(rows, values, right, strict=True):
        by_row[row].append((value, good))
    mixed = [one for one in by_row.values() if 0 < sum(good for _, good in one) < len(one)]
    first = np.mean([max(one)[1] for one in mixed])
    print(
        f"{name}: {right.sum()} right, {(~right).sum()} wrong; AUC {area(values, right):.4f} [{low:.4f}, {high:.4f}]; "
        f"agreed (n {agreed.sum()}) {area(values[agreed], right[agreed]):.4f}; "
        f"matched only {area(values[values >= 0], right[values >= 0]):.4f}; confidence "
        f"{area(np.array([a['conf'] for a in answers]), right):.4f}; the best of {len(mixed)} mixed pictures is right in {first:.3f}"
    )
    for lower in np.arange(0, 1, 0.2):
        within = (values >= lower) & (values < lower + 0.2 + 1e-9)
        if within.any():
            print(
                f"  {lower:.1f} to {lower + 0.2:.1f}: {within.sum():4d} answers, {right[within].mean():.2f} right"
            )


def hacks(
    answers: list[dict[str, Any]], data: Path, every: int
) -> dict[str, list[list[float] | Matched]]:
    """The features of answers that a model may find when it is paid for them, made from right ones."""
    right = [a for a in answers if a["layout"] > 1 - 1e-9][::every]
    first, last = (f(a["row"] for a in right) for f in (min, max))
    pictures = dict(enumerate((e.image for e in rows_of(data, (first, last + 1))), first))
    texts = [a["ans"] for a in right]
    kinds = {
        "of another picture": [texts[n - 1] for n in range(len(texts))],
        "one letter": ["x"] * len(texts),
        "a black rectangle": [r"\rule { 9 em } { 1 em }"] * len(texts),
        "twice": [f"{text} {text}" for text in texts],
        "a full stop added": [text + " ." for text in texts],
        "the first letter left out": [_without_a_letter(text) for text in texts],
    }
    return {
        kind: pair_features([(pictures[a["row"]], f) for a, f in zip(right, formulas, strict=True)])
        for kind, formulas in kinds.items()
    }


def _without_a_letter(latex: str) -> str:
    tokens = latex.split()
    letters = [n for n, token in enumerate(tokens) if len(token) == 1 and token.isalnum()]
    return " ".join(token for n, token in enumerate(tokens) if n != letters[0]) if letters else "x"


def judge(fitting: Path, judged: Path, data: Path, write: bool) -> None:
    answers, features = read(fitting, data)
    right = np.array([a["layout"] > 1 - 1e-9 for a in answers])
    known = np.array([not isinstance(f, Matched) for f in features])
    folds = np.array([a["row"] for a in answers]) % _FOLDS
    made = hacks(answers, data, every=6)
    far = [f for kind in _FAR_KINDS for f in made[kind] if not isinstance(f, Matched)]
    values = np.full(len(answers), _ALONE)
    for fold in range(_FOLDS):
        learnt = np.flatnonzero(known & (folds != fold)).tolist()
        model = fit([features[n] for n in learnt], right[learnt], far)  # type: ignore[misc]
        here = folds == fold
        values[here] = values_of(model, [f for f, one in zip(features, here, strict=True) if one])
    report("fitted on, by folds", answers, values)
    model = fit([f for f in features if not isinstance(f, Matched)], right[known], far)
    answers, features = read(judged, data)
    values = values_of(model, features)
    report("judged", answers, values)
    right = np.array([a["layout"] > 1 - 1e-9 for a in answers])
    for kind, found in hacks(answers, data, every=4).items():
        hacked = np.maximum(values_of(model, found), 0)
        print(f"  {kind}: mean {hacked.mean():.3f}, 95 % below {np.quantile(hacked, 0.95):.3f}")
    order = np.argsort(values)
    for title, places in (
        ("right, worth little", [n for n in order if right[n]][:12]),
        ("wrong, worth much", [n for n in order[::-1] if not right[n]][:12]),
    ):
        print(f"\n{title}")
        for n in places:
            why = features[n].error if isinstance(features[n], Matched) else ""  # type: ignore[union-attr]
            print(
                f"{max(values[n], 0):.2f} row {answers[n]['row']} {why}\n  {answers[n]['ref'][:160]}\n  {answers[n]['ans'][:160]}"
            )
    if write:
        path = Path(str(resources.files("texlens.train.rewards") / "picture.json"))
        write_json(
            path,
            {
                "features": list(FEATURES),
                **{
                    name: [round(float(v), 5) for v in getattr(model, name)]
                    for name in ("mean", "spread", "weights")
                },
                "bias": round(model.bias, 5),
            },
        )


def _range(text: str) -> tuple[int, int]:
    start, _, stop = text.partition(":")
    return int(start), int(stop)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    sampling = commands.add_parser("sample")
    sampling.add_argument("--rows", type=_range, required=True)
    sampling.add_argument("--out", type=Path, required=True)
    judging = commands.add_parser("judge")
    judging.add_argument("fit", type=Path)
    judging.add_argument("judged", type=Path)
    judging.add_argument("--write", action="store_true")
    for command in (sampling, judging):
        command.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.command == "sample":
        sample(options.data, options.rows, options.out)
    else:
        judge(options.fit, options.judged, options.data, options.write)


if __name__ == "__main__":
    main()
