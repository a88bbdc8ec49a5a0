"""Small models: those whose tokeniser was made for LaTeX, by TexLens.

They read well only as they were trained: with their prompt, and on pictures in their layout. Both
are in `texlens.json`, which other software does not copy when it saves a model.
"""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from texlens.model.load import EMBEDDED
from texlens.model.prompt_config import PROMPT_CONFIG_FILE

MOST_TOKENS = 20_000  # a tokeniser with more was not made for LaTeX alone


def is_small(folder: Path) -> bool:
    """Whether a folder holds the configuration of a small model."""
    shape = _shape(folder)
    return shape is not None and shape[0] <= MOST_TOKENS


def missing_prompt_config(folder: Path) -> str | None:
    """What to do about a small model's folder without `texlens.json`, in words; None where it has one.

    The base is the one in the model card of the folder, as LLaMA-Factory and transformers write it;
    else the embedded model, where the shape is the same.
    """
    if (folder / PROMPT_CONFIG_FILE).is_file() or not is_small(folder):
        return None
    base = _base_in_card(folder)
    if base is None and _shape(folder) == _shape(EMBEDDED):
        base = EMBEDDED
    source = f"'{base}'" if base is not None else "the folder of its base"
    return (
        f"'{folder}' holds a small model without {PROMPT_CONFIG_FILE}: its prompt and the layout of its "
        f"pictures are not known, and it will read badly. Copy that file from {source}, or, to read, "
        f"give --prompt {base or 'BASE'}."
    )


def _shape(folder: Path) -> tuple[int, int] | None:
    """The number of tokens and the side of a patch; None where the folder does not say them."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return int(config["text_config"]["vocab_size"]), int(config["vision_config"]["patch_size"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _base_in_card(folder: Path) -> Path | None:
    """The folder of the base that the model card names, where it has a prompt configuration."""
    try:
        _, header, _ = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
        base = Path(str(yaml.safe_load(header)["base_model"]))
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return None
    return base if (base / PROMPT_CONFIG_FILE).is_file() else None
