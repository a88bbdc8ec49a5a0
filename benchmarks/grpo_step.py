"""How much faster is a step of GRPO than TRL's own, on a CPU, and where does its time go?

    python benchmarks/grpo_step.py --data FILE.parquet [--model FOLDER] [--steps 3]

Both sides train the same LoRA on the same weights and framed pictures, 8 prompts x 6 answers a step,
with bfloat16 arithmetic in the loss, the same rewards from the same worker processes, threads, and token
limit, after a step of warm-up. The baseline is TRL's trainer around transformers' own class. Answers
are drawn at random, so the sides have other ones; tokens a second are printed, too. Processor time
is of this process, not of the workers. On a machine that others use it is the fairer figure.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import PrinterCallback
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from texlens.model.load import EMBEDDED, Loaded, load_model
from texlens.train.grpo.prompts import Prompts, prepare_prompts, within_limit
from texlens.train.grpo.settings import GrpoConfig
from texlens.train.grpo.train import sampling_and_rewards
from texlens.train.grpo.trainer import FormulaGrpoTrainer
from texlens.train.network.adapters import lora_config
from texlens.train.rewards.functions import BatchRewards

PROMPTS, ANSWERS = 8, 6


class Clock:
    """Adds up the time, by the clock and of the processor, of parts of a trainer's steps."""

    def __init__(self, trainer: Any, parts: dict[str, str]) -> None:
        self.seconds = dict.fromkeys(parts, 0.0)
        self.processor = dict.fromkeys(parts, 0.0)
        for name, method in parts.items():
            setattr(trainer, method, self._timed(name, getattr(trainer, method)))

    def _timed(self, name: str, method: Any) -> Any:
        def call(*arguments: Any, **settings: Any) -> Any:
            began, processor = time.perf_counter(), time.process_time()
            result = method(*arguments, **settings)
            self.seconds[name] += time.perf_counter() - began
            self.processor[name] += time.process_time() - processor
            return result

        return call

    def clear(self) -> None:
        """Begin again at 0."""
        for times in (self.seconds, self.processor):
            times.update(dict.fromkeys(times, 0.0))


PARTS = {
    "whole step": "training_step",
    "drawing answers": "_generate_single_turn",
    "rewards": "_calculate_rewards",
    "loss, forwards": "compute_loss",
}


def arguments_of(config: GrpoConfig, steps: int, longest: int, folder: str) -> GRPOConfig:
    return GRPOConfig(
        output_dir=folder, max_steps=steps, per_device_train_batch_size=config.per_device_train_batch_size,
        gradient_accumulation_steps=1, num_generations=config.num_generations,
        max_completion_length=longest, learning_rate=config.learning_rate, bf16=True, use_cpu=True,
        gradient_checkpointing=False, report_to="none", save_strategy="no", disable_tqdm=True,
        logging_strategy="no", seed=0,
    )  # fmt: skip


def run(trainer: Any, steps: int) -> tuple[dict[str, float], dict[str, float], float]:
    """Seconds and processor seconds a step, by part, and tokens a step; the first is not counted."""
    clock = Clock(trainer, PARTS)
    tokens: list[int] = []
    whole = trainer.training_step

    def counted(model: Any, inputs: Any, items: Any = None) -> Any:
        if trainer.state.global_step <= 1:
            clock.clear()
            tokens.clear()
        seen = trainer.state.num_input_tokens_seen
        loss = whole(model, inputs, items)
        tokens.append(trainer.state.num_input_tokens_seen - seen)
        return loss

    trainer.training_step = counted
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return (
        {name: seconds / steps for name, seconds in clock.seconds.items()},
        {name: seconds / steps for name, seconds in clock.processor.items()},
        sum(tokens) / steps,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=None)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    transformers.utils.logging.set_verbosity_error()
    config = GrpoConfig.model_validate(
        {
            "model": None if options.model is None else str(options.model),
            "data": [{"parquet": str(options.data), "rows": [0, PROMPTS * (options.steps + 2)]}],
            "rewards": {"cdm": 1, "layout": 1, "exact": 1},
            "max_steps": options.steps + 1,
            "per_device_train_batch_size": PROMPTS * ANSWERS,
            "num_generations": ANSWERS,
            "gradient_accumulation_steps": 1,
            "max_prompt_length": 900,
            "lora": {"r": 16, "lora_alpha": 32},
        }
    )
    from peft import get_peft_model
    from transformers import Qwen2_5_VLForConditionalGeneration

    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for side in ("TRL", "TexLens"):
            loaded: Loaded = within_limit(load_model(options.model, device="cpu"), 900)
            sampling, settings = sampling_and_rewards(config, loaded)
            prompts: Prompts = prepare_prompts(config, loaded, quiet=True)
            stock: Any = Qwen2_5_VLForConditionalGeneration.from_pretrained(
                options.model or EMBEDDED, dtype=torch.float32, attn_implementation="sdpa"
            )
            network = stock if side == "TRL" else loaded.model
            network.requires_grad_(False)
            torch.manual_seed(0)
            loaded = replace(loaded, model=get_peft_model(network, lora_config(config)))
            rewards = BatchRewards(config.rewards, settings)
            common: dict[str, Any] = {
                "args": arguments_of(config, options.steps + 1, sampling.max_new_tokens, folder),
                "train_dataset": prompts.table(),
                "processing_class": loaded.processor,
            }
            trainer: Any = (
                GRPOTrainer(model=loaded.model, reward_funcs=list(rewards.functions), **common)
                if side == "TRL"
                else FormulaGrpoTrainer(
                    model=loaded.model, rewards=rewards, sampling=sampling, **common
                )
            )
            results[side] = run(trainer, options.steps)
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"{options.threads} threads, load {os.getloadavg()[0]:.1f}; {options.steps} steps of "
        f"{PROMPTS} prompts x {ANSWERS} answers"
    )
    print(f"{'seconds a step':<18}{'TRL':>9}{'TexLens':>9}   processor: TRL  TexLens  ratio")
    for part in PARTS:
        (trl, trl_cpu, _), (ours, ours_cpu, _) = results["TRL"], results["TexLens"]
        ratio = trl_cpu[part] / max(ours_cpu[part], 1e-9)
        print(
            f"{part:<18}{trl[part]:9.2f}{ours[part]:9.2f}   {trl_cpu[part]:14.2f}"
            f"{ours_cpu[part]:9.2f}{ratio:7.2f}"
        )
    print(f"{'tokens a step':<18}{results['TRL'][2]:9.0f}{results['TexLens'][2]:9.0f}")


if __name__ == "__main__":
    main()
