"""How much faster is a step of GRPO than TRL's own, and where does its time go?

    python benchmarks/grpo_step.py --data FILE.parquet [--model FOLDER] [--steps 3]
    python benchmarks/grpo_step.py --data FILE.parquet --device cuda --prompts 64 --answers 16 \\
        --max-new-tokens 200 --batch 256 --steps 5

Both sides train the same LoRA on the same weights and framed pictures, 8 prompts x 6 answers a step,
with bfloat16 arithmetic in the loss, the same rewards from the same worker processes, threads, and token
limit, after a step of warm-up. The baseline is TRL's trainer around transformers' own class. Answers
are drawn at random, so the sides have other ones; tokens a second are printed, too. Processor time
is of this process, not of the workers. On a machine that others use it is the fairer figure. On a GPU
the CPU waits for it after each part.
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


class Clock:
    """Adds up the time, by the clock and of the processor, of parts of a trainer's steps."""

    def __init__(self, parts: dict[str, tuple[Any, str]]) -> None:
        self.seconds = dict.fromkeys(parts, 0.0)
        self.processor = dict.fromkeys(parts, 0.0)
        for name, (owner, method) in parts.items():
            setattr(owner, method, self._timed(name, getattr(owner, method)))

    def _timed(self, name: str, method: Any) -> Any:
        def call(*arguments: Any, **settings: Any) -> Any:
            began, processor = time.perf_counter(), time.process_time()
            result = method(*arguments, **settings)
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            self.seconds[name] += time.perf_counter() - began
            self.processor[name] += time.process_time() - processor
            return result

        return call

    def clear(self) -> None:
        """Begin again at 0."""
        for times in (self.seconds, self.processor):
            times.update(dict.fromkeys(times, 0.0))


PARTS = ("whole step", "sampling answers", "rewards", "loss, forwards")


def parts_of(trainer: Any) -> dict[str, tuple[Any, str]]:
    """Where each part is computed: the owner and its method."""
    ours = isinstance(trainer, FormulaGrpoTrainer)
    owners = (
        (trainer, "training_step"),
        (trainer.sampler, "sample") if ours else (trainer, "_generate_single_turn"),
        (trainer.rewards, "score") if ours else (trainer, "_calculate_rewards"),
        (trainer, "compute_loss"),
    )
    return dict(zip(PARTS, owners, strict=True))


def arguments_of(
    config: GrpoConfig, steps: int, longest: int, folder: str, device: str
) -> GRPOConfig:
    return GRPOConfig(
        output_dir=folder, max_steps=steps, per_device_train_batch_size=config.per_device_train_batch_size,
        gradient_accumulation_steps=config.gradient_accumulation_steps,
        num_generations=config.num_generations,
        max_completion_length=longest, learning_rate=config.learning_rate, bf16=True,
        use_cpu=device == "cpu",
        gradient_checkpointing=False, report_to="none", save_strategy="no", disable_tqdm=True,
        logging_strategy="no", seed=0,
    )  # fmt: skip


def run(trainer: Any, steps: int) -> tuple[dict[str, float], dict[str, float], float]:
    """Seconds and processor seconds a step, by part, and tokens a step; the first is not counted."""
    clock = Clock(parts_of(trainer))
    tokens: list[int] = []
    whole, warm = trainer.training_step, False

    def counted(model: Any, inputs: Any, items: Any = None) -> Any:
        nonlocal warm
        if trainer.state.global_step == 1 and not warm:
            warm = True
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
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--answers", type=int, default=6)
    parser.add_argument("--batch", type=int, default=None, help="answers at a time in the loss")
    parser.add_argument("--max-new-tokens", type=int, default=None)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--sides", nargs="+", choices=("TRL", "TexLens"), default=["TRL", "TexLens"]
    )
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    transformers.utils.logging.set_verbosity_error()
    prompts, answers = options.prompts, options.answers
    batch = options.batch or prompts * answers
    config = GrpoConfig.model_validate(
        {
            "model": None if options.model is None else str(options.model),
            "data": [{"parquet": str(options.data), "rows": [0, prompts * (options.steps + 2)]}],
            "rewards": {"cdm": 1, "layout": 1, "exact": 1},
            "max_steps": options.steps + 1,
            "per_device_train_batch_size": batch,
            "num_generations": answers,
            "gradient_accumulation_steps": prompts * answers // batch,
            "prompt_config": {"max_new_tokens": options.max_new_tokens},
            "max_prompt_length": 900,
            "lora": {"r": 16, "lora_alpha": 32},
        }
    )
    from peft import get_peft_model
    from transformers import Qwen2_5_VLForConditionalGeneration

    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for side in options.sides:
            loaded: Loaded = load_model(options.model, device=options.device)
            changed = config.prompt_config.applied_to(loaded.prompt_config)
            loaded = within_limit(replace(loaded, prompt_config=changed), 900)
            sampling, settings = sampling_and_rewards(
                loaded, temperature=config.temperature, top_p=config.top_p
            )
            asked: Prompts = prepare_prompts(config.data, loaded, max_prompt_length=900, quiet=True)
            stock: Any = Qwen2_5_VLForConditionalGeneration.from_pretrained(
                options.model or EMBEDDED, dtype=torch.float32, attn_implementation="sdpa"
            ).to(options.device)
            network = stock if side == "TRL" else loaded.model
            network.requires_grad_(False)
            torch.manual_seed(0)
            loaded = replace(loaded, model=get_peft_model(network, lora_config(config)))
            rewards = BatchRewards(config.rewards, settings)
            common: dict[str, Any] = {
                "args": arguments_of(
                    config, options.steps + 1, sampling.max_new_tokens, folder, options.device
                ),
                "train_dataset": asked.table(),
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
    machine = platform.processor() or platform.machine()
    if options.device != "cpu":
        machine = f"{torch.cuda.get_device_name()}, {machine}"
    print(
        f"{machine}, {os.cpu_count()} cores, {options.threads} threads, load {os.getloadavg()[0]:.1f}; "
        f"{options.steps} steps of {prompts} prompts x {answers} answers, {batch} at a time"
    )
    for side, (seconds, processor, tokens) in results.items():
        whole = seconds["whole step"]
        print(
            f"\n{side}: {prompts * answers / whole:.0f} completions a second, {tokens:.0f} tokens a step"
        )
        print(f"{'seconds a step':<18}{'clock':>9}{'share':>8}{'processor':>11}")
        for part in PARTS:
            share = seconds[part] / whole
            print(f"{part:<18}{seconds[part]:9.3f}{share:8.0%}{processor[part]:11.3f}")
    if len(results) == 2:
        print(f"\n{'TRL / TexLens':<18}{'clock':>9}{'processor':>11}")
        for part in PARTS:
            (trl, trl_cpu, _), (ours, ours_cpu, _) = results["TRL"], results["TexLens"]
            print(
                f"{part:<18}{trl[part] / max(ours[part], 1e-9):9.2f}"
                f"{trl_cpu[part] / max(ours_cpu[part], 1e-9):11.2f}"
            )


if __name__ == "__main__":
    main()
