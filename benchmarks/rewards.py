"""How many completions a second can be rewarded, and how much of a training step is that?

    python benchmarks/rewards.py --formulas FORMULAS.parquet [--rows 6500:7000]
    python benchmarks/rewards.py --run runs/grpo

Completions are those of a GRPO run, equal answers to a reference once, or made: 8 to a formula of the
file, all different, with 1 to 6 of the formula's letters and digits replaced (seed 0). Prints, for
`cdm`, `layout` and KaTeX validity with nothing cached: completions per second of processor time in
one process, and by the clock through the worker processes; all rewards by the clock; and how long
an answer at the limits takes. Of a run also the share of rewards in the
time of a step, as it logged it. On a machine that others use processor time is the fairer figure.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import time
from pathlib import Path

from texlens.data.parquet import read_examples
from texlens.train.grpo.completions import RECORDS
from texlens.train.rewards.functions import NAMES, RewardSettings, score_completions
from texlens.train.rewards.rendered import MAX_RENDERED_DEPTH, Renderer, score_rendered
from texlens.train.run.curves import read_log

ANSWERS_A_FORMULA = 8
LETTERS = ["x", "y", "a", "i", "n", "0", "1", "2", r"\alpha", r"\beta"]
SLOWEST = r"\color{red}" * MAX_RENDERED_DEPTH + "x" * 1_500

Groups = dict[str, list[str]]  # the answers to every reference


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


def of_a_run(run: Path) -> Groups:
    groups: Groups = {}
    for record in read_log(run / RECORDS):
        if record["answer"] and record["answer"] not in groups.setdefault(record["reference"], []):
            groups[record["reference"]].append(record["answer"])
    return {reference: answers for reference, answers in groups.items() if answers}


def share_of_steps(run: Path) -> tuple[int, float, float]:
    """Logged steps of a run, and the mean seconds of rewarding and of a whole step."""
    log = [record for record in read_log(run / "log.jsonl") if "seconds_rewards" in record]
    rewarding = sum(record["seconds_rewards"] for record in log) / len(log)
    return len(log), rewarding, sum(record["step_time"] for record in log) / len(log)


def processor_seconds(groups: Groups) -> float:
    """Of one process that does nothing else, warm."""
    renderer = Renderer()
    renderer.warm_up()
    for reference, answers in list(groups.items())[:20]:
        renderer.score(reference + " +", answers)
    start = time.process_time()
    for reference, answers in groups.items():
        renderer.score(reference, answers)
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--formulas", type=Path)
    given.add_argument("--run", type=Path)
    parser.add_argument("--rows", default="6500:7000")
    arguments = parser.parse_args()
    if arguments.run:
        groups = of_a_run(arguments.run)
    else:
        groups = made_up(arguments.formulas, slice(*map(int, arguments.rows.split(":"))))
    pairs = [(reference, answer) for reference, answers in groups.items() for answer in answers]
    n = len(pairs)
    characters = sum(len(answer) for _, answer in pairs) / n
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"Python {platform.python_version()}; {n} different answers to {len(groups)} formulas, "
        f"{characters:.0f} characters each"
    )
    seconds = processor_seconds(groups)
    print(f"cdm + layout + validity, one process:  {n / seconds:6.0f} a second of processor time")
    score_rendered([("x", "x")])
    start = time.perf_counter()
    score_rendered(pairs)
    seconds = time.perf_counter() - start
    print(f"the same, in worker processes:         {n / seconds:6.0f} a second by the clock")

    start = time.perf_counter()
    score_completions(
        [answer for _, answer in pairs],
        [reference + r" \!" for reference, _ in pairs],  # nothing is remembered
        settings=RewardSettings("plain"),
    )
    seconds = time.perf_counter() - start
    print(
        f"all {len(NAMES)} rewards:                        {n / seconds:6.0f} a second by the clock"
    )

    start = time.perf_counter()
    score_rendered([("x", SLOWEST)])
    print(f"an answer at the limits:               {1000 * (time.perf_counter() - start):6.0f} ms")

    if arguments.run:
        lines, rewarding, whole = share_of_steps(arguments.run)
        print(
            f"of the run, by {lines} lines of its log: rewards take {rewarding:.2f} s of the "
            f"{whole:.2f} s of a step, {rewarding / whole:.1%}"
        )


if __name__ == "__main__":
    main()
