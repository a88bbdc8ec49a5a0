"""Supervised fine-tuning: TRL's trainer and PEFT's adapters, on pictures of formulas.

A run loads its network and its examples, checks them, trains, and evaluates on the dev sets now and
then. It can be killed at any time and resumes from its last checkpoint to the same weights.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor
from trl.trainer.sft_config import SFTConfig as TrlConfig
from trl.trainer.utils import add_fused_lm_head

from texlens.model.load import Loaded
from texlens.reading.pictures.framing import frame_for
from texlens.train.data.loader_processes import start_method
from texlens.train.data.prepared import FineTuningData, prepare_examples
from texlens.train.data.vision_features import vision_features
from texlens.train.network.adapters import (
    base_model,
    load_for_training,
    precision_of,
)
from texlens.train.network.compiled import make_fast
from texlens.train.network.probe import Split, choose_split
from texlens.train.run.callbacks import DevLossCallback
from texlens.train.run.dev_evaluation import dev_evaluator
from texlens.train.run.processes import connect, local_main_first
from texlens.train.run.run_folder import RunFolder
from texlens.train.run.schedule import Schedule
from texlens.train.run.trl_trainers import (
    available_optimizer,
    run_training,
    split_of_run,
    trl_arguments,
)
from texlens.train.settings import DataFile
from texlens.train.sft.augmentation import PictureAugmenter
from texlens.train.sft.batches import AnswerCollator, LengthGroupedSampler, check_batches
from texlens.train.sft.dev_loss import DevLoss
from texlens.train.sft.settings import SftConfig
from texlens.train.sft.trainer import FormulaSftTrainer, answer_log_probs

_LOSS_BATCH_SIZE = 8


def train_sft(config: SftConfig, out: Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Fine-tune by a recipe, and leave adapter or model in `out`.

    `out/adapter` (with LoRA) or `out/model` (in full) are the last weights, `out/best` those with
    the best scores on the dev sets; beside them `config.yaml`, `dataset.json`, `log.jsonl`, curves,
    the last predictions on the dev sets (`dev_*.jsonl`), `README.md` and, last, `run.json`. A run
    that was stopped resumes from its last checkpoint; `overwrite` starts again.

    Returns:
        The content of `run.json`.

    Raises:
        InputError: model or data cannot be used, or the run in `out` was started with other
            settings.
        TexlensError: the loss is not a number.
    """
    transformers.utils.logging.disable_progress_bar()
    config = config.model_copy(update={"optim": available_optimizer(config)})
    connect(config)
    run = RunFolder(config, out, overwrite=overwrite)
    dev = dev_evaluator(config)
    loaded = load_for_training(config)
    with local_main_first():
        data = prepare_examples(config.data, loaded, max_length=config.max_length)
    losses = _dev_loss(config, loaded, AnswerCollator(loaded, data.prompt))
    features = None
    if config.cache_vision_features:
        with local_main_first():
            features = vision_features(loaded, data)
        data.table = data.table.add_column("place", np.arange(len(data.table)))
    collator = AnswerCollator(loaded, data.prompt, features=features)
    check_batches(collator, data)
    split = _split(config, run, loaded, data, collator)
    recordable = not split["gradient_checkpointing"] and not run.is_sharded
    longest = int(data.lengths.max())
    passes = make_fast(loaded.model, config, recordable=recordable, longest=longest)
    per_step = config.examples_per_step(run.processes)
    sampler = LengthGroupedSampler(
        data.lengths,
        data.files,
        [file.mixing_ratio for file in config.data],
        examples_per_step=per_step,
        seed=config.seed,
    )
    padding = round(sampler.padding(split["per_device_train_batch_size"]), 4)
    run.write_start(data.record | {"padding": padding}, loaded.model)
    schedule = Schedule(config, steps_per_epoch=-(-len(sampler) // per_step))
    workers = config.dataloader_num_workers
    arguments = trl_arguments(
        TrlConfig,
        run,
        schedule,
        disable_tqdm=not sys.stderr.isatty(),
        dataloader_persistent_workers=workers > 0,
        dataloader_prefetch_factor=4 if workers else None,
        dataloader_multiprocessing_context=start_method() if workers else None,
        dataloader_pin_memory=torch.cuda.is_available(),
        remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,  # nothing is truncated
        ddp_find_unused_parameters=False,
        **split,
    )
    trainer = FormulaSftTrainer(
        sampler=sampler,
        passes=passes,
        model=loaded.model,
        args=arguments,
        data_collator=_training_collator(config, loaded, data, collator),
        train_dataset=data.table,
        processing_class=loaded.processor,
    )
    if losses is not None and config.eval_loss_steps is not None:
        trainer.add_callback(
            DevLossCallback(trainer, run, schedule, config.eval_loss_steps, losses.evaluate)
        )
    return run_training(trainer, run, loaded, schedule, dev)


def _training_collator(
    config: SftConfig, loaded: Loaded, data: FineTuningData, plain: AnswerCollator
) -> AnswerCollator:
    """The collator of training batches: the plain one, or one that augments the pictures."""
    if config.augmentation is None:
        return plain
    frame = frame_for(loaded.prompt_config, loaded.processor.image_processor)
    augmenter = PictureAugmenter(config.augmentation, frame, seed=config.seed)
    return AnswerCollator(loaded, data.prompt, augmenter=augmenter)


def _split(
    config: SftConfig,
    run: RunFolder,
    loaded: Loaded,
    data: FineTuningData,
    collator: AnswerCollator,
) -> dict[str, Any]:
    """How a step goes through the network: as the recipe says, or by a trial on a GPU."""

    def longest(size: int) -> dict[str, Tensor]:
        rows = np.argsort(data.lengths, kind="stable")[-size:]
        batch = collator([data.table[int(row)] for row in rows])
        return {name: tensor.to(loaded.model.device) for name, tensor in batch.items()}

    def loss(network: Any, batch: dict[str, Tensor]) -> Tensor:
        with torch.autocast("cuda", torch.bfloat16, enabled=precision_of(config) == "bfloat16"):
            outputs = answer_log_probs(network, network, batch)
        return -outputs.log_probs.sum() / outputs.label_mask.sum()

    def choose() -> Split:
        # The trainer adds this head again, around this one.
        add_fused_lm_head(base_model(loaded.model), outputs=("log_probs", "is_top1"))
        return choose_split(loaded.model, config.examples_per_step(), longest, loss)

    return split_of_run(config, run, choose)


def _dev_loss(config: SftConfig, loaded: Loaded, collator: AnswerCollator) -> DevLoss | None:
    """What computes the loss on all rows of the dev sets, if the recipe wants it."""
    if config.eval_loss_steps is None or not config.dev:
        return None
    sets = {}
    for dev in config.dev:
        files = [DataFile(parquet=dev.parquet, rows=dev.rows)]
        with local_main_first():
            sets[dev.name] = prepare_examples(
                files, loaded, max_length=config.max_length, quiet=True
            )
    batch_size = config.per_device_eval_batch_size or _LOSS_BATCH_SIZE
    return DevLoss(sets, collator, batch_size=batch_size)
