"""Vision attention in one call for all pictures of equal size, instead of one call per picture.

The stock class attends to each picture of a batch in a Python loop, unless FlashAttention is
installed. Here the pictures are grouped by their number of patches, and each group is one scaled dot
product attention. Same weights, same function; `tests/model` compares outputs and gradients.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import (
    Qwen2_5_VLVisionAttention,
    apply_rotary_pos_emb_vision,
)


class BatchedVisionAttention(Qwen2_5_VLVisionAttention):
    """The stock attention of a vision layer, computed by groups of pictures of equal length."""

    def forward(
        self,
        hidden_states: torch.Tensor,
        cu_seqlens: torch.Tensor,
        position_embeddings: tuple[torch.Tensor, torch.Tensor] | None = None,
        max_seqlen: int | None = None,
        **kwargs: Any,
    ) -> torch.Tensor:
        """Attend within each picture.

        `hidden_states` has shape (patches of all pictures, width); `cu_seqlens` holds the bounds
        of the pictures in it; `position_embeddings` are the rotary cosines and sines.
        """
        if self.config._attn_implementation == "flash_attention_2":  # batches by itself
            return super().forward(
                hidden_states, cu_seqlens, position_embeddings, max_seqlen, **kwargs
            )
        assert position_embeddings is not None
        count = hidden_states.shape[0]
        query, key, value = self.qkv(hidden_states).view(count, 3, self.num_heads, -1).unbind(1)
        query, key = apply_rotary_pos_emb_vision(query, key, *position_embeddings)
        lengths = (cu_seqlens[1:] - cu_seqlens[:-1]).tolist()
        if len(set(lengths)) == 1:
            mixed = self._attend(query, key, value, lengths[0])
        else:
            starts = cu_seqlens[:-1].tolist()
            mixed = torch.empty_like(value)
            for length in sorted(set(lengths)):
                first = [start for start, own in zip(starts, lengths, strict=True) if own == length]
                rows = torch.tensor(first, device=value.device)[:, None]
                rows = (rows + torch.arange(length, device=value.device)).flatten()
                group = self._attend(query[rows], key[rows], value[rows], length)
                mixed = mixed.index_copy(0, rows, group)
        return self.proj(mixed.reshape(count, -1))

    def _attend(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, length: int
    ) -> torch.Tensor:
        """Attention over consecutive pictures of `length` patches; (patches, heads, head width)."""
        if length == 0:
            return value
        query, key, value_ = (
            part.reshape(-1, length, *part.shape[1:]).transpose(1, 2)
            for part in (query, key, value)
        )
        mixed = functional.scaled_dot_product_attention(query, key, value_, scale=self.scaling)
        return mixed.transpose(1, 2).reshape(value.shape)


def batch_vision_attention(model: torch.nn.Module) -> None:
    """Make every vision attention of a Qwen2.5-VL a `BatchedVisionAttention`. The weights stay the same."""
    for module in model.modules():
        if type(module) is Qwen2_5_VLVisionAttention:
            module.__class__ = BatchedVisionAttention
