"""Training: supervised fine-tuning, rejection sampling, GRPO, and pretraining of small models.

In: a recipe, shipped (`texlens.recipes`) or of one's own, and data that `texlens data` has prepared.
Out: a folder with an adapter or a model, its log, its scores on dev sets, and `run.json`.

`config` reads recipes, and `settings` are those of all fine-tuning. On `network`, `data` and `run`,
in this order, `sft` and `grpo` (with `rewards`) build, and `rft` on both. `plan` estimates a run; `pretrain` trains from
scratch and stands apart.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from texlens.errors import TRAINING_MODULES, require_extra

if TYPE_CHECKING:
    from texlens.train.grpo.settings import GrpoConfig
    from texlens.train.rft.settings import RftConfig
    from texlens.train.sft.settings import SftConfig

# It logs a faster kernel that is not installed, at every import and in every process.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


def fine_tune(
    config: SftConfig | GrpoConfig | RftConfig, out: Path, *, overwrite: bool = False
) -> dict[str, Any]:
    """Train by a recipe of any kind: `train_sft`, `train_rft` or `train_grpo`.

    Raises TexlensError, beside what they raise, when memory or disk are used up; MissingExtra when
    something of the extra `train` is not installed.
    """
    require_extra("Training", "train", *TRAINING_MODULES)
    if config.job != "grpo" and config.dataloader_num_workers:
        from texlens.train.data.loader_processes import start_ahead

        start_ahead()
    from texlens.train.rft.settings import RftConfig
    from texlens.train.run.failures import named_failures

    with named_failures(out):
        if config.job == "grpo":
            from texlens.train.grpo.train import train_grpo

            return train_grpo(config, out, overwrite=overwrite)
        if isinstance(config, RftConfig):
            from texlens.train.rft.train import train_rft

            return train_rft(config, out, overwrite=overwrite)
        from texlens.train.sft.train import train_sft

        return train_sft(config, out, overwrite=overwrite)
