"""The tables of a comparison, in the shape in which the field publishes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from texlens.evaluate.compare.bootstrap import Difference
from texlens.evaluate.compare.runs import EvaluatedRun
from texlens.metrics.registry import KEYS, goodness
from texlens.metrics.report.table import BREAKDOWN_TITLES, markdown_table

# Recognition as in published tables, then what they ask of generated LaTeX, then what TexLens adds.
RECOGNITION = ("bleu", "edit_chars", "cdm", "exprate_cdm")
VALIDITY = ("rouge_l", "brace_valid", "katex_valid", "compiles")
FURTHER = ("edit_tokens", "exact", "exprate", "layout", "exprate_layout")
OVERVIEW = ("bleu", "cdm", "exprate_cdm")
_NO_CONDITIONS = (
    "base",
    "licence",
    "max_new_tokens",
)  # of a prompt configuration; the limit is the run's own
_SHORT = 40  # characters: longer conditions, such as prompts, are named without their content
_BREAKDOWN = ("bleu", "edit_tokens", "cdm", "exprate_cdm", "layout")

# (set, model) -> key -> difference from the base
Differences = Mapping[tuple[str, str], Mapping[str, Difference | None]]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text: `title` above it, `note` below."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def markdown(self, level: int = 3) -> str:
        """The table as Markdown, under a heading."""
        parts = [f"{'#' * level} {self.title}", markdown_table(self.header, self.rows)]
        return "\n\n".join([*parts, self.note] if self.note else parts)


def overview_table(runs: Sequence[EvaluatedRun]) -> Table:
    """Every model on every set, with the columns of the published ablation."""
    keys = _computed(runs, OVERVIEW) or _computed(runs, KEYS)[:3]
    rows = [
        (run.set, run.model, str(run.document["n"]), *(_number(_value(run, k)) for k in keys))
        for name in names(run.set for run in runs)
        for run in runs
        if run.set == name
    ]
    return Table("All models on all sets", ("set", "model", "n", *keys), tuple(rows))


def unlike_readings(runs: Sequence[EvaluatedRun], base: str) -> list[str]:
    """A sentence for each model whose readings were not made under the base's conditions.

    Their numbers compare what is used, prompt and limits included, and not the weights alone.
    """
    conditions = {run.model: _conditions(run) for run in runs}
    sentences = []
    for model, found in conditions.items():
        other = [
            f"{name} ({conditions[base].get(name)} and {found.get(name)})"
            if len(f"{conditions[base].get(name)}{found.get(name)}") < _SHORT
            else name
            for name in {**conditions[base], **found}
            if conditions[base].get(name) != found.get(name)
        ]
        if other:
            sentences.append(f"{base} and {model} did not read alike: {', '.join(other)}.")
    return sentences


def _conditions(run: EvaluatedRun) -> dict[str, Any]:
    about = run.document["run"]
    prompt_config = {
        k: v for k, v in about.get("prompt_config", {}).items() if k not in _NO_CONDITIONS
    }
    limit = {"max_new_tokens": about.get("max_new_tokens")}
    return {**prompt_config, **limit, **about.get("decoding", {})}


def set_tables(runs: Sequence[EvaluatedRun], found: Differences, base: str) -> list[Table]:
    """The tables of one set: recognition, validity, further metrics; values, then differences."""
    tables = []
    for title, wanted in (
        ("Recognition", RECOGNITION),
        ("Validity of the LaTeX", VALIDITY),
        ("Text and layout", FURTHER),
    ):
        if keys := _computed(runs, wanted):
            tables.append(_values_table(title, runs, keys))
            if any((run.set, run.model) in found for run in runs):
                tables.append(_differences_table(title, runs, keys, found, base))
    return tables


def breakdown_tables(runs: Sequence[EvaluatedRun]) -> list[Table]:
    """One set by length, lines, arrays, kind and source: a row a group and model."""
    keys = _computed(runs, _BREAKDOWN) or _computed(runs, KEYS)[:5]
    tables = []
    for kind, title in BREAKDOWN_TITLES.items():
        groups = names(g for run in runs for g in run.document["breakdown"].get(kind, {}))
        rows = []
        for group in groups:
            for run in runs:
                if (part := run.document["breakdown"].get(kind, {}).get(group)) is not None:
                    cells = [_number(part["metrics"].get(key)) for key in keys]
                    rows.append((group, run.model, str(part["n"]), *cells))
        if len(groups) > 1:
            tables.append(Table(f"By {title}", (title, "model", "n", *keys), tuple(rows)))
    return tables


def runs_table(runs: Sequence[EvaluatedRun]) -> Table:
    """What each run was: which weights read, how, and how fast."""
    rows = []
    for run in runs:
        about = run.document["run"]
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
                ", ".join(f"{name} {int(value)}" for name, value in decoding.items()),
                "" if speed is None else f"{speed:.1f}",
            )
        )
    header = ("model", "set", "n", "weights", "hash", "answers", "reading", "pictures/s")
    return Table("Runs", header, tuple(rows))


def signatures(runs: Sequence[EvaluatedRun]) -> list[str]:
    """The distinct signatures of all numbers, in the order of the metrics."""
    return names(
        run.metrics[key]["signature"] for key in KEYS for run in runs if key in run.metrics
    )


def names(values: Iterable[str]) -> list[str]:
    """The distinct values, in order of appearance."""
    return list(dict.fromkeys(values))


def _values_table(title: str, runs: Sequence[EvaluatedRun], keys: Sequence[str]) -> Table:
    rows = [(run.model, *(_with_interval(run.metrics.get(key)) for key in keys)) for run in runs]
    counts = {key: {run.metrics[key]["n"] for run in runs if key in run.metrics} for key in keys}
    note = "n: " + ", ".join(f"{key} {'/'.join(map(str, sorted(counts[key])))}" for key in keys)
    return Table(title, ("model", *keys), tuple(rows), f"{note}. In brackets 95 % intervals.")


def _differences_table(
    title: str, runs: Sequence[EvaluatedRun], keys: Sequence[str], found: Differences, base: str
) -> Table:
    rows = [
        (run.model, *(_difference(found[run.set, run.model].get(key)) for key in keys))
        for run in runs
        if (run.set, run.model) in found
    ]
    note = "Paired bootstrap over items: difference, 95 % interval, two-sided p; * where p < 0.05."
    if distances := [key for key in keys if goodness(key, 0.0) == 1.0]:
        note += f" Less is better: {', '.join(distances)}."
    return Table(f"{title}: against {base}", ("model", *keys), tuple(rows), note)


def _computed(runs: Sequence[EvaluatedRun], keys: Sequence[str]) -> list[str]:
    return [key for key in keys if any(_value(run, key) is not None for run in runs)]


def _value(run: EvaluatedRun, key: str) -> float | None:
    value: float | None = run.metrics.get(key, {}).get("value")
    return value


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"


def _with_interval(metric: Mapping[str, Any] | None) -> str:
    if metric is None or metric["value"] is None:
        return "n/a"
    low, high = metric["ci"]
    return f"{metric['value']:.3f} [{low:.3f}, {high:.3f}]"


def _difference(difference: Difference | None) -> str:
    if difference is None:
        return "n/a"
    low, high = difference.ci
    star = "*" if difference.significant else ""
    return f"{difference.value:+.3f} [{low:+.3f}, {high:+.3f}] p {difference.p:.3f}{star}"
