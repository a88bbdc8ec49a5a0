r"""The text rewards of the GRPO report: tags, brace validity with ROUGE-L, exact match.

"Small Model, Big Equations" trains Qwen2.5-VL to read formulas by GRPO with these rewards:

    tag_presence          0.25 for each of <think>, </think>, <answer>, </answer>, in any case
    tag_order             1 if <think>.*?</think>.*?<answer>.*?</answer> is found anywhere
    validity_similarity   1 + ROUGE-L F1 of the answer if its braces match, else 0
    exact_match_bonus     2 if the answer is the reference, but for case and the space around

None of them parses the formula: a comment sign can hide a brace, and ROUGE-L uses letters and
digits alone. `train.rewards.functions` has these and others as functions for TRL.
"""

from __future__ import annotations

import re

from texlens.latex import braces_balanced
from texlens.metrics.text.rouge import rouge_score_f1

_TAGS = tuple(
    re.compile(tag, re.IGNORECASE) for tag in ("<think>", "</think>", "<answer>", "</answer>")
)


def tag_presence(response: str) -> float:
    """A quarter for each of the four tags that occurs, 0..1."""
    return 0.25 * sum(tag.search(response) is not None for tag in _TAGS)


def tag_order(response: str) -> float:
    """1 if the four tags occur in order, with anything between them, else 0.

    One search after the other gives the result of the report's expression in linear time; the
    expression takes cubic time on tags that are repeated and never closed.
    """
    end = 0
    for tag in _TAGS:
        found = tag.search(response, end)
        if found is None:
            return 0.0
        end = found.end()
    return 1.0


def validity_and_similarity(answer: str | None, reference: str) -> tuple[float, float]:
    """The two parts of `validity_similarity`: 1 and the ROUGE-L F1 (0..1), or 0 and 0.

    Both are 0 without an answer, for an empty answer or reference, and where the report's check of
    braces fails.
    """
    if answer is None or not braces_balanced(answer):
        return 0.0, 0.0
    answer, reference = _normalised(answer), _normalised(reference)
    if not answer or not reference:
        return 0.0, 0.0
    return 1.0, rouge_score_f1(reference, answer)


def exact_match_bonus(answer: str | None, reference: str) -> float:
    """2 if there is an answer and it equals the reference, both lower-cased and stripped, else 0."""
    return 2.0 if answer is not None and _normalised(answer) == _normalised(reference) else 0.0


def _normalised(text: str) -> str:
    return text.lower().strip()
