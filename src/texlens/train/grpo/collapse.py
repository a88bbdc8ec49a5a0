"""A run whose reward rises while its dev value falls: the model serves the reward, not the reader."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import Any

from transformers import TrainerCallback

from texlens.metrics.registry import goodness
from texlens.train.run.processes import from_main
from texlens.train.run.run_folder import RunFolder

_EVALUATIONS = 2  # in a row: one may be low by chance
_SHARE = 3  # the reward is compared over the first and the last third of the steps since the best


def find_collapse(
    log: Iterable[Mapping[str, Any]], dev_set: str, metric: str, drop: float
) -> str | None:
    """A sentence that says how a run has collapsed; None for one that has not.

    It has when the last two dev values are worse than the best by more than `drop`, and the mean
    reward has risen since the best.

    Args:
        log: the lines of `log.jsonl`.
        dev_set, metric: what chooses the best weights.
        drop: a difference of the metric.
    """
    records = list(log)
    name = f"{dev_set}_{metric}"
    dev = [(record["step"], record[name]) for record in records if record.get(name) is not None]
    if not dev:
        return None
    best_step, best = max(dev, key=lambda one: goodness(metric, one[1]))
    since = [value for step, value in dev if step > best_step][-_EVALUATIONS:]
    worse = [goodness(metric, best) - goodness(metric, value) > drop for value in since]
    if len(since) < _EVALUATIONS or not all(worse):
        return None
    rewards = [r["reward"] for r in records if "reward" in r and r["step"] > best_step]
    part = len(rewards) // _SHARE
    if part == 0 or (late := fmean(rewards[-part:])) <= (early := fmean(rewards[:part])):
        return None
    return (
        f"{metric} of {dev_set} has gone from {best:.3f} at step {best_step} to {since[-1]:.3f}, while the "
        f"reward rose from {early:.3f} to {late:.3f}"
    )


class CollapseCallback(TrainerCallback):
    """Ends a run that has collapsed, and lets it end with its best weights.

    To be added after the callback that reads the dev sets.
    """

    def __init__(self, run: RunFolder, every: int, drop: float) -> None:
        self.run, self.every, self.drop = run, every, drop

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """After an evaluation, look for a collapse."""
        if state.global_step % self.every:
            return
        assert self.run.config.best_metric is not None
        found = from_main(find_collapse(self.run.log(), *self.run.config.best_metric, self.drop))
        if found is None:
            return
        control.should_training_stop = True
        self.run.end_with_best(found)
        if self.run.is_main_process:
            print(
                f"The run ends at step {state.global_step}: {found}. Its weights are the best ones.",
                file=sys.stderr,
            )
