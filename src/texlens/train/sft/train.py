"""Supervised fine-tuning: TRL's trainer and PEFT's adapters, on pictures of formulas.

Read from top to bottom: a run loads its network and its examples, checks them, trains, and reads
the dev pictures now and then. It can be killed at any time and goes on from its last checkpoint
to the same weights. `adapters` makes the network, `examples` and `sft_batches` what it is fed,
`dev` reads, `tuning_run` keeps the run's folder.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import TrainerCallback
from trl.trainer.sft_config import SFTConfig as TrlConfig
from trl.trainer.sft_trainer import SFTTrainer

from texlens.model.load import Loaded
from texlens.train.run.adapters import count_parameters, load_for_training
from texlens.train.run.budget import Budget
from texlens.train.run.dev_evaluation import DevReader
from texlens.train.run.examples import FineTuningData, prepare_examples
from texlens.train.run.run_folder import TuningRun
from texlens.train.run.trl_trainers import RunTrainer
from texlens.train.sft.batches import AnswerCollator, LengthGroupedOrder, check_batches, order_of
from texlens.train.sft.settings import SftConfig


def train_sft(config: SftConfig, out: Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Fine-tune by a recipe, and leave adapter or model in `out`.

    `out/adapter` (with LoRA) or `out/model` (in full) are the last weights, `out/best` those that
    read the dev pictures best; beside them `config.yaml`, `dataset.json`, `log.jsonl`, curves, the
    last readings (`dev_*.jsonl`), `README.md` and, last, `run.json`. A run that was stopped goes on
    from its last checkpoint; `overwrite` throws it away.

    Returns what `run.json` holds.
    Raises InputError when model or data cannot be used, or the run in `out` was begun with other
    settings; TexlensError when the loss is no number.
    """
    transformers.utils.logging.disable_progress_bar()
    run = TuningRun(config, out, overwrite=overwrite)
    dev = DevReader(config.dev, config.dev_metrics)
    loaded = load_for_training(config)
    data = prepare_examples(config.data, loaded, cutoff=config.cutoff)
    collator = AnswerCollator(loaded, data.prompt)
    check_batches(collator, data.table)
    per_step = config.examples_per_step(run.processes)
    order = order_of(data.table, config.data, examples_per_step=per_step, seed=config.seed)
    trained, total = count_parameters(loaded.model)
    run.write_start(
        data.record | {"padding": round(order.padding(config.batch), 4)},
        {"trained": trained, "total": total},
    )
    budget = Budget(config, steps_per_epoch=-(-len(order) // per_step))
    trainer = Trainer(config, run, loaded, data, collator, order, budget, dev)
    trainer.train(resume_from_checkpoint=run.resume(budget))
    whole = trainer.accelerator.get_state_dict(trainer.model_wrapped) if run.is_sharded else None
    step = trainer.state.global_step
    return run.finish(loaded, step=step, minutes=budget.minutes, state=whole)


class Trainer(RunTrainer, SFTTrainer):
    """TRL's trainer for a run of ours, with our order of examples."""

    def __init__(
        self,
        config: SftConfig,
        run: TuningRun,
        loaded: Loaded,
        data: FineTuningData,
        collator: AnswerCollator,
        order: LengthGroupedOrder,
        budget: Budget,
        dev: DevReader,
    ) -> None:
        self.order = order
        super().__init__(
            run,
            budget,
            model=loaded.model,
            args=trl_arguments(config, run, budget),
            data_collator=collator,
            train_dataset=data.table,
            processing_class=loaded.processor,
            callbacks=[_Epochs(order), *run.callbacks(loaded, budget, dev)],
        )

    def _get_train_sampler(self, train_dataset: Any = None) -> LengthGroupedOrder:
        return self.order


class _Epochs(TrainerCallback):
    """Tells the order of the examples which epoch it is."""

    def __init__(self, order: LengthGroupedOrder) -> None:
        self.order = order

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.order.set_epoch(int(state.epoch or 0))


def trl_arguments(config: SftConfig, run: TuningRun, budget: Budget) -> TrlConfig:
    """A recipe in TRL's terms."""
    return TrlConfig(
        **run.trl_settings(budget),
        eval_strategy="no",
        disable_tqdm=not sys.stderr.isatty(),
        dataloader_num_workers=config.workers,
        dataloader_persistent_workers=config.workers > 0,
        dataloader_prefetch_factor=4 if config.workers else None,
        dataloader_multiprocessing_context="spawn" if config.workers else None,
        dataloader_pin_memory=torch.cuda.is_available(),
        remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        ddp_find_unused_parameters=False,
        ddp_timeout=4 * 3600,  # seconds that the others wait while the first reads dev pictures
    )
