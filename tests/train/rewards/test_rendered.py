"""The rendered rewards: what is compared, what is too large, and that nothing stops them."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from texlens.metrics.layout.metric import Layout
from texlens.train.rewards.rendered import (
    FAULT,
    MAX_RENDERED_CHARACTERS,
    MAX_RENDERED_DEPTH,
    Renderer,
    score_rendered,
)
from texlens.workers import get_pool, pool


def test_pairs_come_back_in_their_order_and_as_from_one_process() -> None:
    pairs = [("x+y", "x+y"), ("a", "b"), ("x+y", "x+z"), (r"\frac{a}{b}", r"\frac{"), ("a", "b")]
    seen = score_rendered(pairs)
    renderer = Renderer()
    assert seen == [renderer.score(reference, [answer])[0] for reference, answer in pairs]
    assert (seen[0].cdm, seen[0].layout, seen[3].valid) == (1, 1, False)


def test_a_reference_that_cannot_be_drawn_gives_zero() -> None:
    seen = score_rendered([(r"\frac{", "x"), ("x " * MAX_RENDERED_CHARACTERS, "x")])
    assert [(s.valid, s.cdm, s.layout) for s in seen] == [(True, 0, 0)] * 2
    assert "cannot be drawn" in (seen[0].error or "")
    assert "too many to render" in (seen[1].error or "")


def test_what_is_too_large_is_not_even_tried() -> None:
    nested = r"\sqrt{" * 200 + "x" + "}" * 200
    coloured = r"\color{red}" * 180 + "x"  # far slower than others of its length
    seen = score_rendered([("x", "x " * 1_000_000), ("x", nested), (nested, "x"), ("x", coloured)])
    assert [s.error for s in seen] == [
        "the answer has 2000000 characters, too many to render",
        "the answer is nested 200 deep, too deep to render",
        "the reference is nested 200 deep, too deep to render",
        "the answer is nested 181 deep, too deep to render",
    ]
    assert MAX_RENDERED_DEPTH < 180


def test_an_answer_on_which_a_metric_fails_gets_zero_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from texlens.train.rewards import rendered

    def failing(self: Layout, *arguments: object) -> float:
        raise ValueError("of a library")

    monkeypatch.setattr(Layout, "value", failing)
    seen = rendered._score(Renderer(), "x+y", ["x+y", r"\frac{"])
    assert seen[0].error == f"{FAULT}: ValueError: of a library"
    assert (seen[1].error or "").startswith("does not parse")


@pytest.mark.skipif(os.name == "nt", reason="kill is POSIX")
def test_a_process_that_dies_by_itself_is_replaced() -> None:
    score_rendered([(f"x_{n}", f"x_{n}") for n in range(8)])  # all workers
    for pid in get_pool().pids:
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # a signal only asks
    assert score_rendered([("x", "x")])[0].cdm == 1


def test_processes_that_cannot_start_are_no_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    monkeypatch.setattr(pool, "_PAUSE_BETWEEN_STARTS", 0)
    monkeypatch.setattr(pool, "_pool", pool.Pool())
    seen = score_rendered([("x", "x"), ("y", "y")])
    assert all((s.error or "").startswith(f"{FAULT}: Worker processes end") for s in seen)
