"""GRPO: reinforcement learning on pictures of formulas, with rewards that look at the answer.

Read from top to bottom: a run finds its start, prepares its prompts, may choose among them by what
the start makes of them, and trains. It can be killed at any time and goes on from its last
checkpoint. `adapters` makes the network, `grpo_prompts` and `grpo_prefilter` what it is asked,
`grpo_sampling` draws the answers, `rewards` judges them, `completions` records them, `tuning_run`
keeps the run's folder.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import transformers
from trl.trainer.grpo_config import GRPOConfig as TrlConfig

from texlens.errors import InputError
from texlens.model.load import Loaded, load_model
from texlens.train.grpo.completions import PAGES, RECORDS, CompletionLog
from texlens.train.grpo.prefilter import PASS_RATES, prefilter
from texlens.train.grpo.prompts import Prompts, prepare_prompts, within_limit
from texlens.train.grpo.sampling import Sampling
from texlens.train.grpo.settings import GrpoConfig
from texlens.train.grpo.trainer import FormulaGrpoTrainer
from texlens.train.rewards.functions import RENDERED, BatchRewards, RewardSettings
from texlens.train.rewards.pool import RewardPool
from texlens.train.run.adapters import count_parameters, load_for_training, on_cpu
from texlens.train.run.budget import Budget
from texlens.train.run.dev_evaluation import DevReader
from texlens.train.run.run_folder import TuningRun, save_weights
from texlens.train.run.trl_trainers import RunTrainer

_MERGED_START = "base"


def train_grpo(config: GrpoConfig, out: Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Train by a recipe, and leave adapter or model in `out`.

    What it leaves is what `train_sft` does, and `rewards.jsonl` (a line a completion),
    `completions/` (pages), `prefilter.jsonl` (pass rates, with a prefilter) and, where an adapter
    was merged first, `base/`: the model that the new adapter belongs to.

    Returns what `run.json` holds.
    Raises InputError when model, data or settings cannot be used, or the run in `out` was begun
    with other settings.
    """
    transformers.utils.logging.disable_progress_bar()
    _require_vllm(config)
    config = config.model_copy(update={"optimizer": _optimizer(config)})
    run = TuningRun(config, out, overwrite=overwrite)
    groups = config.groups_per_step(run.processes)
    dev = DevReader(config.dev, config.dev_metrics)
    loaded = within_limit(_start(config, run), config.max_prompt_tokens)
    prompts = prepare_prompts(config, loaded)
    sampling, settings = _limits(config, loaded)
    if run.writes:
        out.mkdir(parents=True, exist_ok=True)
        if overwrite:
            _throw_away(out)
    with _pool(config) as pool:
        began = time.monotonic()
        if config.prefilter is not None:
            # The first process answers; the others wait, and read what it found.
            if not run.writes:
                _wait_for_all()
            prompts = prefilter(
                prompts, loaded, config, out, sampling=sampling, settings=settings, pool=pool
            )
            if run.writes:
                _wait_for_all()
        budget = Budget(config, steps_per_epoch=max(1, len(prompts.table) // groups))
        budget.minutes = (time.monotonic() - began) / 60  # choosing prompts is part of the run
        trained, total = count_parameters(loaded.model)
        run.write_start(prompts.record, {"trained": trained, "total": total})
        checkpoint = run.resume(budget)
        log = CompletionLog(
            out,
            config.rewards,
            page_every=config.page_every,
            resumed_after=None if checkpoint is None else int(checkpoint.rpartition("-")[2]),
        )
        trainer = Trainer(
            config, run, loaded, prompts, budget, dev,
            rewards=BatchRewards(config.rewards, settings, pool),
            sampling=sampling,
            completions=log if run.writes else None,
        )  # fmt: skip
        trainer.train(resume_from_checkpoint=checkpoint)
    whole = trainer.accelerator.get_state_dict(trainer.model_wrapped) if run.is_sharded else None
    step = trainer.state.global_step
    return run.finish(loaded, step=step, minutes=budget.minutes, state=whole)


class Trainer(RunTrainer, FormulaGrpoTrainer):
    """The trainer of GRPO for a run of ours."""

    def __init__(
        self,
        config: GrpoConfig,
        run: TuningRun,
        loaded: Loaded,
        prompts: Prompts,
        budget: Budget,
        dev: DevReader,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            run,
            budget,
            model=loaded.model,
            args=trl_arguments(config, run, budget, loaded.prompt_config.max_new_tokens),
            train_dataset=prompts.table,
            processing_class=loaded.processor,
            callbacks=run.callbacks(loaded, budget, dev),
            **kwargs,
        )


def trl_arguments(
    config: GrpoConfig, run: TuningRun, budget: Budget, max_new_tokens: int
) -> TrlConfig:
    """A recipe in TRL's terms."""
    vllm: dict[str, Any] = {}
    if config.vllm is not None:
        vllm = {
            "use_vllm": True,
            "vllm_mode": config.vllm.mode,
            "vllm_server_base_url": config.vllm.server,
            "vllm_gpu_memory_utilization": config.vllm.memory,
        }
    return TrlConfig(
        **run.trl_settings(budget),
        num_generations=config.num_generations,
        num_iterations=config.num_iterations,
        max_completion_length=max_new_tokens,
        mask_truncated_completions=config.mask_truncated_completions,
        temperature=config.temperature,
        beta=config.beta,
        epsilon=config.epsilon,
        loss_type=config.loss_type,
        scale_rewards=config.scale_rewards,
        disable_tqdm=True,
        **vllm,
    )


def _start(config: GrpoConfig, run: TuningRun) -> Loaded:
    """The network to train: a base, an adapter to go on with, or one merged into its base.

    On a CPU the weights stay in float32, and `precision: bfloat16` is of the arithmetic of training
    alone: so the lean pass can draw the answers, and the adapter fits the base as it is read.
    """
    changes: dict[str, Any] = {}
    if on_cpu(config) and config.quantisation is None:
        changes["precision"] = "float32"
    if config.adapter_use == "merge":
        folder = run.out / _MERGED_START
        if run.writes and (run.checkpoint() is None or not folder.is_dir()):
            start = load_model(config.model, config.adapter, dtype="float32", device="cpu")
            save_weights(
                Loaded(start.model.merge_and_unload(), start.processor, start.prompt_config), folder
            )
        _wait_for_all()
        changes |= {"model": str(folder), "adapter": None}
    return load_for_training(config.model_copy(update=changes))


def _throw_away(out: Path) -> None:
    """Remove what GRPO alone leaves of an earlier run."""
    for name in (PASS_RATES, RECORDS):
        (out / name).unlink(missing_ok=True)
    shutil.rmtree(out / PAGES, ignore_errors=True)


def _pool(config: GrpoConfig) -> AbstractContextManager[RewardPool | None]:
    """The processes that draw answers; none for rewards that need no drawing."""
    needed = config.prefilter is not None or not RENDERED.isdisjoint(config.rewards)
    return RewardPool() if needed else nullcontext()


def _limits(config: GrpoConfig, loaded: Loaded) -> tuple[Sampling, RewardSettings]:
    """How answers are drawn and judged, by the prompt configuration of the run."""
    generation = loaded.model.generation_config
    ends = generation.eos_token_id
    end_tokens = tuple(ends) if isinstance(ends, list | tuple) else (ends,)
    if loaded.processor.tokenizer.eos_token_id is not None:
        end_tokens = (*end_tokens, loaded.processor.tokenizer.eos_token_id)
    longest = loaded.prompt_config.max_new_tokens
    sampling = Sampling(
        temperature=config.temperature,
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


def _optimizer(config: GrpoConfig) -> str:
    """The recipe's optimiser, or plain AdamW where its 8 bits are not to be had."""
    if "8bit" in config.optimizer and importlib.util.find_spec("bitsandbytes") is None:
        print(
            f"{config.optimizer} needs bitsandbytes, which is not installed: plain AdamW instead.",
            file=sys.stderr,
        )
        return "adamw_torch"
    return config.optimizer


def _require_vllm(config: GrpoConfig) -> None:
    if config.vllm is not None and importlib.util.find_spec("vllm") is None:
        raise InputError(
            "Answers drawn by vLLM need the Python package 'vllm', which is not installed: install "
            "a version that TRL knows (docs/grpo.md), or leave vllm out of the recipe."
        )


def _wait_for_all() -> None:
    from accelerate import PartialState

    PartialState().wait_for_everyone()
