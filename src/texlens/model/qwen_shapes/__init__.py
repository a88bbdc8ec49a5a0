"""The shapes of the Qwen2.5-VL models that Qwen released, without their weights.

`3b.json` and `7b.json` hold the numbers of the `config.json` of Qwen2.5-VL-3B-Instruct and
Qwen2.5-VL-7B-Instruct, with the ids of special tokens. On torch's meta device, where a tensor has a
shape and no content, they become the models themselves.
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

from texlens.errors import InputError, require_extra
from texlens.model.load import read_config

RELEASED = {
    "Qwen/Qwen2.5-VL-3B-Instruct": "3b.json",
    "Qwen/Qwen2.5-VL-7B-Instruct": "7b.json",
}


def model_config(model: str | Path) -> Any:
    """The `Qwen2_5_VLConfig` of a name in `RELEASED`, or of a local folder with a `config.json`.

    Works without a network. Raises InputError for any other name, and for a folder without a
    configuration of a Qwen2.5-VL.
    """
    require_extra("Building a model's shape", "model", "torch", "transformers")
    from transformers import Qwen2_5_VLConfig

    folder = Path(model).expanduser()
    if str(model) in RELEASED:
        text = (resources.files(__package__) / RELEASED[str(model)]).read_text(encoding="utf-8")
        document = json.loads(text)
    elif (folder / "config.json").is_file():
        document = read_config(folder)
    else:
        raise InputError(
            f"The shape of '{model}' is not known: give {', '.join(RELEASED)} or a folder with a "
            "config.json."
        )
    return Qwen2_5_VLConfig.from_dict(document)


def build_on_meta(model: str | Path, dtype: str = "bfloat16") -> Any:
    """A `Qwen2_5_VLForConditionalGeneration` on the meta device: shapes in `dtype`, no memory.

    `model` is as in `model_config`; its tied weights are tied.
    """
    config = model_config(model)
    import torch
    from transformers import Qwen2_5_VLForConditionalGeneration

    config._attn_implementation = "sdpa"
    with torch.device("meta"):
        network = Qwen2_5_VLForConditionalGeneration(config)
    return network.to(getattr(torch, dtype))
