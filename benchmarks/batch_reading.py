"""Greedy reading of whole sets at the speed of GRPO's sampler, for the experiments on trained models.

The sampler that GRPO uses on a GPU (`train.grpo.sampling`) reads a few hundred pictures at once. At a
temperature near 0 it takes the likeliest token each time. Unconstrained, one view of each picture. A
picture that cannot be prepared (no ink) is read as nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from paired import Values, judge
from texlens.data.labels.edits import shown
from texlens.latex import normalize
from texlens.model.load import load_model
from texlens.reading.answers import parse_response
from texlens.records import Prediction
from texlens.train.data.examples import dev_examples
from texlens.train.data.prepared import column, prepare_examples
from texlens.train.grpo.groups import open_groups, sample_answers
from texlens.train.grpo.prompts import Prompts
from texlens.train.grpo.sampling.sampler import Sampler
from texlens.train.grpo.train import sampling_and_rewards
from texlens.train.settings import DataFile, DevSet

_GREEDY = 1e-3  # temperature


class BatchReader:
    """A model, with an adapter or without, that reads sets greedily."""

    def __init__(self, model: str | Path | None, adapter: Path | None, *, batch: int = 256) -> None:
        self.loaded = load_model(model, adapter, device="auto", dtype="float32")
        # The limit of a training is in its adapter's prompt configuration; the start's counts.
        longest = load_model(model, device="cpu").prompt_config.max_new_tokens
        changed = self.loaded.prompt_config.model_copy(update={"max_new_tokens": longest})
        self.loaded = replace(self.loaded, prompt_config=changed)
        self.sampler = Sampler(self.loaded.model)
        self.batch = batch

    @torch.no_grad()
    def answers(self, pictures: DevSet) -> dict[str, tuple[str, bool]]:
        """By id: the formula that was read, in normal form, and whether the answer ended by itself."""
        files = [DataFile(parquet=pictures.parquet, rows=pictures.rows)]
        data = prepare_examples(
            files, self.loaded, max_length=sys.maxsize, unlabelled=True, quiet=True
        )
        prompts = Prompts(data, self.loaded.prompt_config, (), {})
        sizes = column(data.table, "rows") * column(data.table, "columns")
        wanted = {example.id for example in dev_examples(pictures)}
        ids = prompts.ids
        order = [int(place) for place in sizes.argsort() if ids[int(place)] in wanted]
        sampling, settings = sampling_and_rewards(self.loaded, temperature=_GREEDY, top_p=1.0)
        table, tokenizer = prompts.table(), self.loaded.processor.tokenizer
        found: dict[str, tuple[str, bool]] = {}
        for first in range(0, len(order), self.batch):
            rows: list[dict[str, Any]] = list(table.select(order[first : first + self.batch]))
            groups = open_groups(self.loaded.processor, rows)
            sample_answers(groups, self.sampler, sampling, tokenizer)
            texts = tokenizer.batch_decode([g.answers[0] for g in groups], skip_special_tokens=True)
            for group, text in zip(groups, texts, strict=True):
                ended = group.answers[0][-1] in sampling.end_tokens
                latex, warnings = parse_response(text, settings.answer_format, is_finished=ended)
                normal = " ".join(normalize(latex).split())
                found[group.row["id"]] = normal, not {"unfinished", "no_answer"} & set(warnings)
        return found

    def read(
        self, pictures: Sequence[DevSet], out: Path, name: str, *, unseen: bool, workers: int
    ) -> Values:
        """The value of every measure on every picture of these sets, in order, together.

        Args:
            pictures: the sets.
            out: the folder for the readings.
            name: of their file.
            unseen: whether im2latex's pictures, which do not show some spaces: those are then taken
                off labels and readings.
            workers: processes that score.
        """
        predictions, ended = [], []
        for some in pictures:
            answers = self.answers(some)
            for example in dev_examples(some):
                reference = " ".join(normalize(example.latex_formula).split())
                answer, whole = answers.get(example.id, ("", False))
                pair = (shown(reference), shown(answer)) if unseen else (reference, answer)
                predictions.append(Prediction(example.id, *pair))
                ended.append(whole)
        return judge(predictions, ended, out, name, workers)
