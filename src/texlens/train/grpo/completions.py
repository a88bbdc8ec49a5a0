"""What one can see of a GRPO run: every completion, how its rewards came about, and what it taught.

A run's folder gets `rewards.jsonl`, one line a completion, and every so many steps a page
`completions/step-000050.html` to look at: picture, drawn reference, drawn answers, rewards. The page
is self-contained, escapes what the model wrote, and may load or run nothing.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, pstdev
from typing import TYPE_CHECKING, Any

from texlens.images import data_address, encode_png
from texlens.pages import render_page
from texlens.runs import write_json_lines, write_text
from texlens.train.rewards.functions import ScoredCompletion
from texlens.train.rewards.pool import TIMEOUT
from texlens.train.rewards.rendered import MAX_DRAWN_CHARACTERS
from texlens.train.run.curves import read_log

if TYPE_CHECKING:
    from PIL.Image import Image

RECORDS = "rewards.jsonl"
PAGES = "completions"
GROUPS_SHOWN = 8
_SAME = 1e-8  # totals closer than this are equal, as in TRL
_ENOUGH_GROUPS = 20  # for a warning about dead ones


@dataclass(frozen=True, slots=True)
class Asked:
    """What one completion was an answer to: the picture (PIL's, or the bytes of a file) and prompt.

    The completions with the same `id` in one step are a group. `prompt` is a text or a list of
    messages.
    """

    id: str
    prompt: Any
    picture: Image | bytes | None = None


class CompletionLog:
    """Writes the records and pages of a run and sums up every step.

    `weights` are those of the rewards, by name. A page is written every `page_every` steps, never
    if 0. A run that is resumed after step `resumed_after` drops the records of later steps, which
    it will make again.
    """

    def __init__(
        self,
        folder: Path,
        weights: Mapping[str, float],
        *,
        page_every: int = 25,
        resumed_after: int | None = None,
    ) -> None:
        self.folder = folder
        self.weights = dict(weights)
        self.page_every = page_every
        self._recent: deque[tuple[bool, bool]] = deque(maxlen=100)  # groups: dead; all right
        self._warned = False
        self._resumed_after = resumed_after
        self._began = False

    def add(
        self, step: int, asked: Sequence[Asked], scored: Sequence[ScoredCompletion]
    ) -> dict[str, float]:
        """Record the completions of a step, all processes' together; the means for its log line.

        These are `reward` (the total) and `reward_std` (within groups), every reward as
        `reward_NAME`, `validity_bonus`, `similarity`, `exact`, `tokens`, `finished`, `dead_groups`
        (the share of groups whose answers all have the same total, which teach nothing), `timeouts`
        (a count).
        """
        if not self._began:  # not before: of several processes only one may touch the file
            self._began = True
            self._drop_later_records()
        with (self.folder / RECORDS).open("a", encoding="utf-8", errors="backslashreplace") as file:
            for question, completion in zip(asked, scored, strict=True):
                record = self._record(step, question, completion)
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
        if not scored:
            return {}
        groups = _groups(asked)
        summary = self._sum_up(groups, scored)
        self._warn_of_dead_groups()
        if self.page_every and step % self.page_every == 0:
            html = self._page(step, asked, scored, groups, summary)
            write_text(self.folder / PAGES / f"step-{step:06d}.html", html)
        return summary

    def _drop_later_records(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path, step = self.folder / RECORDS, self._resumed_after
        write_json_lines(path, [] if step is None else read_log(path, up_to_step=step))

    def _record(self, step: int, asked: Asked, scored: ScoredCompletion) -> dict[str, Any]:
        return {
            "step": step,
            "id": asked.id,
            "prompt": prompt_text(asked.prompt),
            "response": scored.response,
            "answer": scored.answer,
            "reference": scored.reference,
            "rewards": dict(scored.rewards),
            "validity_bonus": scored.validity_bonus,
            "similarity": scored.similarity,
            "total": scored.total(self.weights),
            "exact": scored.exact,
            "tokens": scored.tokens,
            "finished": scored.finished,
            "error": scored.error,
        }

    def _sum_up(
        self, groups: Mapping[str, Sequence[int]], scored: Sequence[ScoredCompletion]
    ) -> dict[str, float]:
        totals = [s.total(self.weights) for s in scored]
        spreads = [pstdev([totals[i] for i in group]) for group in groups.values()]
        dead = [spread < _SAME for spread in spreads]
        right = [all(scored[i].exact for i in group) for group in groups.values()]
        self._recent.extend(zip(dead, right, strict=True))
        rewards = {
            f"reward_{name}": fmean(s.rewards[name] for s in scored) for name in self.weights
        }
        return {
            "reward": fmean(totals),
            "reward_std": fmean(spreads),
            **rewards,
            "validity_bonus": fmean(s.validity_bonus for s in scored),
            "similarity": fmean(s.similarity for s in scored),
            "exact": fmean(s.exact for s in scored),
            "tokens": fmean(s.tokens for s in scored),
            "finished": fmean(s.finished for s in scored),
            "dead_groups": fmean(dead),
            "timeouts": sum(s.error == TIMEOUT for s in scored),
        }

    def _warn_of_dead_groups(self) -> None:
        """Say it once, when more than half of the recent groups taught nothing."""
        dead = [right for is_dead, right in self._recent if is_dead]
        n = len(self._recent)
        if self._warned or n < _ENOUGH_GROUPS or len(dead) <= n / 2:
            return
        self._warned = True
        print(dead_groups_warning(len(dead), n, sum(dead)), file=sys.stderr, flush=True)

    def _page(
        self,
        step: int,
        asked: Sequence[Asked],
        scored: Sequence[ScoredCompletion],
        groups: Mapping[str, Sequence[int]],
        summary: Mapping[str, float],
    ) -> str:
        """The page of a step: its first groups."""
        shown = list(groups.items())[:GROUPS_SHOWN]
        drawings = _drawings([scored[i] for _, group in shown for i in group])
        return render_page(
            "texlens.train.grpo",
            "completions",
            title=f"Completions of step {step}",
            summary={name: f"{value:.4g}" for name, value in summary.items()},
            names=list(self.weights),
            groups=[
                self._group_context(id_, [(asked[i], scored[i]) for i in group], drawings)
                for id_, group in shown
            ],
            left_out=len(groups) - len(shown),
        )

    def _group_context(
        self,
        id_: str,
        group: Sequence[tuple[Asked, ScoredCompletion]],
        drawings: Mapping[str, str],
    ) -> dict[str, Any]:
        """What the template shows of a group, the best completion first, equal ones once."""
        asked, first = group[0]
        totals = [(scored.total(self.weights), scored) for _, scored in group]
        times = Counter(scored.response for _, scored in totals)
        different = {scored.response: (total, scored) for total, scored in totals}
        best_first = sorted(different.values(), key=lambda pair: -pair[0])
        return {
            "id": id_,
            "dead": best_first[0][0] - best_first[-1][0] < _SAME,
            "picture": _picture_address(asked.picture),
            "reference": first.reference,
            "reference_drawing": drawings.get(first.reference),
            "prompt": prompt_text(asked.prompt),
            "completions": [
                {
                    "drawing": drawings.get(scored.answer or ""),
                    "answer": scored.answer,
                    "response": scored.response,
                    "error": scored.error,
                    "times": times[scored.response],
                    "total": total,
                    "rewards": [scored.rewards[name] for name in self.weights],
                    "tokens": scored.tokens,
                    "finished": scored.finished,
                }
                for total, scored in best_first
            ],
        }


def dead_groups_warning(dead: int, groups: int, all_right: int) -> str:
    """What to say when `dead` of `groups` taught nothing, `all_right` of them by being right."""
    advice = (
        "most were answered right throughout: choose harder prompts with --prefilter, or raise the "
        "temperature"
        if all_right > dead / 2
        else "most were never right: train longer by SFT first, choose prompts with --prefilter, "
        "or reward in finer steps (cdm, layout)"
    )
    return (
        f"Of the last {groups} groups {dead} ({dead / groups:.0%}) taught nothing, because all "
        f"their answers got the same reward; {advice}. More generations a prompt help in any case."
    )


def prompt_text(prompt: object) -> str:
    """The words of a prompt: a text, or a list of messages whose contents are texts or parts."""
    if isinstance(prompt, str):
        return prompt
    if isinstance(prompt, Mapping):
        return prompt_text(prompt["content"] if "content" in prompt else prompt.get("text", ""))
    if isinstance(prompt, list | tuple):
        return "\n".join(filter(None, map(prompt_text, prompt)))
    return ""


def _groups(asked: Sequence[Asked]) -> dict[str, list[int]]:
    """The places of the completions of every picture, by its id."""
    groups: dict[str, list[int]] = {}
    for place, question in enumerate(asked):
        groups.setdefault(question.id, []).append(place)
    return groups


def _drawings(scored: Sequence[ScoredCompletion]) -> dict[str, str]:
    """References and answers as addresses of SVG pictures, by their LaTeX; those that can be drawn.

    What took too long once is left out.
    """
    from texlens.render import svg_many

    texts = {s.reference for s in scored} | {s.answer for s in scored if s.error != TIMEOUT}
    wanted = [text for text in texts if text and len(text) <= MAX_DRAWN_CHARACTERS]
    drawn = svg_many(wanted)
    return {
        text: data_address(svg.encode("utf-8", errors="replace"))
        for text, svg in zip(wanted, drawn, strict=True)
        if isinstance(svg, str)
    }


def _picture_address(picture: Image | bytes | None) -> str | None:
    if picture is None:
        return None
    return data_address(picture if isinstance(picture, bytes) else encode_png(picture))
