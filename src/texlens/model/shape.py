"""The shape of a Qwen2.5-VL, by as few numbers as possible.

The small model is transformers' own class at such a shape. It has full attention in every vision
layer and a patch of 8 pixels, so that one visual token covers 16 x 16 pixels: about one and a half
symbols at its size of type in training (`PromptConfig.pixels_per_em`).
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Shape(BaseModel):
    """Widths, depths and head sizes of a model; the defaults are the embedded model's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vision_width: int = 192
    vision_layers: int = 6
    vision_heads: int = 3
    vision_mlp: int = 640
    patch: int = 8
    merge: int = 2
    text_width: int = 256
    text_layers: int = 4
    text_heads: int = 4
    text_key_value_heads: int = 2
    text_mlp: int = 896

    @property
    def token_pixels(self) -> int:
        """Side of the square of pixels that one visual token covers."""
        return self.patch * self.merge


def build_model(shape: Shape, tokenizer: Any) -> Any:
    """A new `Qwen2_5_VLForConditionalGeneration` with random weights and tied embeddings.

    `tokenizer` gives the vocabulary and the ids of Qwen's special tokens.
    """
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    from texlens.model import tokenizer as names

    def token_id(token: str) -> int:
        return int(tokenizer.convert_tokens_to_ids(token))

    head = shape.text_width // shape.text_heads
    height = width = 3 * head // 16  # Qwen's proportion of rotary frequencies: 2 to 3 to 3
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": shape.text_width,
            "intermediate_size": shape.text_mlp,
            "num_hidden_layers": shape.text_layers,
            "num_attention_heads": shape.text_heads,
            "num_key_value_heads": shape.text_key_value_heads,
            "max_position_embeddings": 4096,
            "rms_norm_eps": 1e-6,
            "rope_theta": 10_000.0,
            "rope_scaling": {
                "rope_type": "default",
                "mrope_section": [head // 2 - height - width, height, width],
            },
            "bos_token_id": None,
            "eos_token_id": token_id(names.IM_END),
            "pad_token_id": token_id(names.PAD),
            "tie_word_embeddings": True,
        },
        vision_config={
            "depth": shape.vision_layers,
            "hidden_size": shape.vision_width,
            "intermediate_size": shape.vision_mlp,
            "num_heads": shape.vision_heads,
            "patch_size": shape.patch,
            "spatial_merge_size": shape.merge,
            "temporal_patch_size": 2,
            "out_hidden_size": shape.text_width,
            "fullatt_block_indexes": list(range(shape.vision_layers)),
            "window_size": 8 * shape.token_pixels,
        },
        image_token_id=token_id(names.IMAGE),
        video_token_id=token_id(names.VIDEO),
        vision_start_token_id=token_id(names.VISION_START),
        vision_end_token_id=token_id(names.VISION_END),
        tie_word_embeddings=True,
    )
    config._attn_implementation = "sdpa"
    model = Qwen2_5_VLForConditionalGeneration(config)
    model.generation_config.eos_token_id = token_id(names.IM_END)
    model.generation_config.pad_token_id = token_id(names.PAD)
    model.generation_config.do_sample = False
    return model
