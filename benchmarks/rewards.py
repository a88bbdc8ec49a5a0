"""How many completions a second can be rewarded, and how much of a training step is that?

    python benchmarks/rewards.py FORMULAS.parquet [--rows 6500:7000] [--step-seconds 30]
    python benchmarks/rewards.py FORMULAS.parquet --records runs/grpo/rewards.jsonl

Completions are answers of a run (`--records`), or made: 8 to a formula of the file, all different,
with 1 to 6 of the formula's letters and digits replaced (seed 0). Prints, for `cdm`, `layout` and
KaTeX validity with nothing cached: completions per second of processor time in one process, and by
the clock through a pool of one worker; all rewards by the clock; how long an answer holds up a
batch that takes too long to draw; and, given the seconds a step takes, the share of the rewards of
a step in it. On a machine that others use processor time is the fairer figure.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import time
from pathlib import Path

from texlens.data.parquet import read_examples
from texlens.train.rewards import NAMES, RewardSettings, score_completions
from texlens.train.rewards_pool import TIMEOUT, RewardPool, portions
from texlens.train.rewards_rendered import Renderer

ANSWERS_A_FORMULA = 8
LETTERS = ["x", "y", "a", "i", "n", "0", "1", "2", r"\alpha", r"\beta"]
MONSTER = r"\underbrace{" * 150 + "x" + "}" * 150

Groups = dict[str, list[str]]  # the answers to every truth


def made_up(parquet: Path, rows: slice) -> Groups:
    source = random.Random(0)
    formulas = [example.latex_formula for example in read_examples(parquet)][rows]
    groups: Groups = {}
    for formula in dict.fromkeys(formulas):
        answers: dict[str, None] = {}
        for _ in range(10 * ANSWERS_A_FORMULA):
            tokens = formula.split(" ")
            places = [i for i, token in enumerate(tokens) if len(token) == 1 and token.isalnum()]
            for place in source.sample(places, min(len(places), source.randint(1, 6))):
                tokens[place] = source.choice(LETTERS)
            answers[" ".join(tokens)] = None
            if len(answers) == ANSWERS_A_FORMULA:
                break
        groups[formula] = list(answers)
    return groups


def of_a_run(records: Path) -> Groups:
    """The answers of a run, equal ones to a truth once."""
    groups: Groups = {}
    for line in records.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if record["answer"] and record["answer"] not in groups.setdefault(record["truth"], []):
            groups[record["truth"]].append(record["answer"])
    return {truth: answers for truth, answers in groups.items() if answers}


def processor_seconds(groups: Groups) -> float:
    """Of one process that does nothing else, warm."""
    renderer = Renderer()
    renderer.warm_up()
    for truth, answers in list(groups.items())[:20]:
        renderer.score(truth + " +", answers)
    start = time.process_time()
    for truth, answers in groups.items():
        renderer.draw_truth(truth)
        for some in portions(answers):
            renderer.score(truth, some)
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parquet", type=Path)
    parser.add_argument("--rows", default="6500:7000")
    parser.add_argument("--records", type=Path)
    parser.add_argument("--step-seconds", type=float)
    parser.add_argument("--step-completions", type=int, default=64)
    arguments = parser.parse_args()
    first, last = map(int, arguments.rows.split(":"))
    groups = (
        of_a_run(arguments.records)
        if arguments.records
        else made_up(arguments.parquet, slice(first, last))
    )
    pairs = [(truth, answer) for truth, answers in groups.items() for answer in answers]
    n = len(pairs)
    characters = sum(len(answer) for _, answer in pairs) / n
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"Python {platform.python_version()}; {n} different answers to {len(groups)} formulas, "
        f"{characters:.0f} characters each"
    )
    seconds = processor_seconds(groups)
    print(f"cdm + layout + validity, one process:  {n / seconds:6.0f} a second of processor time")
    with RewardPool(1) as pool:
        pool.score([("x", "x")])
        start = time.perf_counter()
        seen = pool.score(pairs)
        seconds = time.perf_counter() - start
        late = sum(rendered.error == TIMEOUT for rendered in seen)
        print(f"the same, a pool of one worker:        {n / seconds:6.0f} a second by the clock")
        print(f"took longer than one may:              {late:6} of {n}")

        start = time.perf_counter()
        score_completions(
            [answer for _, answer in pairs],
            [truth + r" \!" for truth, _ in pairs],  # nothing is remembered
            settings=RewardSettings("plain"),
            pool=pool,
        )
        seconds = time.perf_counter() - start
        print(
            f"all {len(NAMES)} rewards:                        {n / seconds:6.0f} a second by the clock"
        )

        time.sleep(5)  # a spare stands ready
        start = time.perf_counter()
        assert pool.score([("x", MONSTER)])[0].error == TIMEOUT
        print(
            f"an answer that takes too long:         {1000 * (time.perf_counter() - start):6.0f} ms"
        )

        if arguments.step_seconds:
            some = pairs[: arguments.step_completions]
            start = time.perf_counter()
            score_completions(
                [answer for _, answer in some],
                [truth + r" \;" for truth, _ in some],
                settings=RewardSettings("plain"),
                pool=pool,
            )
            seconds = time.perf_counter() - start
            print(
                f"a step of {len(some)} completions in {arguments.step_seconds:.1f} s: rewards take "
                f"{seconds:.2f} s, {seconds / arguments.step_seconds:.1%}"
            )


if __name__ == "__main__":
    main()
