"""Rewards for GRPO: functions with TRL's signature, and one pass that computes them all.

    from texlens.train.rewards.functions import REWARDS

    REWARDS["cdm"](completions, solution)  # one number per completion

| reward | range | what it is |
|---|---|---|
| `tag_presence`, `tag_order` | 0..1 | the GRPO report's: the four tags are there; they are in order |
| `validity_similarity` | 0..2 | the GRPO report's: braces match, then 1 + ROUGE-L F1 |
| `exact_match_bonus` | 0 or 2 | the GRPO report's: the answer is the reference, but for case |
| `exact` | 0 or 1 | the normal forms of answer and reference are equal |
| `cdm`, `layout` | 0..1 | the metrics of the rendered answer, 0 where KaTeX does not parse it |
| `picture` | 0..1 | the answer, drawn by TeX, compared with the picture; no reference |
| `finished` | 0 or 1 | the completion ended by itself |
| `overlong` | -1..0 | a soft penalty of lengths near the limit |
| `no_loop` | 0 or 1 | the completion does not end in a loop |

A reward depends only on its completion, its reference (or picture) and the settings, and never raises:
what cannot be scored gets 0, as does what is not a number. A trainer uses `BatchRewards`, which computes all rewards of a batch at once
and keeps its records. For the GRPO report see `train.rewards.text`.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal

from texlens.errors import InputError
from texlens.latex import normalize, tokenize
from texlens.metrics.text.answers import ends_open, has_loop
from texlens.reading.answers import parse_answer
from texlens.train.rewards.jobs import FAULT
from texlens.train.rewards.rendered import score_rendered
from texlens.train.rewards.text import (
    exact_match_bonus,
    tag_order,
    tag_presence,
    validity_and_similarity,
)

NAMES = (
    "tag_presence", "tag_order", "validity_similarity", "exact_match_bonus", "exact", "cdm",
    "layout", "picture", "finished", "overlong", "no_loop",
)  # fmt: skip
WITHOUT_REFERENCE = frozenset(
    ["tag_presence", "tag_order", "picture", "finished", "overlong", "no_loop"]
)
RENDERED = frozenset(["cdm", "layout"])
# Longer responses are not read: 600 tokens have some 3,000.
MAX_RESPONSE_CHARACTERS = 10_000

# The answers of a group share their reference, and many are equal.
_normal = lru_cache(maxsize=4096)(normalize)

_SOME_TAG = re.compile("</?answer>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RewardSettings:
    """What rewards depend on besides a completion and its reference.

    `answer_format` says where the answer is (see `parse_answer`). None, for use without a prompt
    configuration: in the answer tags; for rewards that are not the GRPO report's, the whole
    response if it has no such tag.
    `max_tokens` is the limit of a completion; `overlong` falls from 0 to -1 over the last
    `overlong_buffer` tokens before it. `end_tokens` are the ids with which a completion ends by
    itself; without them its text decides.
    """

    answer_format: Literal["plain", "think_answer"] | None = None
    max_tokens: int = 600
    overlong_buffer: int = 120
    end_tokens: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class ScoredCompletion:
    """The rewards of a completion, and what they came from.

    `validity_bonus` (0 or 1) and `similarity` (0..1) are the parts of `validity_similarity`.
    `exact`: the normal forms of answer and reference are equal. `tokens` is the length, in ids if
    they are known, else in LaTeX tokens. `error` says why something could not be scored.
    """

    response: str
    answer: str | None
    reference: str
    rewards: Mapping[str, float] = field(default_factory=dict)
    validity_bonus: float = 0.0
    similarity: float = 0.0
    exact: bool = False
    tokens: int = 0
    finished: bool = False
    error: str | None = None

    def total(self, weights: Mapping[str, float]) -> float:
        """The weighted sum of the rewards."""
        return sum(weight * self.rewards[name] for name, weight in weights.items())


def score_completions(
    completions: Sequence[Any],
    solution: Sequence[Any],
    *,
    rewards: Iterable[str] = NAMES,
    settings: RewardSettings | None = None,
    completion_ids: Sequence[Sequence[int]] | None = None,
    pictures: Sequence[Any] | None = None,
) -> list[ScoredCompletion]:
    """All rewards of a batch in one pass: one record per completion, in order. Never raises.

    `completions` are texts or lists of messages, `solution` their references, `completion_ids`
    their tokens, `pictures` what was to be read (Pillow images or files' bytes). When the numbers of completions and references differ, every reward is 0, with a
    warning.
    """
    names = tuple(rewards)
    texts = [_text(completion) for completion in _listed(completions)]
    references = _listed(solution)
    if len(references) == len(texts):
        ids: Sequence[Sequence[int] | None] = completion_ids or ()
        if len(ids) != len(texts):
            ids = [None] * len(texts)
        scored = [
            _score_text(text, reference, settings or RewardSettings(), own_ids)
            for text, reference, own_ids in zip(texts, references, ids, strict=True)
        ]
        if not RENDERED.isdisjoint(names):
            scored = _with_rendered(scored)
        if "picture" in names:
            scored = _with_picture(scored, pictures)
    else:
        message = (
            f"{len(texts)} completions came with {len(references)} references: all rewards are 0."
        )
        with suppress(Warning):  # where warnings are errors
            warnings.warn(message, stacklevel=2)
        scored = [ScoredCompletion(text or "", None, "", error=message) for text in texts]
    return [_finite(s, names) for s in scored]


def need_references(rewards: Mapping[str, float]) -> bool:
    """Whether a reward that counts compares with a reference."""
    return any(weight and name not in WITHOUT_REFERENCE for name, weight in rewards.items())


def check_requirements(rewards: Iterable[str]) -> None:
    """Raise TexlensError when a reward needs what is not installed: `picture` needs TeX."""
    if "picture" in rewards:
        from texlens.render.pdflatex import require_tex

        require_tex()


class BatchRewards:
    """The rewards of a training run: the functions for TRL, computed together.

    The first function that is called with a batch computes the rewards of all; `last` has the
    records of that batch. `functions` and `weights` are in the same order, for TRL's `reward_funcs`
    and `reward_weights`. A reward of weight 0 is only logged.

    Raises InputError when a reward is unknown or none is named.
    """

    def __init__(
        self,
        weights: Mapping[str, float],
        settings: RewardSettings | None = None,
    ) -> None:
        unknown = sorted(set(weights) - set(NAMES))
        if unknown or not weights:
            named = f"'{unknown[0]}' is no reward" if unknown else "No reward is named"
            raise InputError(f"{named}: choose from {', '.join(NAMES)}.")
        self.by_name = dict(weights)
        self.settings = settings
        self.last: list[ScoredCompletion] = []
        self._batch: object = None

    @property
    def weights(self) -> list[float]:
        """The weights, in the order of `functions`."""
        return list(self.by_name.values())

    @property
    def functions(self) -> list[Callable[..., list[float]]]:
        """One function per reward, with TRL's signature; `__name__` is the reward's name."""
        return [_Reward(self, name) for name in self.by_name]

    def score(
        self,
        completions: Sequence[Any],
        solution: Sequence[Any],
        completion_ids: Sequence[Sequence[int]] | None = None,
        pictures: Sequence[Any] | None = None,
    ) -> list[ScoredCompletion]:
        """The records of a batch; those of the last batch are kept."""
        batch = (completions, solution, completion_ids)
        if batch != self._batch:
            self.last = score_completions(
                completions,
                solution,
                rewards=self.by_name,
                settings=self.settings,
                completion_ids=completion_ids,
                pictures=pictures,
            )
            self._batch = batch
        return self.last


class _Reward:
    """One reward of a `BatchRewards`, as a function for TRL."""

    def __init__(self, batch: BatchRewards, name: str) -> None:
        self.__name__ = name
        self._batch = batch

    def __call__(
        self, completions: Sequence[Any], solution: Sequence[Any], **columns: Any
    ) -> list[float]:
        scored = self._batch.score(
            completions, solution, columns.get("completion_ids"), columns.get("image")
        )
        return [completion.rewards[self.__name__] for completion in scored]


REWARDS: dict[str, Callable[..., list[float]]] = {
    name: BatchRewards({name: 1.0}).functions[0] for name in NAMES
}
"""Every reward by its name, with default settings: `f(completions, solution, **columns)`.

Of the columns only `completion_ids` and, for `picture`, `image` matter.
"""


def _listed(values: object) -> list[Any]:
    return list(values) if isinstance(values, Iterable) else []


def _text(completion: object) -> str | None:
    """The text of a completion: itself, or its first message's content; None without any."""
    if isinstance(completion, list | tuple) and completion:
        completion = completion[0]
    if isinstance(completion, Mapping):
        completion = completion.get("content")
    if isinstance(completion, list | tuple):  # content in parts
        parts = [part.get("text") for part in completion if isinstance(part, Mapping)]
        completion = "".join(part for part in parts if isinstance(part, str)) if parts else None
    return completion if isinstance(completion, str) else None


def _score_text(
    text: str | None, solution: object, settings: RewardSettings, ids: Sequence[int] | None
) -> ScoredCompletion:
    """The record of a completion with all rewards that need no rendering."""
    reference = solution if isinstance(solution, str) else ""
    error = None
    if text is None:
        error = "the completion is no text"
    elif len(text) > MAX_RESPONSE_CHARACTERS:
        error = f"the response has {len(text)} characters, too many"
    else:
        try:
            return _score(text, reference, settings, ids)
        except Exception as exception:  # no completion may end a run
            error = f"{type(exception).__name__}: {exception}"[:300]
    return ScoredCompletion(text or "", None, reference, error=error)


def _score(
    text: str, reference: str, settings: RewardSettings, ids: Sequence[int] | None
) -> ScoredCompletion:
    answer_in_tags = answer = parse_answer(text, settings.answer_format or "think_answer")
    if answer is None and settings.answer_format is None and not _SOME_TAG.search(text):
        answer = text.strip()
    error = None
    if not reference.strip():
        error = "the reference is empty"
    elif not answer:
        error = "the response has no answer" if answer is None else "the answer is empty"
    response_tokens = tokenize(text)
    answer_tokens = response_tokens if answer is None else tokenize(answer)
    length = len(response_tokens) if ids is None else len(ids)
    bonus, similarity = validity_and_similarity(answer_in_tags, reference)
    exact = answer is not None and bool(reference.strip()) and _normal(answer) == _normal(reference)
    if ids is not None and settings.end_tokens:
        finished = length > 0 and ids[-1] in settings.end_tokens
    elif length >= settings.max_tokens or answer is None:
        finished = False
    else:
        finished = text.rstrip().lower().endswith("</answer>") or not ends_open(answer_tokens)
    rewards = {
        "tag_presence": tag_presence(text),
        "tag_order": tag_order(text),
        "validity_similarity": bonus + similarity,
        "exact_match_bonus": exact_match_bonus(answer_in_tags, reference),
        "exact": float(exact),
        "finished": float(finished),
        "overlong": _overlong(length, settings),
        "no_loop": float(not has_loop(answer_tokens) and not has_loop(response_tokens)),
    }
    return ScoredCompletion(
        text, answer, reference, rewards, bonus, similarity, exact, length, finished, error
    )


def _overlong(length: int, settings: RewardSettings) -> float:
    """0 up to the buffer, then falling linearly to -1 at the limit.

    The soft overlong punishment of DAPO (arXiv:2503.14476).
    """
    into_buffer = length - (settings.max_tokens - settings.overlong_buffer)
    return 0.0 - min(max(into_buffer / max(settings.overlong_buffer, 1), 0.0), 1.0)


def _with_rendered(scored: Sequence[ScoredCompletion]) -> list[ScoredCompletion]:
    """The records with the rewards of the rendered answers."""
    pairs = {
        place: (s.reference, s.answer)
        for place, s in enumerate(scored)
        if s.answer and s.reference.strip()
    }
    found = list(scored)
    for place, seen in zip(pairs, score_rendered(list(pairs.values())), strict=True):
        before = found[place]
        rewards = {**before.rewards, "cdm": seen.cdm, "layout": seen.layout}
        found[place] = replace(before, rewards=rewards, error=seen.error or before.error)
    return found


def _with_picture(
    scored: Sequence[ScoredCompletion], pictures: Sequence[Any] | None
) -> list[ScoredCompletion]:
    """The records with the reward of the picture."""
    from texlens.train.rewards.picture import score_pictures

    if pictures is None or len(pictures) != len(scored):
        return [replace(s, error=s.error or "the picture is not known") for s in scored]
    pairs = {
        place: (picture, s.answer)
        for place, (s, picture) in enumerate(zip(scored, pictures, strict=True))
        if s.answer
    }
    found = list(scored)
    for place, seen in zip(pairs, score_pictures(list(pairs.values())), strict=True):
        before = found[place]
        rewards = {**before.rewards, "picture": seen.value}
        found[place] = replace(before, rewards=rewards, error=seen.error or before.error)
    return found


def _finite(scored: ScoredCompletion, names: Sequence[str]) -> ScoredCompletion:
    """The record with these rewards alone; 0 for one that is missing or not a finite number."""
    values = {name: scored.rewards.get(name, 0.0) for name in names}
    wrong = [name for name, value in values.items() if not math.isfinite(value)]
    if not wrong:
        return replace(scored, rewards=values)
    error = f"{FAULT}: {', '.join(wrong)} is not a number"
    return replace(scored, rewards=values | dict.fromkeys(wrong, 0.0), error=error)
