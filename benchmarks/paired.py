"""Shared by the experiments on trained models: training once, fixed pictures, paired changes.

An experiment writes the value of every measure on every picture into `values.json`, by model, so
that later comparisons use the same pictures.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from texlens import runs
from texlens.latex import normalize, tokenize
from texlens.metrics.batches import ScoringConfig
from texlens.metrics.columns import interval, resampled_totals
from texlens.metrics.scoring import score_predictions
from texlens.reading import Reader
from texlens.reading.sources import Item
from texlens.records import Prediction
from texlens.train import fine_tune
from texlens.train.data.examples import dev_examples
from texlens.train.grpo.settings import GrpoConfig
from texlens.train.run.run_folder import MARKER
from texlens.train.settings import DevSet
from texlens.train.sft.settings import SftConfig

METRICS = (
    "layout", "exprate_cdm", "cdm", "exact", "edit_tokens", "rouge_l", "brace_valid", "katex_valid",
)  # fmt: skip
FORMAT = "format"
LENGTH = "length"
_TWO_SIDED_5_PERCENT, _POWER_80_PERCENT = 1.960, 0.842  # quantiles of the normal distribution
_VALUES = "values.json"

Values = dict[str, list[float | None]]
"""By measure, of every picture in order. `format`: the answer ended by itself and could be used. `length`:
its LaTeX tokens."""


def train(config: GrpoConfig | SftConfig, out: Path) -> dict[str, Any]:
    """Train, unless the run in `out` is finished; returns the content of its `run.json`."""
    if (out / MARKER).is_file():
        finished: dict[str, Any] = json.loads((out / MARKER).read_text())
        return finished
    return fine_tune(config, out)


def read(reader: Reader, pictures: DevSet, out: Path, name: str) -> Values:
    """The value of every measure on every picture; the readings go into `out`."""
    examples = dev_examples(pictures)
    readings = list(reader.read_many([Item(str(i), e.image) for i, e in enumerate(examples)]))
    predictions = [
        Prediction(e.id, " ".join(normalize(e.latex_formula).split()), reading.normal)
        for e, reading in zip(examples, readings, strict=True)
    ]
    ended = [not {"unfinished", "no_answer"} & set(reading.warnings) for reading in readings]
    return judge(predictions, ended, out, name)


def judge(
    predictions: Sequence[Prediction], ended: Sequence[bool], out: Path, name: str, workers: int = 1
) -> Values:
    """The value of every measure on every prediction; `ended` becomes `format`."""
    runs.write_json_lines(
        out / f"{name}.jsonl", ({"id": p.id, "gt": p.gt, "pred": p.pred} for p in predictions)
    )
    scoring = score_predictions(predictions, ScoringConfig(METRICS), workers=workers, quiet=True)
    values: Values = {key: [item.values[key] for item in scoring.items] for key in METRICS}
    values[FORMAT] = [float(whole) for whole in ended]
    values[LENGTH] = [float(len(tokenize(p.pred))) for p in predictions]
    return values


def write_values(values: dict[str, Values], out: Path) -> None:
    """Write the values of every model's readings."""
    runs.write_json(out / _VALUES, values)


def read_values(out: Path) -> dict[str, Values]:
    """The values of an experiment; ends the script where there are none yet."""
    if not (out / _VALUES).is_file():
        raise SystemExit(f"'{out}' has no {_VALUES}: its experiment is not finished.")
    values: dict[str, Values] = json.loads((out / _VALUES).read_text())
    return values


def mean(values: Sequence[float | None]) -> float:
    """The mean of the values that are not None."""
    return float(np.mean([value for value in values if value is not None]))


def changes(before: Sequence[float | None], after: Sequence[float | None]) -> np.ndarray:
    """The change of a measure on every picture, (n,); NaN where one of the two is missing."""
    change: np.ndarray = np.array(after, dtype=float) - np.array(before, dtype=float)
    return change


def summary(change: np.ndarray) -> dict[str, float]:
    """The mean of changes (n,), its 95 % bootstrap interval, and the minimum detectable effect.

    The last is at 80 % power and a two-sided level of 5 %.
    """
    known = change[~np.isnan(change)]
    low, high = interval(resampled_totals(known[:, None])[:, 0] / len(known))
    error = float(known.std(ddof=1)) / len(known) ** 0.5
    return {
        "n": len(known),
        "change": float(known.mean()),
        "low": low,
        "high": high,
        "detectable": (_TWO_SIDED_5_PERCENT + _POWER_80_PERCENT) * error,
    }


def cell(found: dict[str, float]) -> str:
    """A change for a table: mean, interval, minimum detectable effect."""
    return (
        f"{found['change']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}], "
        f"{found['detectable']:.3f}"
    )
