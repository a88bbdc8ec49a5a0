"""GRPO: reinforcement learning on pictures of formulas.

A run loads its start, prepares its prompts, may choose among them by the answers of the start, and
trains. It can be killed at any time and resumes from its last checkpoint.
"""

from __future__ import annotations

import importlib.util
import shutil
import time
from pathlib import Path
from typing import Any

import torch
import transformers
from accelerate import PartialState
from torch import Tensor
from trl.trainer.grpo_config import GRPOConfig as TrlConfig
from trl.trainer.utils import add_fused_lm_head

from texlens.errors import InputError
from texlens.model.load import Loaded, load_model
from texlens.model.merge import merged
from texlens.train.data.prepared import column
from texlens.train.grpo.collapse import CollapseCallback
from texlens.train.grpo.completions import PAGES, RECORDS, CompletionLog
from texlens.train.grpo.prefilter import PASS_RATES, prefilter
from texlens.train.grpo.prompts import Prompts, prepare_prompts, within_limit
from texlens.train.grpo.sampling.base import Sampling
from texlens.train.grpo.settings import MERGED_BASE, GrpoConfig
from texlens.train.grpo.trainer import FormulaGrpoTrainer
from texlens.train.network.adapters import (
    base_model,
    load_for_training,
    on_cpu,
    precision_of,
)
from texlens.train.network.probe import Split, choose_split
from texlens.train.rewards.functions import (
    BatchRewards,
    RewardSettings,
    check_requirements,
    need_references,
)
from texlens.train.run.dev_evaluation import dev_evaluator
from texlens.train.run.processes import connect, local_main_first
from texlens.train.run.run_folder import RunFolder, save_weights, step_of
from texlens.train.run.schedule import Schedule
from texlens.train.run.trl_trainers import (
    available_optimizer,
    run_training,
    split_of_run,
    trl_arguments,
)


