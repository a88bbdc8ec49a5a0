"""Rejection-sampling fine-tuning: sample, choose, and train on what was chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from texlens.errors import InputError
from texlens.train.grpo.prompts import within_limit
from texlens.train.network.adapters import load_for_training
from texlens.train.rewards.functions import check_requirements
from texlens.train.rft.answers import EXAMPLES, RECORDS, SUMMARY, choose_answers
from texlens.train.rft.settings import RftConfig
from texlens.train.run.processes import process_count
from texlens.train.sft.train import train_sft

_SHORTEST_MINUTES = 0.01


def train_rft(config: RftConfig, out: Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Train by a recipe on the start's own best answers, and leave adapter or model in `out`.

    It leaves what `train_sft` leaves, and what `choose_answers` writes. A run that was stopped while
    it sampled starts again; later it goes on from its last checkpoint.

    Returns:
        The content of `run.json`.

    Raises:
        InputError: model, data or settings cannot be used, there are several processes, or no answer
            is worth enough.
    """
    if process_count() > 1:
        raise InputError("RFT works with one process: sample and train on one device.")
    check_requirements(config.answers.rewards)
    out.mkdir(parents=True, exist_ok=True)
    if overwrite:
        for name in (EXAMPLES, RECORDS, SUMMARY):
            (out / name).unlink(missing_ok=True)
    start = load_for_training(config)
    start.model.eval()
    chosen = choose_answers(config, within_limit(start, config.answers.max_prompt_length), out)
    del start
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    changes: dict[str, Any] = {"data": [{"parquet": out / EXAMPLES}]}
    if config.minutes is not None:
        changes["minutes"] = max(config.minutes - chosen["minutes"], _SHORTEST_MINUTES)
    return train_sft(config.sft(**changes), out, overwrite=overwrite)
