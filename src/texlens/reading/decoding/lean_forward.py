"""Qwen2.5-VL's forward pass with less overhead: the stock model's arithmetic and weights.

In a small model the stock forward pass spends more time moving data than multiplying matrices. Here
the projections of a layer are fused, the scales of the norms folded into the matrices behind them,
and the rotary embedding is one complex multiplication: the two dimensions it turns together are
laid side by side, by reordering rows of the query and key matrices, which leaves every product of a
query with a key as it was. Same function up to rounding; `tests/reading` compares hidden states and
tokens with the stock class.

Float32, unquantised, without adapter, full attention in every layer, on a CPU or a CUDA device:
`is_supported` says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import Linear, functional

from texlens.reading.decoding.positions import parts, patch_places, rotary_axes

_TOKENS_AT_A_TIME = 2048  # of prompts


def is_supported(model: Any) -> bool:
    """Whether `model` is a Qwen2.5-VL whose every part has the plain form that is computed here."""
    if type(model).__name__ != "Qwen2_5_VLForConditionalGeneration":
        return False
    vision, text = model.model.visual, model.model.language_model
    linears = [model.lm_head, vision.merger.mlp[0], vision.merger.mlp[2]]
    for block in (*vision.blocks, *text.layers):
        linears += [block.mlp.gate_proj, block.mlp.up_proj, block.mlp.down_proj]
        linears += _parts(block).projections
    return (
        all(type(linear) is Linear for linear in linears)
        and all(parameter.dtype == torch.float32 for parameter in model.parameters())
        and model.device.type in ("cpu", "cuda")  # elsewhere complex numbers are incomplete
        and set(vision.fullatt_block_indexes) == set(range(len(vision.blocks)))
        and all(layer.self_attn.sliding_window is None for layer in text.layers)
        and vision.config.hidden_act == text.config.hidden_act == "silu"
        and text.config.rope_parameters["rope_type"] == "default"
    )


Affine = tuple[Tensor, Tensor | None]


@dataclass(frozen=True, slots=True)
class Block:
    """One layer of either tower: norm, attention, norm, gated MLP.

    A linear layer is its matrix (out, in) and its bias. Queries, keys and values are rows of one
    matrix, in heads of `head_width` each.
    """

    heads: int
    key_heads: int
    head_width: int
    eps: float
    qkv: Affine
    out: Affine
    gate_up: Affine
    down: Affine

    def open(self, state: Tensor, rotation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (n, heads, head width), keys and values (n, key heads, head width).

        `state` is (n, width), `rotation` complex (n, 1, head width / 2).
        """
        qkv = functional.linear(normed(state, self.eps), *self.qkv)
        heads = qkv.view(len(state), self.heads + 2 * self.key_heads, self.head_width)
        turned = heads[:, : self.heads + self.key_heads]
        torch.view_as_complex(turned.unflatten(-1, (-1, 2))).mul_(rotation)
        query, key, value = heads.split((self.heads, self.key_heads, self.key_heads), dim=1)
        return query, key, value

    def close(self, state: Tensor, mixed: Tensor) -> Tensor:
        """The state after the layer; `mixed` (n, heads * head width) is what attention gave."""
        state = _add_linear(state, mixed, *self.out)
        hidden = functional.linear(normed(state, self.eps), *self.gate_up)
        gate, up = hidden.chunk(2, dim=-1)
        return _add_linear(state, functional.silu(gate).mul_(up), *self.down)


