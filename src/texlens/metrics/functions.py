"""One function a metric: for a pair of formulas, or for sequences of them.

Each takes the reference first. A pair gives a `PairScore`, sequences give a `Score` with a 95 %
interval and the values of all items; both have the signature. `score` computes many metrics in one
pass. The metrics are described in docs/metrics.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeGuard, overload

from texlens.engine import Box
from texlens.errors import InputError
from texlens.metrics.base import CdmEngine, Match
from texlens.metrics.batches import BatchScorer, ScoringConfig
from texlens.metrics.scoring import score_predictions, shows_progress
from texlens.records import Prediction, Score
from texlens.results import Alignment, Glyph, PairScore

Texts = list[str] | tuple[str, ...]


@overload
def cdm(
    reference: str,
    prediction: str,
    *,
    engine: CdmEngine = ...,
    workers: int = ...,
    progress: bool | None = ...,
) -> PairScore: ...
@overload
def cdm(
    reference: Texts,
    prediction: Texts,
    *,
    engine: CdmEngine = ...,
    workers: int = ...,
    progress: bool | None = ...,
) -> Score: ...
def cdm(
    reference: str | Texts,
    prediction: str | Texts,
    *,
    engine: CdmEngine = "mathjax",
    workers: int = 1,
    progress: bool | None = None,
) -> PairScore | Score:
    """The character detection metric of UniMERNet's authors, higher is better.

    Args:
        reference: LaTeX, or a sequence of it.
        prediction: the same for what was recognised.
        engine: what renders the formulas: `mathjax`, or `tex` where TeX is installed.
        workers: processes that share the work on sequences.
        progress: whether to show a bar; None: in a notebook, for many items.

    Raises:
        TypeError: an argument is neither a text nor a sequence of texts.
        InputError: the sequences have different lengths, or are empty.
    """
    return _metric("cdm", reference, prediction, engine, workers, progress)


@overload
def layout(
    reference: str, prediction: str, *, workers: int = ..., progress: bool | None = ...
) -> PairScore: ...
@overload
def layout(
    reference: Texts,
    prediction: Texts,
    *,
    workers: int = ...,
    progress: bool | None = ...,
) -> Score: ...
def layout(
    reference: str | Texts,
    prediction: str | Texts,
    *,
    workers: int = 1,
    progress: bool | None = None,
) -> PairScore | Score:
    """How alike the two formulas look to a reader, higher is better. Arguments as of `cdm`."""
    return _metric("layout", reference, prediction, workers=workers, progress=progress)


@overload
def bleu(reference: str, prediction: str) -> PairScore: ...
@overload
def bleu(reference: Texts, prediction: Texts) -> Score: ...
def bleu(reference: str | Texts, prediction: str | Texts) -> PairScore | Score:
    """BLEU-4 over LaTeX tokens, of sequences as a corpus; higher is better. Raises as `cdm`."""
    return _metric("bleu", reference, prediction)


@overload
def edit_distance(
    reference: str, prediction: str, *, unit: Literal["tokens", "characters"] = ...
) -> PairScore: ...
@overload
def edit_distance(
    reference: Texts,
    prediction: Texts,
    *,
    unit: Literal["tokens", "characters"] = ...,
) -> Score: ...
def edit_distance(
    reference: str | Texts,
    prediction: str | Texts,
    *,
    unit: Literal["tokens", "characters"] = "tokens",
) -> PairScore | Score:
    """Edits between the normal forms as a share of the longer one, lower is better.

    Args:
        reference: LaTeX, or a sequence of it.
        prediction: the same for what was recognised.
        unit: what is edited: LaTeX `tokens` or `characters`.

    Raises as `cdm`; InputError for another unit.
    """
    keys = {"tokens": "edit_tokens", "characters": "edit_chars"}
    if unit not in keys:
        raise InputError(f"unit is 'tokens' or 'characters', not {unit!r}.")
    return _metric(keys[unit], reference, prediction)


@overload
def exact_match(reference: str, prediction: str) -> PairScore: ...
@overload
def exact_match(reference: Texts, prediction: Texts) -> Score: ...
def exact_match(reference: str | Texts, prediction: str | Texts) -> PairScore | Score:
    """1 where the two normal forms are the same text, else 0. Raises as `cdm`."""
    return _metric("exact", reference, prediction)


@overload
def expression_rate(reference: str, prediction: str, *, errors: int = ...) -> PairScore: ...
@overload
def expression_rate(reference: Texts, prediction: Texts, *, errors: int = ...) -> Score: ...
def expression_rate(
    reference: str | Texts, prediction: str | Texts, *, errors: int = 0
) -> PairScore | Score:
    """1 where at most `errors` (0, 1 or 2) tokens differ, else 0. Raises as `cdm`."""
    if errors not in (0, 1, 2):
        raise InputError(f"errors is 0, 1 or 2, not {errors!r}.")
    return _metric(f"exprate_{errors}" if errors else "exprate", reference, prediction)


@overload
def rouge_l(reference: str, prediction: str) -> PairScore: ...
@overload
def rouge_l(reference: Texts, prediction: Texts) -> Score: ...
def rouge_l(reference: str | Texts, prediction: str | Texts) -> PairScore | Score:
    """ROUGE-L as the GRPO report (Small Model, Big Equations) computes it, higher is better. Raises as `cdm`."""
    return _metric("rouge_l", reference, prediction)


def _metric(
    key: str,
    reference: str | Texts,
    prediction: str | Texts,
    engine: CdmEngine = "mathjax",
    workers: int = 1,
    progress: bool | None = None,
) -> PairScore | Score:
    config = ScoringConfig((key,), engine)
    if isinstance(reference, str) and isinstance(prediction, str):
        return _pair(Prediction("pair", reference, prediction), config)
    if isinstance(reference, str) and not _is_sequence(prediction):
        raise TypeError(
            f"prediction must be a text, as reference is, not {type(prediction).__name__}."
        )
    references, predictions = _texts("reference", reference), _texts("prediction", prediction)
    if len(references) != len(predictions):
        raise InputError(
            f"reference has {len(references)} formulas and prediction {len(predictions)}: each "
            "reference needs one prediction."
        )
    pairs = zip(references, predictions, strict=True)
    items = [Prediction(str(n), gt, pred) for n, (gt, pred) in enumerate(pairs)]
    quiet = not shows_progress(progress, len(items))
    return score_predictions(items, config, workers=workers, quiet=quiet).scores[key]


def _is_sequence(texts: object) -> TypeGuard[Iterable[Any]]:
    return isinstance(texts, Iterable) and not isinstance(texts, str | bytes | Mapping)


def _texts(name: str, texts: object) -> list[str]:
    """A sequence of texts. Raises TypeError, which names the argument, for anything else."""
    if not _is_sequence(texts):
        raise TypeError(
            f"{name} must be a text, or a sequence of texts where the other one is a sequence, not "
            f"{type(texts).__name__}."
        )
    found = list(texts)
    for place, text in enumerate(found):
        if not isinstance(text, str):
            raise TypeError(f"{name}[{place}] must be a text, not {type(text).__name__}.")
    return found


def _pair(pair: Prediction, config: ScoringConfig) -> PairScore:
    (key,) = config.keys
    scorer = BatchScorer(config)
    if not scorer.metrics:
        score = score_predictions([pair], config, quiet=True)
        return PairScore(key, None, pair.gt, pair.pred, score.scores[key].signature, score.warnings)
    (result,) = scorer.score([pair])
    (metric,) = scorer.metrics
    match = scorer.explain(pair).get(metric.keys[0])
    return PairScore(
        key,
        result.values[key],
        pair.gt,
        pair.pred,
        metric.signature(key),
        result.warnings,
        None if match is None else _alignment(match),
    )


def _alignment(match: Match) -> Alignment:
    def glyphs(boxes: Sequence[Box]) -> tuple[Glyph, ...]:
        return tuple(Glyph(b.char or b.kind, b.x0, b.y0, b.x1, b.y1) for b in boxes)

    return Alignment(
        glyphs(match.reference.boxes), glyphs(match.prediction.boxes), tuple(match.partners)
    )
