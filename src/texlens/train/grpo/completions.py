"""The record of a GRPO run: every completion with its rewards, and pages to look at.

A run's folder gets `rewards.jsonl`, one line per completion, and every so many steps a page
`completions/step-000050.html`: picture, rendered reference, rendered answers, rewards. The page is
self-contained, escapes what the model wrote, and can load or run nothing.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, pstdev
from typing import TYPE_CHECKING, Any

from texlens.images import data_address, encode_png
from texlens.pages import render_page
from texlens.runs import write_json_lines, write_text
from texlens.train.rewards.functions import ScoredCompletion
from texlens.train.rewards.jobs import FAULT
from texlens.train.rewards.rendered import MAX_RENDERED_CHARACTERS
from texlens.train.run.curves import read_log

if TYPE_CHECKING:
    from PIL.Image import Image

RECORDS = "rewards.jsonl"
PAGES = "completions"
GROUPS_SHOWN = 8
SAME = 1e-8
"""Totals closer than this are equal, as in TRL."""
_MIN_GROUPS = 20  # for a warning about dead ones


@dataclass(frozen=True, slots=True)
class PromptRecord:
    """The prompt of one completion: a text or a list of messages, and the picture (or its file).

    The completions with the same `id` in one step are a group.
    """

    id: str
    prompt: Any
    picture: Image | bytes | None = None


class CompletionLog:
    """Writes the records and pages of a run and sums up every step.

    `weights` are those of the rewards, by name. A page is written every `page_steps` steps; never
    if 0. A run that was resumed after step `resumed_after` drops the records of later steps, which
    it will make again.
    """

    def __init__(
        self,
        folder: Path,
        weights: Mapping[str, float],
        *,
        page_steps: int = 25,
        resumed_after: int | None = None,
    ) -> None:
        self.folder = folder
        self.weights = dict(weights)
        self.page_steps = page_steps
        self._recent: deque[tuple[bool, bool]] = deque(maxlen=100)  # groups: dead; all right
        self._warned = False
        self._resumed_after = resumed_after
        self._began = False

    def add(
        self, step: int, prompts: Sequence[PromptRecord], scored: Sequence[ScoredCompletion]
    ) -> dict[str, float]:
        """Record the completions of a step, of all processes; the means for its log line.

        These are `reward` (the total) and `reward_std` (within groups), every reward as
        `reward_NAME`, `validity_bonus`, `similarity`, `exact`, `tokens`, `finished`, `answers` (how
        many were sampled), `dead_groups` (the part of the groups whose answers all have the same
        total, so that all advantages are 0), `faults` (a count: answers on which a worker process ended).
        """
        if not self._began:  # not before: of several processes only one may touch the file
            self._began = True
            self.folder.mkdir(parents=True, exist_ok=True)
            path, last = self.folder / RECORDS, self._resumed_after
            write_json_lines(path, [] if last is None else read_log(path, up_to_step=last))
        with (self.folder / RECORDS).open("a", encoding="utf-8", errors="backslashreplace") as file:
            for prompt, completion in zip(prompts, scored, strict=True):
                record = {
                    "step": step,
                    "id": prompt.id,
                    "prompt": prompt_text(prompt.prompt),
                    "total": completion.total(self.weights),
                } | asdict(completion)
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
        if not scored:
            return {}
        groups: dict[str, list[int]] = {}  # the places of the completions, by the id of the prompt
        for place, prompt in enumerate(prompts):
            groups.setdefault(prompt.id, []).append(place)
        summary = self._sum_up(groups, scored)
        self._warn_of_dead_groups()
        if self.page_steps and step % self.page_steps == 0:
            html = self._page(step, prompts, scored, groups, summary)
            write_text(self.folder / PAGES / f"step-{step:06d}.html", html)
        return summary

    def _sum_up(
        self, groups: Mapping[str, Sequence[int]], scored: Sequence[ScoredCompletion]
    ) -> dict[str, float]:
        totals = [s.total(self.weights) for s in scored]
        spreads = [pstdev([totals[i] for i in group]) for group in groups.values()]
        dead = [spread < SAME for spread in spreads]
        right = [all(scored[i].exact for i in group) for group in groups.values()]
        self._recent.extend(zip(dead, right, strict=True))
        measures = ("validity_bonus", "similarity", "exact", "tokens", "finished")
        return {
            "reward": fmean(totals),
            "reward_std": fmean(spreads),
            **{f"reward_{name}": fmean(s.rewards[name] for s in scored) for name in self.weights},
            **{name: fmean(getattr(s, name) for s in scored) for name in measures},
            "answers": len(scored),
            "dead_groups": fmean(dead),
            "faults": sum((s.error or "").startswith(FAULT) for s in scored),
        }

    def _warn_of_dead_groups(self) -> None:
        """Warn once, when more than half of the recent groups are dead."""
        dead = [right for is_dead, right in self._recent if is_dead]
        n = len(self._recent)
        if self._warned or n < _MIN_GROUPS or len(dead) <= n / 2:
            return
        self._warned = True
        print(dead_groups_warning(len(dead), n, sum(dead)), file=sys.stderr, flush=True)

    def _page(
        self,
        step: int,
        prompts: Sequence[PromptRecord],
        scored: Sequence[ScoredCompletion],
        groups: Mapping[str, Sequence[int]],
        summary: Mapping[str, float],
    ) -> str:
        """The page of a step: its first groups."""
        shown = list(groups.items())[:GROUPS_SHOWN]
        rendered = _rendered([scored[i] for _, group in shown for i in group])
        return render_page(
            "texlens.train.grpo",
            "completions",
            title=f"Completions of step {step}",
            summary={name: f"{value:.4g}" for name, value in summary.items()},
            names=list(self.weights),
            groups=[
                self._group_context(prompts[group[0]], [scored[i] for i in group], rendered)
                for _, group in shown
            ],
            left_out=len(groups) - len(shown),
        )

    def _group_context(
        self, prompt: PromptRecord, group: Sequence[ScoredCompletion], rendered: Mapping[str, str]
    ) -> dict[str, Any]:
        """What the template shows of a group, the best completion first, equal ones once."""
        times = Counter(scored.response for scored in group)
        different = {scored.response: (scored.total(self.weights), scored) for scored in group}
        best_first = sorted(different.values(), key=lambda pair: -pair[0])
        reference = group[0].reference
        return {
            "id": prompt.id,
            "dead": best_first[0][0] - best_first[-1][0] < SAME,
            "picture": _picture_address(prompt.picture),
            "reference": reference,
            "rendered_reference": rendered.get(reference),
            "prompt": prompt_text(prompt.prompt),
            "completions": [
                {
                    "scored": scored,
                    "rendered": rendered.get(scored.answer or ""),
                    "times": times[scored.response],
                    "total": total,
                }
                for total, scored in best_first
            ],
        }


def dead_groups_warning(dead: int, groups: int, all_right: int) -> str:
    """The warning that `dead` of `groups` have equal rewards, `all_right` of them by being right."""
    advice = (
        "in most of them all answers were right: choose harder prompts with --prefilter, or raise "
        "the temperature"
        if all_right > dead / 2
        else "in most of them no answer was right: train longer by SFT first, choose prompts with "
        "--prefilter, or use rewards in finer steps (cdm, layout)"
    )
    return (
        f"In {dead} of the last {groups} groups ({dead / groups:.0%}) all answers got the same "
        f"reward, so the model learnt nothing from them; {advice}. More generations per prompt "
        "help in any case."
    )


def prompt_text(prompt: object) -> str:
    """The text of a prompt: a text, or a list of messages whose contents are texts or parts."""
    if isinstance(prompt, str):
        return prompt
    if isinstance(prompt, Mapping):
        return prompt_text(prompt["content"] if "content" in prompt else prompt.get("text", ""))
    if isinstance(prompt, list | tuple):
        return "\n".join(filter(None, map(prompt_text, prompt)))
    return ""


def _rendered(scored: Sequence[ScoredCompletion]) -> dict[str, str]:
    """References and answers as data addresses of SVG pictures, by their LaTeX.

    What cannot be rendered is left out.
    """
    from texlens.render import svg_many

    texts = {text for s in scored for text in (s.reference, s.answer)}
    wanted = [text for text in texts if text and len(text) <= MAX_RENDERED_CHARACTERS]
    return {
        text: data_address(svg.encode("utf-8", errors="replace"))
        for text, svg in zip(wanted, svg_many(wanted), strict=True)
        if isinstance(svg, str)
    }


def _picture_address(picture: Image | bytes | None) -> str | None:
    if picture is None:
        return None
    return data_address(picture if isinstance(picture, bytes) else encode_png(picture))
