"""The tables of a comparison, with the columns that reports of formula recognition use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

from texlens.evaluate.compare.runs import ScoredRun
from texlens.evaluate.compare.significance import TRIALS, Difference, SetStatistics
from texlens.metrics.registry import KEYS, goodness
from texlens.metrics.report.table import BREAKDOWN_TITLES
from texlens.tables import Table, number

# Columns of the qwen-ocr report, then of the GRPO report, then of TexLens.
SET_TABLES = {
    "Recognition": ("bleu", "edit_chars", "cdm", "exprate_cdm"),
    "Validity of the LaTeX": ("rouge_l", "brace_valid", "katex_valid", "compiles"),
    "Text and layout": ("edit_tokens", "exact", "exprate", "layout", "exprate_layout"),
}
OVERVIEW = ("bleu", "cdm", "exprate_cdm")
_BREAKDOWN = ("bleu", "edit_tokens", "cdm", "exprate_cdm", "layout")
# Fields of a prompt configuration that are no condition of a reading: the limit is the run's own.
_NO_CONDITIONS = ("base", "licence", "max_new_tokens")
_SHORT = 40  # characters: longer conditions, such as prompts, are named without their content


def overview_table(runs: Sequence[ScoredRun]) -> Table:
    """Every model on every set, with the columns of the qwen-ocr report's ablation."""
    keys = _computed(runs, OVERVIEW) or _computed(runs, KEYS)[:3]
    rows = [
        (run.set, run.model, str(run.document["n"]), *(number(run.value(k), 3) for k in keys))
        for name in names(run.set for run in runs)
        for run in runs
        if run.set == name
    ]
    return Table("All models on all sets", ("set", "model", "n", *keys), tuple(rows))


def other_conditions(runs: Sequence[ScoredRun], base: str) -> list[str]:
    """A sentence for each model that read under other conditions than the base.

    Such a difference includes that of the conditions (prompt, limits), not of the weights alone.
    """
    conditions = {run.model: _conditions(run) for run in runs if run.about}
    if base not in conditions:  # its predictions are of unknown origin
        return []
    sentences = []
    for model, found in conditions.items():
        differing = []
        for name in {**conditions[base], **found}:
            values = conditions[base].get(name), found.get(name)
            if values[0] != values[1]:
                short = len(f"{values[0]}{values[1]}") < _SHORT
                differing.append(f"{name} ({values[0]} and {values[1]})" if short else name)
        if differing:
            sentences.append(
                f"{base} and {model} read under different conditions: {', '.join(differing)}."
            )
    return sentences


def _conditions(run: ScoredRun) -> dict[str, Any]:
    about = run.about
    prompt_config = {
        k: v for k, v in about.get("prompt_config", {}).items() if k not in _NO_CONDITIONS
    }
    limit = {"max_new_tokens": about.get("max_new_tokens")}
    return {**prompt_config, **limit, **about.get("decoding", {})}


def set_tables(runs: Sequence[ScoredRun], found: SetStatistics, base: str) -> list[Table]:
    """The tables of one set: for each group of metrics the values, then the differences."""
    tables = []
    for title, wanted in SET_TABLES.items():
        if keys := [key for key in wanted if any((r.model, key) in found.values for r in runs)]:
            tables.append(_values_table(title, runs, keys, found))
            if any((run.model, base) in found.differences for run in runs):
                tables.append(_differences_table(title, runs, keys, found, base))
    return tables


def pairs_table(runs: Sequence[ScoredRun], found: SetStatistics) -> Table:
    """Every pair of systems on one set by every metric shown: intervals, tests, wins, losses."""
    rows = [
        (
            f"{second.model} - {first.model}",
            key,
            f"{one.value:+.4f}",
            f"{one.ci[0]:+.4f} to {one.ci[1]:+.4f}",
            *(f"{p:.4f}" for p in (one.p_bootstrap, one.p_randomisation, one.p_holm)),
            *(str(count) for count in (one.wins, one.losses, one.ties)),
        )
        for first, second in combinations(runs, 2)
        for key, one in found.differences.get((second.model, first.model), {}).items()
        if any(key in shown for shown in SET_TABLES.values())
    ]
    header = ("systems", "metric", "difference", "95 % interval", "p bootstrap", "p", "p Holm",
              "wins", "losses", "ties")  # fmt: skip
    note = (
        f"p: approximate randomisation, {TRIALS} trials; p Holm: corrected over the pairs of systems, "
        "for each metric apart. Wins are items that the first system does better."
    )
    return Table("All pairs", header, tuple(rows), note)