def train_grpo(config: GrpoConfig, out: Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Train by a recipe, and leave adapter or model in `out`.

    It leaves what `train_sft` leaves, and `rewards.jsonl` (a line per completion), `completions/`
    (pages), `prefilter.jsonl` (pass rates, with a prefilter) and, where an adapter was merged
    first, `base/`: the model that the new adapter belongs to.

    Returns:
        The content of `run.json`.

    Raises:
        InputError: model, data or settings cannot be used, or the run in `out` was started with
            other settings.
    """
    transformers.utils.logging.disable_progress_bar()
    _require_vllm(config)
    check_requirements(config.rewards)
    config = config.model_copy(update={"optim": available_optimizer(config)})
    connect(config)
    run = RunFolder(config, out, overwrite=overwrite)
    groups = config.groups_per_step(run.processes)
    dev = dev_evaluator(config)
    loaded = within_limit(_start(config, run), config.max_prompt_length)
    with local_main_first():
        prompts = prepare_prompts(
            config.data,
            loaded,
            max_prompt_length=config.max_prompt_length,
            unlabelled=not need_references(config.rewards),
        )
    sampling, settings = sampling_and_rewards(
        loaded, temperature=config.temperature, top_p=config.top_p
    )
    if run.is_main_process:
        out.mkdir(parents=True, exist_ok=True)
        if overwrite:
            for name in (PASS_RATES, RECORDS):
                (out / name).unlink(missing_ok=True)
            shutil.rmtree(out / PAGES, ignore_errors=True)
    began = time.monotonic()
    if config.prefilter is not None:
        prompts = prefilter(prompts, loaded, config, out, sampling=sampling, settings=settings)
    if len(prompts) < groups:  # TRL would go through epochs without a step for ever
        raise InputError(
            f"{len(prompts)} prompts are left, and a step takes {groups}: give more data, or lower "
            "per_device_train_batch_size or gradient_accumulation_steps."
        )
    schedule = Schedule(config, steps_per_epoch=len(prompts) // groups)
    schedule.minutes = (time.monotonic() - began) / 60  # choosing prompts is part of the run
    run.write_start(prompts.record, loaded.model)
    checkpoint = run.last_checkpoint()
    completions = CompletionLog(
        out,
        config.rewards,
        page_steps=config.completion_page_steps,
        resumed_after=None if checkpoint is None else step_of(checkpoint),
    )
    arguments = trl_arguments(
        TrlConfig,
        run,
        schedule,
        max_completion_length=sampling.max_new_tokens,
        disable_tqdm=True,
        **_split(config, run, loaded, prompts, sampling.max_new_tokens),
    )
    trainer = FormulaGrpoTrainer(
        model=loaded.model,
        args=arguments,
        train_dataset=prompts.table(),
        processing_class=loaded.processor,
        rewards=BatchRewards(config.rewards, settings),
        sampling=sampling,
        completions=completions,
        resampling_rounds=config.resampling_rounds,
    )
    collapse = (
        [CollapseCallback(run, config.eval_steps, config.collapse_drop)]
        if dev.sets and config.collapse_drop is not None
        else []
    )
    return run_training(trainer, run, loaded, schedule, dev, *collapse)


def _split(
    config: GrpoConfig, run: RunFolder, loaded: Loaded, prompts: Prompts, most_tokens: int
) -> dict[str, Any]:
    """How a step's answers go through the network: as the recipe says, or by a trial on a GPU."""
    network = loaded.model

    def longest(size: int) -> dict[str, Tensor]:
        visual = column(prompts.data.table, "rows") * column(prompts.data.table, "columns")
        length = prompts.data.prompt.length + int(visual.max()) + most_tokens
        ids = torch.ones((size, length), dtype=torch.long, device=network.device)
        places = torch.arange(length, device=network.device).expand(3, size, -1)
        labels = torch.full_like(ids, -100)
        labels[:, -most_tokens:] = 1
        mask = torch.ones_like(ids)
        return {"input_ids": ids, "attention_mask": mask, "position_ids": places, "labels": labels}

    def loss(network: Any, batch: dict[str, Tensor]) -> Tensor:
        with torch.autocast("cuda", torch.bfloat16, enabled=precision_of(config) == "bfloat16"):
            log_probs: Tensor = network(**batch, fused_lm_head=True).log_probs
        return -log_probs.mean()

    def choose() -> Split:
        # The trainer adds this head again, around this one.
        add_fused_lm_head(base_model(network))
        return choose_split(network, config.examples_per_step(), longest, loss)

    return split_of_run(config, run, choose)


def sampling_and_rewards(
    loaded: Loaded, *, temperature: float, top_p: float
) -> tuple[Sampling, RewardSettings]:
    """How answers are sampled and rewarded, by the prompt configuration of the run."""
    ends = loaded.model.generation_config.eos_token_id
    end_tokens = tuple(ends) if isinstance(ends, list | tuple) else (ends,)
    if loaded.processor.tokenizer.eos_token_id is not None:
        end_tokens = (*end_tokens, loaded.processor.tokenizer.eos_token_id)
    longest = loaded.prompt_config.max_new_tokens
    sampling = Sampling(
        temperature=temperature,
        top_p=top_p,
        max_new_tokens=longest,
        end_tokens=end_tokens,
        forbidden_tokens=(int(loaded.model.config.image_token_id),),
    )
    settings = RewardSettings(
        answer_format=loaded.prompt_config.answer_format,
        max_tokens=longest,
        overlong_buffer=longest // 5,
        end_tokens=frozenset(end_tokens),
    )
    return sampling, settings


def _start(config: GrpoConfig, run: RunFolder) -> Loaded:
    """The network to train: a base with a new adapter, or an adapter to continue.

    On a CPU the weights stay in float32, and `precision: bfloat16` is only that of the arithmetic of
    training: so the adapter fits the base as it is read.
    """
    changes: dict[str, Any] = {}
    if on_cpu(config) and config.quantisation is None:
        changes["precision"] = "float32"
    if config.adapter_use == "merge":
        folder = run.out / MERGED_BASE
        if run.is_main_process and (run.last_checkpoint() is None or not folder.is_dir()):
            start = load_model(config.model, config.adapter, dtype="float32", device="cpu")
            save_weights(Loaded(merged(start.model), start.processor, start.prompt_config), folder)
        PartialState().wait_for_everyone()
        changes |= {"model": str(folder), "adapter": None}
    return load_for_training(config.model_copy(update=changes))


def _require_vllm(config: GrpoConfig) -> None:
    if config.use_vllm and importlib.util.find_spec("vllm") is None:
        raise InputError(
            "use_vllm needs the Python package 'vllm', which is not installed: install a version "
            "that TRL supports (docs/grpo.md), or leave use_vllm out of the recipe."
        )
