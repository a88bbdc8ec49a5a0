"""What a trial expects, where something is known to compare with.

The model's own behaviour (a loss falls, a merged model reads as its adapter does), figures of a report,
and speed and memory as they were measured at this shape. All other values have no verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

Size = Literal["small", "3b", "7b"]
Verdict = Literal["pass", "fail", ""]

GRPO_VALUES = {
    "reward": ("reward", 3),
    "dead_groups": ("share of groups with equal rewards", 2),
    "tokens": ("tokens an answer", 0),
    "step_time": ("seconds a step", 2),
    "seconds_sampling": ("seconds sampling", 2),
    "seconds_rewards": ("seconds rewarding", 2),
}
"""The values of GRPO's log that are shown, with their names and decimal places."""

_STEPS_TO_LEARN = 20  # a loss of fewer steps is noise
_SAME_AFTER_MERGE = 0.95  # rounding to bfloat16 changes a few answers
# Values of a report, by model, source of the pictures and metric; 100 pictures are a small sample.
_REPORTED = {("Qwen/Qwen2.5-VL-3B-Instruct", "latex-formulas", "cdm"): 0.91}
_OF_REPORTED = 0.05
# What a trial of the 3B's shape took on an H100, with random weights (docs/measurements.md), and room
# for other hosts: the lowest and the highest value.
_MEASURED_CARD = "H100"
_MEASURED = {
    ("stage 1", "examples a second"): (12.0, 60.0),
    ("stage 2", "examples a second"): (5.0, 30.0),
    ("stage 1", "peak memory (GiB)"): (10.0, 24.0),
    ("stage 2", "peak memory (GiB)"): (10.0, 24.0),
    ("GRPO", "seconds a step"): (5.0, 20.0),
    ("GRPO", "seconds sampling"): (2.5, 8.0),
    ("GRPO", "peak memory (GiB)"): (30.0, 78.0),
}


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the page. `expected` is empty, and so is the verdict, where nothing is known."""

    step: str
    name: str
    value: str
    expected: str = ""
    verdict: Verdict = ""
    advice: str = ""


def checks_of(
    found: Mapping[str, dict[str, Any]], *, model: str | None, size: Size, device: str
) -> list[Check]:
    """The checks of what the steps have found.

    Args:
        found: what each step measured: `base`, `stage1`, `stage2`, `grpo`, `tuned`, `merged`.
        model: the folder or name of the base; None: the embedded model.
        size: its size.
        device: the name of the device.
    """
    checks = [
        *_reading_checks("base reads", found["base"], model),
        *_training_checks("stage 1", found["stage1"]),
        *_training_checks("stage 2", found["stage2"]),
        *_grpo_checks(found["grpo"]),
        *_reading_checks("tuned reads", found["tuned"]),
        *_merge_checks(found["merged"], found["tuned"]),
    ]
    if size == "3b" and _MEASURED_CARD in device:
        checks = [_against_measured(check) for check in checks]
    return checks


def _reading_checks(step: str, found: dict[str, Any], base: str | None = None) -> Iterable[Check]:
    yield Check(
        step, "pictures with an error", f"{found['errors']}", "0", _verdict(found["errors"] == 0),
        "Look at the pictures: `texlens read data/test.parquet --json`.",
    )  # fmt: skip
    for key, value in found["scores"].items():
        check = Check(step, key, "n/a" if value is None else f"{value:.3f}")
        reported = _REPORTED.get((base, *found["sources"], key))
        if reported is not None and value is not None:
            low, high = reported - _OF_REPORTED, reported + _OF_REPORTED
            check = replace(
                check, expected=f"{low:.2f} to {high:.2f} (qwen-ocr: {reported})",
                verdict=_verdict(low <= value <= high),
                advice="Check the weights, the prompt and the versions: the base reads otherwise.",
            )  # fmt: skip
        yield check
    yield Check(step, "pictures a second", f"{found['pictures_per_second']:.2f}")
    yield from _costs(step, found)


def _training_checks(step: str, found: dict[str, Any]) -> Iterable[Check]:
    first, last = found["loss"]
    check = Check(step, "loss, first and last fifth", f"{first:.3f}, {last:.3f}")
    if found["steps"] >= _STEPS_TO_LEARN:
        check = replace(
            check, expected="it falls", verdict=_verdict(last < first),
            advice="Take more steps or a larger learning rate, or look for wrong pairs of picture and "
            "LaTeX.",
        )  # fmt: skip
    yield check
    yield Check(step, "examples a second", f"{found['examples_per_second']:.2f}")
    yield from _costs(step, found)


def _grpo_checks(found: dict[str, Any]) -> Iterable[Check]:
    for key, (name, places) in GRPO_VALUES.items():
        if key in found:
            yield Check("GRPO", name, f"{found[key]:.{places}f}")
    yield from _costs("GRPO", found)


def _merge_checks(found: dict[str, Any], before: dict[str, Any]) -> Iterable[Check]:
    pairs = list(zip(found["answers"], before["answers"], strict=True))
    same = sum(a == b for a, b in pairs) / len(pairs)
    check = Check("merged reads", "answers as with the adapter", f"{same:.2f}")
    if before["scores"]["exact"]:  # where nothing is read right, rounding decides what is read
        check = replace(
            check, expected=f"at least {_SAME_AFTER_MERGE}",
            verdict=_verdict(same >= _SAME_AFTER_MERGE),
            advice="Merge with --dtype float32, and compare the two by `texlens compare`.",
        )  # fmt: skip
    yield check
    yield from _reading_checks("merged reads", found)


def _costs(step: str, found: dict[str, Any]) -> Iterable[Check]:
    yield Check(step, "peak memory (GiB)", f"{found['peak_gib']:.1f}")
    yield Check(step, "seconds", f"{found['seconds']:.0f}")


def _against_measured(check: Check) -> Check:
    """The check with the band that was measured at this shape, where there is one."""
    band = _MEASURED.get((check.step, check.name))
    if band is None:
        return check
    low, high = band
    return replace(
        check, expected=f"{low:g} to {high:g}", verdict=_verdict(low <= float(check.value) <= high),
        advice="Look for other work on this machine, and at the versions of torch and its libraries.",
    )  # fmt: skip


def _verdict(is_right: bool) -> Verdict:
    return "pass" if is_right else "fail"
