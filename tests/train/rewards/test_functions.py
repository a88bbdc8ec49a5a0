"""Rewards of texts, rewards of drawn answers, and the pass that computes them together."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from texlens.errors import InputError
from texlens.metrics.base import Pair
from texlens.metrics.cache import DrawingStore
from texlens.metrics.cdm.metric import Cdm
from texlens.metrics.layout.metric import Layout
from texlens.reading.answers import parse_answer
from texlens.train.rewards import functions
from texlens.train.rewards.functions import (
    NAMES,
    REWARDS,
    BatchRewards,
    RewardSettings,
    score_completions,
)
from texlens.train.rewards.rendered import Rendered, score_rendered
from texlens.train.rewards.text import tag_order

REFERENCE = r"\frac { a } { b } + x ^ { 2 } = \sum _ { i = 1 } ^ { n } y _ { i }"
ANSWERS = [
    REFERENCE,
    r"\frac{a}{b}+x^2=\sum_{i=1}^n y_i",
    r"\frac{a}{c}+x^{2}=\sum_{i=1}^{n} y_{j}",
    r"x^{2} = \sum y",
    "z",
    r"\frac{a}{b",
    "",
]


def test_rendered_rewards_are_the_metrics_behind_the_gate() -> None:
    drawings = DrawingStore(on_disk=False)
    pairs = [Pair.of(REFERENCE, answer) for answer in ANSWERS[:5]]
    for name, metric in (("cdm", Cdm()), ("layout", Layout())):
        expected = [score.values[name] for score in metric.score_items(pairs, drawings)]
        got = REWARDS[name](ANSWERS, [REFERENCE] * len(ANSWERS))
        assert got == [*expected, 0.0, 0.0]
        assert got[0] == got[1] == 1.0 > got[2] > got[3] > 0


def test_what_katex_refuses_gets_nothing_though_it_could_be_drawn() -> None:
    answer = r"\frac { a } { b } + x ^ { 2 } = \sum _ { i = 1 } ^ { n } y _ { i } \ref { a }"
    record = score_completions([answer], [REFERENCE], rewards=["cdm", "layout"])[0]
    drawn = Cdm().score_items([Pair.of(REFERENCE, answer)], DrawingStore(on_disk=False))[0]
    assert (drawn.values["cdm"] or 0) > 0.9
    assert record.rewards == {"cdm": 0.0, "layout": 0.0}
    assert record.error is not None
    assert record.error.startswith("does not parse")


def test_a_reward_is_the_same_in_any_batch() -> None:
    alone = [score_completions([a], [REFERENCE])[0] for a in ANSWERS]
    together = score_completions(ANSWERS, [REFERENCE] * len(ANSWERS))
    mixed = score_completions(
        ["x", *reversed(ANSWERS), "y", *ANSWERS], ["x", *[REFERENCE] * 7, "x", *[REFERENCE] * 7]
    )
    assert alone == together == mixed[1:8][::-1] == mixed[9:]


def test_answer_format_says_where_the_answer_stands() -> None:
    tagged, bare = "<think>x</think><answer>a+b</answer>", "a+b"

    def cdm(text: str, form: str | None) -> float:
        record = score_completions([text], ["a+b"], settings=RewardSettings(form))  # type: ignore[arg-type]
        return record[0].rewards["cdm"]

    assert [cdm(tagged, form) for form in ("think_answer", None)] == [1, 1]
    assert [cdm(bare, form) for form in ("think_answer", "plain", None)] == [0, 1, 1]
    assert cdm(tagged, "plain") < 1
    assert cdm("<answer>a+b", None) == 0
    plain = score_completions([bare], ["a+b"], settings=RewardSettings("plain"))[0]
    assert plain.rewards["validity_similarity"] == plain.rewards["exact_match_bonus"] == 2


def test_finished_by_the_last_token_or_by_the_text() -> None:
    by_token = RewardSettings("plain", max_tokens=4, end_tokens=frozenset([9]))
    ids = [[1, 9], [1, 2, 3, 4], [1, 2, 3, 9], []]
    records = score_completions(
        ["a", "a", "a", ""], ["a"] * 4, rewards=["finished"], settings=by_token, completion_ids=ids
    )
    assert [record.finished for record in records] == [True, False, True, False]
    assert [record.tokens for record in records] == [2, 4, 4, 0]
    texts = ["<think>a</think><answer>a</answer>", "<answer>a", r"\frac{a}{b", r"\frac{a}{b}"]
    assert REWARDS["finished"](texts, ["a"] * 4) == [1, 0, 0, 1]


def test_overlong_falls_softly_to_minus_one() -> None:
    limits = RewardSettings("plain", max_tokens=100, overlong_buffer=20)
    ids = [[0] * n for n in (1, 80, 85, 90, 100, 130)]
    records = score_completions(
        ["a"] * 6, ["a"] * 6, rewards=["overlong"], settings=limits, completion_ids=ids
    )
    assert [r.rewards["overlong"] for r in records] == [0, 0, -0.25, -0.5, -1, -1]


def test_no_loop_sees_loops_in_answer_and_thoughts() -> None:
    loop = r"x _ { 1 } + " * 30
    texts = [REFERENCE, loop, f"<think>{'well ' * 40}", f"<think>a</think><answer>{loop}</answer>"]
    assert REWARDS["no_loop"](texts, [REFERENCE] * 4) == [1, 0, 0, 0]


TAGS = ["<think>", "</think>", "<ANSWER>", "</answer>", "a", "\n"]


@given(st.lists(st.sampled_from(TAGS), max_size=14).map("".join))
def test_tags_are_found_as_by_the_expressions_of_the_report(text: str) -> None:
    order = re.search(r"<think>.*?</think>.*?<answer>.*?</answer>", text, re.S | re.I)
    assert tag_order(text) == float(order is not None)
    answers = re.findall(r"<answer>(.*?)</answer>", text, re.S | re.I)
    assert parse_answer(text, "think_answer") == (answers[-1].strip() if answers else None)


RANGES = dict.fromkeys(NAMES, (0.0, 1.0)) | {
    "validity_similarity": (0.0, 2.0),
    "exact_match_bonus": (0.0, 2.0),
    "overlong": (-1.0, 0.0),
}
PIECES = ["<think>", "</think>", "<answer>", "</answer>", *"\\{}$%&^_~#ab1 \n\t", "\ud800", "é漢😀",
          r"\frac", r"\left(", r"\right", r"\begin{array}{c}", r"\end{array}", r"\def\x{\x\x}\x",
          r"\mathchoice", r"\text{", r"\newcommand"]  # fmt: skip
GARBAGE = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=40).map("".join),
    st.text(max_size=60),
    st.none(),
    st.integers(),
    st.binary(max_size=3),
    st.lists(st.dictionaries(st.sampled_from(["role", "content"]), st.text() | st.none())),
)


@settings(max_examples=60)
@given(st.lists(st.tuples(GARBAGE, GARBAGE), max_size=6))
def test_no_garbage_raises(batch: list[tuple[object, object]]) -> None:
    records = score_completions([c for c, _ in batch], [t for _, t in batch])
    assert len(records) == len(batch)
    for record in records:
        assert list(record.rewards) == list(NAMES)
        for name, value in record.rewards.items():
            low, high = RANGES[name]
            assert math.isfinite(value)
            assert low <= value <= high, name


@pytest.mark.filterwarnings("ignore:.*completions came with")
def test_no_arguments_raise() -> None:
    for reward in REWARDS.values():
        assert reward(None, None) == reward([], []) == []
        assert reward(["a"], None) == [0.0]
        assert reward(["a"], ["a"], completion_ids=None, other=object()) is not None


def test_a_response_without_end_is_not_read() -> None:
    hostile = ["<think>" * 200_000, "<answer>" * 200_000, "{" * 1_000_000, r"\frac{a}{b}" * 50_000]
    records = score_completions(hostile, ["a"] * 4)
    assert all(set(record.rewards.values()) == {0.0} for record in records)
    assert all("too many" in (record.error or "") for record in records)


def test_a_batch_is_scored_once_for_all_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def counted(pairs: Sequence[tuple[str, str]]) -> list[Rendered]:
        calls.append(len(pairs))
        return score_rendered(pairs)

    monkeypatch.setattr(functions, "score_rendered", counted)
    weights = {"layout": 1.0, "cdm": 0.5, "finished": 0.25, "validity_similarity": 0.0}
    batch = BatchRewards(weights, RewardSettings("plain"))
    assert [function.__name__ for function in batch.functions] == list(weights)
    assert batch.weights == [1.0, 0.5, 0.25, 0.0]
    completions = [[{"role": "assistant", "content": text}] for text in ANSWERS]
    columns = {"solution": [REFERENCE] * 7, "prompts": ["p"] * 7, "trainer_state": object()}
    values = [function(completions=completions, **columns) for function in batch.functions]
    assert len(calls) == 1
    for i, record in enumerate(batch.last):
        assert [column[i] for column in values] == list(record.rewards.values())
        total = sum(w * v for w, v in zip(batch.weights, (c[i] for c in values), strict=True))
        assert record.total(weights) == total
    batch.functions[0](completions=completions[:2], solution=[REFERENCE] * 2)
    assert (len(calls), len(batch.last)) == (2, 2)


@pytest.mark.parametrize(("weights", "what"), [({"cdn": 1.0}, "'cdn'"), ({}, "No reward")])
def test_an_unknown_reward_is_an_input_error(weights: dict[str, float], what: str) -> None:
    with pytest.raises(InputError, match=what):
        BatchRewards(weights, RewardSettings())
