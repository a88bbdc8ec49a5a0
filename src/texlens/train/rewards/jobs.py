"""Answers scored in worker processes: one that ends its process, or hangs, costs no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import TypeVar

from texlens.workers import WorkerFault, in_threads, run_each, usable_cpus

Scored = TypeVar("Scored")
AnswerPair = TypeVar("AnswerPair", bound=tuple[object, str])

FAULT = "fault"
"""Begins the reason of a value that is 0 by a fault of ours."""


def score_in_workers(
    scorer: Callable[[], Callable[[Sequence[AnswerPair]], list[Scored]]],
    different: Sequence[AnswerPair],
    worth_nothing: Callable[[str], Scored],
    *,
    pairs_a_job: int,
) -> dict[AnswerPair, Scored]:
    """The score of each pair of what was to be read and an answer. Never raises.

    `scorer` is called in a worker process and makes what scores pairs there; `worth_nothing` makes
    the score of an answer that could not be scored, from the reason. The order of the pairs, no two
    of which are equal, decides which are in one job.
    """

    def score(pairs: list[AnswerPair]) -> list[Scored]:
        try:
            found = run_each(scorer, pairs)
        except Exception as error:  # no process can be started
            return [worth_nothing(f"{FAULT}: {error}")] * len(pairs)
        return [
            worth_nothing(f"{FAULT}: the answer {result}")
            if isinstance(result, WorkerFault)
            else result
            for result in found
        ]

    jobs = [list(different[i : i + pairs_a_job]) for i in range(0, len(different), pairs_a_job)]
    found = chain(*in_threads(score, jobs, usable_cpus()))
    return dict(zip(different, found, strict=True))
