r"""A changed rule needs a new revision: the results on a fixed corpus, by signature.

`fingerprints.json` has, for every key and for the forms of text, the hash of the results on
`fingerprint_pairs.jsonl` under each signature that there has been (without TexLens' own version). A
test fails when results change: under the same signature a revision is missing, under a new one the
fingerprint is. Record new ones with

    python tests/metrics/test_fingerprints.py --record

which refuses to give a signature two fingerprints.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from texlens.latex import formula, normal
from texlens.latex.formula import formula_of
from texlens.latex.normal import normalize
from texlens.metrics.batches import BatchScorer, ScoringConfig
from texlens.metrics.registry import KEYS, build_metrics
from texlens.records import Prediction

FOLDER = Path(__file__).parent
TABLE = FOLDER / "fingerprints.json"
AROUND_LIMITS = tuple(
    (long, long + "y")
    for long in ("x+" * 1_600, "x" * 21_000, "x" * 51_000, "{" * 120 + "x" + "}" * 120)
)
TEX_KEYS = ("compiles",)  # their results depend on the machine's TeX, which their signature names
MEASURED = tuple(key for key in KEYS if key not in TEX_KEYS)
# The forms of text: signature, and the function.
FORMS: dict[str, tuple[str, Callable[[str], str]]] = {
    "normal form": (f"normal.{normal.REVISION}", normalize),
    "formula": (f"formula.{formula.REVISION}", formula_of),
}


@cache
def pairs() -> tuple[tuple[str, str], ...]:
    lines = (FOLDER / "fingerprint_pairs.jsonl").read_text("utf-8").splitlines()
    short = ((pair["gt"], pair["pred"]) for pair in map(json.loads, lines))
    return *short, *AROUND_LIMITS


@cache
def results() -> dict[str, list[float | None]]:
    scorer = BatchScorer(ScoringConfig(MEASURED, cache=False))
    items = scorer.score([Prediction(str(i), *pair) for i, pair in enumerate(pairs())])
    return {key: [item.values[key] for item in items] for key in MEASURED}


def fingerprint(values: list[str] | list[float | None]) -> str:
    """A hash of results, numbers to ten digits."""
    shown = [f"{value:.10g}" if isinstance(value, float) else value for value in values]
    return hashlib.sha256(json.dumps(shown).encode()).hexdigest()[:16]


@cache
def current() -> dict[str, tuple[str, str]]:
    """Signature and fingerprint of every key and form."""
    found = {
        name: (signature, fingerprint([of(text) for pair in pairs() for text in pair]))
        for name, (signature, of) in FORMS.items()
    }
    for metric in build_metrics(MEASURED):
        for key in metric.keys:
            signature = metric.signature(key).partition("|version:")[0]
            found[key] = signature, fingerprint(results()[key])
    return found


def table() -> dict[str, dict[str, str]]:
    return json.loads(TABLE.read_text("utf-8")) if TABLE.exists() else {}


def problem(name: str, known: dict[str, str], signature: str, found: str) -> str | None:
    """What is wrong with results, given the fingerprints by signature that are known."""
    if known.get(signature, found) != found:
        return f"{name} gives other results than before under '{signature}': increase its revision."
    if found not in known.values():
        return f"{name} has no fingerprint under '{signature}': record it (see this module)."
    return None


@pytest.mark.parametrize("name", [*FORMS, *MEASURED])
def test_results_change_only_with_the_signature(name: str) -> None:
    signature, found = current()[name]
    assert problem(name, table().get(name, {}), signature, found) is None


def test_a_changed_rule_is_noticed() -> None:
    assert problem("x", {"x|revision:1": "aa"}, "x|revision:1", "aa") is None
    assert "increase" in (problem("x", {"x|revision:1": "aa"}, "x|revision:1", "bb") or "")
    assert "record" in (problem("x", {"x|revision:1": "aa"}, "x|revision:2", "bb") or "")
    # Another engine or package that changes nothing here needs no new line.
    assert problem("x", {"x|engine:1": "aa"}, "x|engine:2", "aa") is None
    assert problem("x", {"x|engine:1": "aa", "x|engine:2": "bb"}, "x|engine:2", "bb") is None


def test_the_corpus_tells_revisions_apart() -> None:
    """Every metric has several values on the corpus, so that a changed rule can show."""
    for key, values in results().items():
        assert len(set(values)) > 1, key


def record() -> None:
    known = table()
    for name, (signature, found) in current().items():
        of_name = known.setdefault(name, {})
        if of_name.setdefault(signature, found) != found:
            sys.exit(problem(name, of_name, signature, found))
    TABLE.write_text(json.dumps(known, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    if sys.argv[1:] != ["--record"]:
        sys.exit("To record new fingerprints: python tests/metrics/test_fingerprints.py --record")
    record()
