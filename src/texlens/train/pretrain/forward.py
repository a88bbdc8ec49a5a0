"""The forward pass of training: a batch of pictures of one size, without what that makes needless.

Qwen2.5-VL's own forward finds windows, positions and masks for any mixture of pictures, in Python,
for each one. When all pictures of a batch have one size and one prompt, these are the same for all
and causal attention needs no mask: text is padded on the right, where nothing looks. The function
computed is the stock class's, with its modules and weights; `tests/train` compares losses and
gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from texlens.model.prompt import Prompt
from texlens.reading.decoding.positions import patch_places, prompt_positions


def to_patches(pixels: Tensor, patch: int, merge: int) -> Tensor:
    """Cut grey pictures (batch, height, width) into patches (batch, patches, patch * patch).

    Patches come in Qwen's order: the `merge` x `merge` patches of one visual token together.
    """
    batch, height, width = pixels.shape
    rows, columns = height // (patch * merge), width // (patch * merge)
    cut = pixels.view(batch, rows, merge, patch, columns, merge, patch)
    return cut.permute(0, 1, 4, 2, 5, 3, 6).reshape(batch, -1, patch * patch)


def vision_rotary(
    rows: int, columns: int, merge: int, head: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Cosines and sines (patches, head width) of a grid of rows x columns visual tokens."""
    places = torch.from_numpy(patch_places(rows * merge, columns * merge, merge)).to(device)
    spatial = head // 2
    frequencies = 10_000.0 ** -(
        torch.arange(0, spatial, 2, device=device, dtype=torch.float) / spatial
    )
    angles = (places[:, :, None].float() * frequencies).flatten(1)
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos(), angles.sin()


def positions(prompt: Prompt, rows: int, columns: int, tokens: int, device: torch.device) -> Tensor:
    """Qwen's three-part positions (time, row, column) of prompt, picture and `tokens` of answer.

    Shape (3, 1, sequence).
    """
    places = prompt_positions(len(prompt.before), rows, columns, len(prompt.after) + tokens)
    return torch.from_numpy(places)[:, None].to(device)


def _rotate(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions on (batch, patches, heads, head width), in float32."""
    full = states.float()
    first, second = full.chunk(2, dim=-1)
    turned = torch.cat((-second, first), dim=-1)
    return (full * cos[:, None] + turned * sin[:, None]).to(states.dtype)


class UniformForward(nn.Module):
    """The network's forward over pictures of one size, and the logits of the answer."""

    def __init__(self, network: Any, prompt: Prompt) -> None:
        super().__init__()
        self.network = network
        self.prompt = prompt
        self.vision = network.model.visual
        self.text = network.model.language_model
        self.heads = self.vision.config.num_heads
        self.merge = self.vision.config.spatial_merge_size
        self._run_block: Callable[..., Tensor] = self._vision_block
        device = self.text.embed_tokens.weight.device
        for name, ids in (("before", prompt.before), ("after", prompt.after)):
            self.register_buffer(name, torch.tensor(ids, device=device), persistent=False)

    def compile_blocks(self) -> None:
        """Compile the layers; one graph serves all canvas sizes and all layers of a kind."""
        self._run_block = torch.compile(self._vision_block, dynamic=True)
        for layer in self.text.layers:
            layer.compile(dynamic=True)

    def _vision_block(self, block: Any, states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        attention = block.attn
        split = attention.qkv(block.norm1(states)).unflatten(-1, (3, self.heads, -1))
        query, key, value = split.unbind(2)
        mixed = functional.scaled_dot_product_attention(
            _rotate(query, cos, sin).transpose(1, 2),
            _rotate(key, cos, sin).transpose(1, 2),
            value.transpose(1, 2),
        )
        states = states + attention.proj(mixed.transpose(1, 2).flatten(2))
        states = states + block.mlp(block.norm2(states))
        return states

    def see(self, patches: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Visual tokens (batch, tokens, text width) of patches (batch, patches, patch ** 2)."""
        kernel = self.vision.patch_embed.proj.weight  # three equal channels, two equal frames
        states = functional.linear(patches, kernel.sum(dim=(1, 2)).flatten(1))
        for block in self.vision.blocks:
            states = self._run_block(block, states, cos, sin)
        merger = self.vision.merger
        merged = merger.ln_q(states).unflatten(1, (-1, self.merge**2)).flatten(2)
        return merger.mlp(merged)

    def write(self, seen: Tensor, tokens: Tensor, position: Tensor) -> Tensor:
        """Logits (batch, tokens + 1, vocabulary): one for each next token of the answer.

        `seen`: visual tokens; `tokens` (batch, tokens): the answer so far, padded on the right.
        """
        batch = seen.shape[0]
        embed = self.text.embed_tokens
        before, after = (embed(ids).expand(batch, -1, -1) for ids in (self.before, self.after))
        answer = embed(tokens)
        states = torch.cat([before, seen.to(before.dtype), after, answer], dim=1)
        rotary = self.text.rotary_emb(states, position)
        for layer in self.text.layers:
            states = layer(states, attention_mask=None, position_embeddings=rotary, use_cache=False)
        return self.network.lm_head(self.text.norm(states[:, -tokens.shape[1] - 1 :]))
