"""A model folder of a known shape with random weights: for measuring speed and memory, not for reading.

Time and memory of training depend on shapes alone, so a run of the 3B can be tried on a machine
before gigabytes of weights are there. The tokeniser is the embedded model's, whose ids are small,
over Qwen's vocabulary of 151,936 rows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from texlens.model import tokenizer as names
from texlens.model.load import EMBEDDED
from texlens.model.processor import PictureProcessor, load_processor
from texlens.model.prompt_config import PromptConfig
from texlens.model.qwen_shapes import model_config

_OPENAI_CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073]
_OPENAI_CLIP_STD = [0.26862954, 0.26130258, 0.27577711]


def save_random_model(shape: str, out: Path, *, seed: int = 0, dtype: str = "bfloat16") -> int:
    """Write a model with random weights into a folder.

    Args:
        shape: `Qwen/Qwen2.5-VL-3B-Instruct`, `...-7B-Instruct`, or a folder with a `config.json`.
        out: the folder.
        seed: of the weights.
        dtype: of the weights, a name in torch.

    Returns:
        The number of weights.

    Raises:
        InputError: the shape is not known.
    """
    from transformers import Qwen2_5_VLForConditionalGeneration

    config = model_config(shape)
    processor = load_processor(EMBEDDED)
    _set_token_ids(config, processor.tokenizer)
    vision = config.vision_config
    pictures = type(processor.image_processor)(
        patch_size=vision.patch_size,
        merge_size=vision.spatial_merge_size,
        temporal_patch_size=vision.temporal_patch_size,
        image_mean=_OPENAI_CLIP_MEAN,
        image_std=_OPENAI_CLIP_STD,
    )
    config._attn_implementation = "sdpa"
    torch.manual_seed(seed)
    # Filling billions of weights takes a minute on a CPU and a second on a GPU.
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        network = Qwen2_5_VLForConditionalGeneration._from_config(
            config, dtype=getattr(torch, dtype)
        )
    network.generation_config.eos_token_id = config.text_config.eos_token_id
    network.generation_config.pad_token_id = config.text_config.pad_token_id
    network.save_pretrained(out)
    template = processor.tokenizer.chat_template
    PictureProcessor(pictures, processor.tokenizer, chat_template=template).save_pretrained(out)
    PromptConfig(base=shape).save(out)
    return sum(parameter.numel() for parameter in network.parameters())


def _set_token_ids(config: Any, tokenizer: Any) -> None:
    """Give a configuration the special tokens of another tokeniser."""

    def token_id(token: str) -> int:
        return int(tokenizer.convert_tokens_to_ids(token))

    config.image_token_id, config.video_token_id = token_id(names.IMAGE), token_id(names.VIDEO)
    config.vision_start_token_id = token_id(names.VISION_START)
    config.vision_end_token_id = token_id(names.VISION_END)
    config.text_config.bos_token_id = None
    config.text_config.eos_token_id = token_id(names.IM_END)
    config.text_config.pad_token_id = token_id(names.PAD)
