"""The published Qwen2.5-VL models as facts: their exact shapes, without a byte of their weights.

`3b.json` and `7b.json` hold the numbers of the configurations that Qwen published with
Qwen2.5-VL-3B-Instruct and Qwen2.5-VL-7B-Instruct, ids of special tokens included. On torch's
meta device, where a tensor has a shape and no content, they become the models themselves.
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

from texlens.errors import InputError, require_extra

PUBLISHED = {
    "Qwen/Qwen2.5-VL-3B-Instruct": "3b.json",
    "Qwen/Qwen2.5-VL-7B-Instruct": "7b.json",
}


def model_config(model: str | Path) -> Any:
    """The `Qwen2_5_VLConfig` of a published name, or of a local folder with a `config.json`.

    Works without a network. Raises InputError for any other name, and for a folder without a
    configuration of a Qwen2.5-VL.
    """
    require_extra("Building a model's shape", "model", "torch", "transformers")
    from transformers import Qwen2_5_VLConfig

    if str(model) in PUBLISHED:
        text = (resources.files(__package__) / PUBLISHED[str(model)]).read_text(encoding="utf-8")
        return Qwen2_5_VLConfig.from_dict(json.loads(text))
    path = Path(model).expanduser() / "config.json"
    if not path.is_file():
        raise InputError(
            f"The shape of '{model}' is not known: give {', '.join(PUBLISHED)} or a folder with a "
            "config.json."
        )
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["model_type"] != "qwen2_5_vl":
            raise InputError(f"'{path}' describes a '{document['model_type']}', no Qwen2.5-VL.")
        return Qwen2_5_VLConfig.from_dict(document)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"'{path}' is no configuration: the model's folder is damaged.") from error


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