def breakdown_tables(runs: Sequence[ScoredRun]) -> list[Table]:
    """One set by length, lines, arrays, kind and source: a row for each group and model."""
    keys = _computed(runs, _BREAKDOWN) or _computed(runs, KEYS)[:5]
    tables = []
    for kind, title in BREAKDOWN_TITLES.items():
        parts = [run.document["breakdown"].get(kind, {}) for run in runs]
        groups = names(group for part in parts for group in part)
        rows = [
            (
                group,
                run.model,
                str(part[group]["n"]),
                *(number(part[group]["metrics"].get(key), 3) for key in keys),
            )
            for group in groups
            for run, part in zip(runs, parts, strict=True)
            if group in part
        ]
        if len(groups) > 1:
            tables.append(Table(f"By {title}", (title, "model", "n", *keys), tuple(rows)))
    return tables


def runs_table(runs: Sequence[ScoredRun]) -> Table:
    """The weights, the conditions and the speed of each run."""
    rows = []
    for run in runs:
        about = run.about
        decoding = about.get("decoding", {})
        speed = run.document.get("speed", {}).get("pictures_per_second")
        rows.append(
            (
                run.model,
                run.set,
                str(run.document["n"]),
                str(about.get("model", "")),
                str(about.get("fingerprint", ""))[:12],
                str(about.get("prompt_config", {}).get("answer_format", "")),
                ", ".join(_setting(name, value) for name, value in decoding.items()),
                "" if speed is None else f"{speed:.1f}",
            )
        )
    header = ("model", "set", "n", "weights", "hash", "answers", "decoding", "pictures/s")
    return Table("Runs", header, tuple(rows))


def signatures(runs: Sequence[ScoredRun]) -> list[str]:
    """The distinct signatures of all numbers, in the order of the metrics."""
    return names(
        run.metrics[key]["signature"] for key in KEYS for run in runs if key in run.metrics
    )


def names(values: Iterable[str]) -> list[str]:
    """The distinct values, in order of appearance."""
    return list(dict.fromkeys(values))


def _values_table(
    title: str, runs: Sequence[ScoredRun], keys: Sequence[str], found: SetStatistics
) -> Table:
    rows = [(run.model, *(_with_interval(run, key, found) for key in keys)) for run in runs]
    total = len(runs[0].values)
    counts = [f"{key} {total - found.left_out.get(key, 0)}" for key in keys]
    note = f"n of {total}: {', '.join(counts)}. 95 % intervals in brackets."
    if any(found.left_out.get(key) for key in keys):
        note += " An item without a value in some model is left out for all."
    return Table(title, ("model", *keys), tuple(rows), note)


def _differences_table(
    title: str, runs: Sequence[ScoredRun], keys: Sequence[str], found: SetStatistics, base: str
) -> Table:
    rows = [
        (run.model, *(_difference(found.differences[run.model, base].get(key)) for key in keys))
        for run in runs
        if (run.model, base) in found.differences
    ]
    note = (
        "Difference, 95 % interval (paired bootstrap over items), p (approximate randomisation, "
        "corrected by Holm's method over all pairs of models); * where p < 0.05."
    )
    if distances := [key for key in keys if goodness(key, 0.0) == 1.0]:
        note += f" Lower is better: {', '.join(distances)}."
    return Table(f"{title}: against {base}", ("model", *keys), tuple(rows), note)


def _computed(runs: Sequence[ScoredRun], keys: Sequence[str]) -> list[str]:
    return [key for key in keys if any(run.value(key) is not None for run in runs)]


def _with_interval(run: ScoredRun, key: str, found: SetStatistics) -> str:
    one = found.values.get((run.model, key))
    if one is None:
        return number(None)
    return f"{one.value:.3f} [{one.ci[0]:.3f}, {one.ci[1]:.3f}]"


def _difference(difference: Difference | None) -> str:
    if difference is None:
        return number(None)
    low, high = difference.ci
    star = "*" if difference.significant else ""
    p = f"p {difference.p_holm:.3f}" if difference.p_holm >= 0.001 else "p < 0.001"
    return f"{difference.value:+.3f} [{low:+.3f}, {high:+.3f}] {p}{star}"


def _setting(name: str, value: Any) -> str:
    """A setting of decoding: its name and number, or the choice alone."""
    return value if isinstance(value, str) else f"{name} {value:g}"