class Vision:
    """The vision tower of a supported model, for batches of pictures of any sizes."""

    def __init__(self, model: Any, *, patches_at_a_time: int = 1024) -> None:
        tower = model.model.visual
        self.patches_at_a_time = patches_at_a_time  # what stays in a core's cache
        self.merge = tower.spatial_merge_size
        self.embedding = tower.patch_embed.proj.weight.flatten(1)
        self.frequencies = tower.rotary_pos_emb.inv_freq.float()
        self.blocks = [_block(block) for block in tower.blocks]
        self.merger_eps = tower.merger.ln_q.variance_epsilon
        scale = tower.merger.ln_q.weight.repeat(self.merge**2)
        self.merger_in = _fold(scale, [tower.merger.mlp[0]])
        self.merger_out = tower.merger.mlp[2]

    def encode(self, patches: Tensor, grids: Sequence[tuple[int, int]]) -> list[Tensor]:
        """The visual tokens (height * width / merge^2, text width) of each picture.

        `patches` (all pictures' patches, values) in the processor's order; `grids` holds each
        picture's (rows, columns) of patches.
        """
        sizes = [rows * columns for rows, columns in grids]
        encoded: list[Tensor] = []
        for part in parts(sizes, self.patches_at_a_time, size=sum):
            count = sum(sizes[part])
            encoded += self._encode_part(patches[:count], grids[part])
            patches = patches[count:]
        return encoded

    def _encode_part(self, patches: Tensor, grids: Sequence[tuple[int, int]]) -> list[Tensor]:
        state = functional.linear(patches, self.embedding)
        rotation = torch.cat([self._rotation(*grid) for grid in grids])
        lengths = [rows * columns for rows, columns in grids]
        for block in self.blocks:
            query, key, value = block.open(state, rotation)
            state = block.close(state, _attend_apart(query, key, value, lengths))
        state = normed(state, self.merger_eps).view(-1, self.merger_in[0].shape[1])
        hidden = functional.gelu(functional.linear(state, *self.merger_in))
        return list(self.merger_out(hidden).split([length // self.merge**2 for length in lengths]))

    def _rotation(self, rows: int, columns: int) -> Tensor:
        """Of one picture's patches, in the processor's order: by squares of merge x merge."""
        places = torch.from_numpy(patch_places(rows, columns, self.merge))
        places = places.to(self.frequencies.device)
        return _unit(places[:, :, None].float().mul(self.frequencies).flatten(1))


class Cache:
    """The keys and values of a batch: per layer (rows, key heads, capacity, head width).

    Prompts end at the same slot; a row's slots before `starts[row]` are empty and hidden.
    """

    _GROWTH = 64

    def __init__(self, keys: list[Tensor], values: list[Tensor], starts: Tensor) -> None:
        self.keys, self.values, self.starts = keys, values, starts
        self.length = keys[0].shape[2]
        self.mask: Tensor | None = None
        self._make_room(None)

    def keep(self, rows: Tensor | list[int]) -> None:
        """Drop every row but these."""
        self.starts = self.starts[rows]
        self._make_room(rows)

    def extend(self) -> None:
        """Count in the slot that has just been written, and have room for the next."""
        self.length += 1
        if self.length == self.keys[0].shape[2]:
            self._make_room(None)

    def _make_room(self, rows: Tensor | list[int] | None) -> None:
        def moved(old: Tensor) -> Tensor:
            filled = old[:, :, : self.length]
            filled = filled if rows is None else filled[rows]
            new = filled.new_empty(*filled.shape[:2], self.length + self._GROWTH, filled.shape[3])
            new[:, :, : self.length] = filled
            return new

        self.keys = [moved(key) for key in self.keys]
        self.values = [moved(value) for value in self.values]
        self.mask = None
        if bool(self.starts.any()):
            slots = torch.arange(self.keys[0].shape[2], device=self.starts.device)
            hidden = slots < self.starts[:, None]
            self.mask = torch.zeros(hidden.shape, device=hidden.device)
            self.mask = self.mask.masked_fill_(hidden, float("-inf"))[:, None, None]


class Text:
    """The language model of a supported model: prompts in, then one token a row at a time."""

    def __init__(self, model: Any) -> None:
        text = model.model.language_model
        self.blocks = [_block(layer) for layer in text.layers]
        self.embedding = text.embed_tokens.weight
        self.eps = text.norm.variance_epsilon
        self.head, _ = _fold(text.norm.weight, [model.lm_head])
        self.frequencies = text.rotary_emb.inv_freq.float()
        axes = rotary_axes(text.config.rope_parameters["mrope_section"])
        self.axes = torch.tensor(axes, device=self.frequencies.device)

    def read_prompts(
        self, states: Sequence[Tensor], positions: Sequence[Tensor]
    ) -> tuple[Tensor, Cache]:
        """Logits (rows, vocabulary) after each prompt, and the cache for going on.

        `states` are the embedded prompts (length, width), `positions` theirs (3, length). Prompts
        of like length should stand together: they are computed in parts and padded to the longest
        of their part.
        """
        lengths = [len(state) for state in states]
        longest = max(lengths)
        shape = (len(states), self.blocks[0].key_heads, longest, self.blocks[0].head_width)
        keys = [states[0].new_zeros(shape) for _ in self.blocks]
        values = [states[0].new_zeros(shape) for _ in self.blocks]
        last = states[0].new_empty(len(states), states[0].shape[1])
        for rows in parts(lengths, _TOKENS_AT_A_TIME):
            longest_here = max(lengths[rows])
            room = [
                (key[rows, :, longest - longest_here :], value[rows, :, longest - longest_here :])
                for key, value in zip(keys, values, strict=True)
            ]
            last[rows] = self._prefill(states[rows], positions[rows], longest_here, room)
        starts = torch.tensor([longest - length for length in lengths], device=last.device)
        return functional.linear(normed(last, self.eps), self.head), Cache(keys, values, starts)

    def _prefill(
        self,
        states: Sequence[Tensor],
        positions: Sequence[Tensor],
        length: int,
        room: Iterable[tuple[Tensor, Tensor]],
    ) -> Tensor:
        """The last state (rows, width) of prompts padded on the left to `length`.

        `room` holds a layer's keys and values (rows, key heads, length, head width) to fill.
        """
        rows = len(states)
        padding = [length - len(state) for state in states]
        state = torch.stack(
            [functional.pad(s, (0, 0, p, 0)) for s, p in zip(states, padding, strict=True)]
        ).flatten(0, 1)
        position = torch.stack(
            [functional.pad(s, (p, 0)) for s, p in zip(positions, padding, strict=True)], dim=1
        )
        rotation = self._rotation(position.flatten(1))
        slots = torch.arange(length, device=state.device)
        visible = slots[:, None] >= slots
        if any(padding):
            starts = torch.tensor(padding, device=state.device)
            visible = visible & (slots >= starts[:, None, None])
            # A padded slot sees itself, or its softmax would have nothing to sum over.
            visible = (visible | torch.eye(length, dtype=torch.bool, device=state.device))[:, None]
        *most, final = zip(self.blocks, room, strict=True)
        for block, (key_room, value_room) in (*most, final):
            query, key, value = (
                part.view(rows, length, -1, block.head_width).transpose(1, 2)
                for part in block.open(state, rotation)
            )
            key_room.copy_(key)
            value_room.copy_(value)
            is_final = block is final[0]
            seen = visible
            if is_final:  # only the last token's state is wanted from here on
                query, seen = query[:, :, -1:], visible[..., -1:, :]
                state = state.view(rows, length, -1)[:, -1]
            mixed = functional.scaled_dot_product_attention(
                query, key, value, attn_mask=seen, enable_gqa=block.heads != block.key_heads
            )
            state = block.close(state, mixed.transpose(1, 2).reshape(len(state), -1))
        return state

    def step(self, tokens: Tensor, positions: Tensor, cache: Cache) -> Tensor:
        """Logits (rows, vocabulary) after one more token in each row, at these positions (rows)."""
        rows, length = len(tokens), cache.length
        rotation = self._rotation(positions.expand(3, -1))
        state = self.embedding[tokens]
        mask = None if cache.mask is None else cache.mask[..., : length + 1]
        for block, keys, values in zip(self.blocks, cache.keys, cache.values, strict=True):
            query, key, value = block.open(state, rotation)
            keys[:, :, length] = key
            values[:, :, length] = value
            # The queries that share a key head stand where a sequence of queries would.
            mixed = functional.scaled_dot_product_attention(
                query.reshape(rows, block.key_heads, -1, block.head_width),
                keys[:, :, : length + 1],
                values[:, :, : length + 1],
                attn_mask=mask,
            )
            state = block.close(state, mixed.reshape(rows, -1))
        cache.extend()
        return functional.linear(normed(state, self.eps), self.head)

    def _rotation(self, positions: Tensor) -> Tensor:
        """Of positions (3, n): complex (n, 1, head width / 2)."""
        return _unit(positions[self.axes].T.float() * self.frequencies)


def normed(state: Tensor, eps: float) -> Tensor:
    """The rows of (n, width) divided by their root mean square."""
    norm = torch.linalg.vector_norm(state, dim=-1, keepdim=True)
    return state * norm.square().div_(state.shape[-1]).add_(eps).rsqrt_()


def _unit(angles: Tensor) -> Tensor:
    return torch.polar(torch.ones_like(angles), angles)[:, None]


def _add_linear(state: Tensor, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    total = torch.addmm(state, inputs, weight.T)
    return total if bias is None else total.add_(bias)


def _attend_apart(query: Tensor, key: Tensor, value: Tensor, lengths: Sequence[int]) -> Tensor:
    """Attention within each picture, one call for each run of pictures of equal length."""
    mixed = torch.empty_like(query)
    start = 0
    for length, run in groupby(lengths):
        count = sum(1 for _ in run)
        span = slice(start, start + length * count)
        split = [
            part[span].view(count, length, *part.shape[1:]).transpose(1, 2)
            for part in (query, key, value)
        ]
        attended = functional.scaled_dot_product_attention(split[0], split[1], split[2])
        mixed[span] = attended.transpose(1, 2).flatten(0, 1)
        start = span.stop
    return mixed.flatten(1)


class _Parts(NamedTuple):
    """The modules of a layer, which have other names in the vision tower than in the text's."""

    attention: Any
    projections: list[Linear]  # to queries, keys and values, and from the heads
    first_norm: Any
    second_norm: Any


def _parts(layer: Any) -> _Parts:
    if hasattr(layer, "attn"):
        attention = layer.attn
        return _Parts(attention, [attention.qkv, attention.proj], layer.norm1, layer.norm2)
    attention = layer.self_attn
    projections = [getattr(attention, f"{name}_proj") for name in "qkvo"]
    return _Parts(attention, projections, layer.input_layernorm, layer.post_attention_layernorm)


def _block(layer: Any) -> Block:
    attention, (*to_heads, out), first_norm, second_norm = _parts(layer)
    heads = attention.num_heads
    key_heads = getattr(attention, "num_key_value_heads", heads)
    qkv, bias = _fold(first_norm.weight, to_heads)
    assert bias is not None
    turned = (heads + key_heads, attention.head_dim)
    down = layer.mlp.down_proj
    return Block(
        heads=heads,
        key_heads=key_heads,
        head_width=attention.head_dim,
        eps=first_norm.variance_epsilon,
        qkv=(_pair_up(qkv, *turned), _pair_up(bias, *turned)),
        out=(out.weight, out.bias),
        gate_up=_fold(second_norm.weight, [layer.mlp.gate_proj, layer.mlp.up_proj]),
        down=(down.weight, down.bias),
    )


def _fold(scale: Tensor, linears: Sequence[Linear]) -> Affine:
    """Several linear layers as one, with the scale of the norm before them in its columns."""
    weight = torch.cat([linear.weight for linear in linears]) * scale
    if linears[0].bias is None:
        return weight, None
    return weight, torch.cat([linear.bias for linear in linears])


def _pair_up(rows: Tensor, heads: int, width: int) -> Tensor:
    """Lay dimension i of the first `heads` heads beside dimension i + width / 2."""
    turned = rows[: heads * width].view(heads, 2, width // 2, *rows.shape[1:])
    turned = turned.transpose(1, 2).reshape(heads * width, *rows.shape[1:])
    return torch.cat([turned, rows[heads * width :]])
