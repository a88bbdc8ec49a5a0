"""Sampling answers for GRPO over a cache of fixed size, each picture and prompt computed once.

Transformers' `generate` starts some five thousand small kernels for each token, which take the CPU a
tenth of a second whatever the number of answers. Here the pass over one token, with the choice of the
next, is recorded once as a CUDA graph and replayed for each token; on a CPU it runs as it is. Ended
answers leave the batch when half of it has ended. On a GPU a batch is filled up to a power of two, so that
few passes are recorded, and all of them use the same memory.

The weights are a copy of the language model in the type of its arithmetic: adapters are added, and
weights of 4 bits unpacked once a step, not once a token. Layers without an adapter are shared with
the network in training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from texlens.model.merge import with_adapters
from texlens.reading.decoding.positions import prompt_positions
from texlens.train.grpo.sampling.base import Sampling, up_to_end
from texlens.train.network.adapters import base_model

_SLOTS = 64  # caches grow in such steps, so that few sizes occur
_SPARE = 1.25  # of the room for a cache: the next batch may need more
_CHECK = 16  # tokens between two looks at which answers have ended


class FixedCache:
    """Keys and values of fixed size (rows, key heads, slots, head width) for each layer.

    Attention writes the slot that `slot` names, a tensor, so that a recorded pass serves every slot.
    The memory is that of `room`, one tensor for each layer's keys and then its values.
    """

    def __init__(self, config: Any, rows: int, slots: int, room: Sequence[Tensor]) -> None:
        shape = (rows, config.num_key_value_heads, slots, _head_width(config))
        parts = [part[: math.prod(shape)].view(shape) for part in room]
        self.keys, self.values = parts[::2], parts[1::2]
        self.slot = torch.zeros(1, dtype=torch.long, device=room[0].device)

    def update(self, key: Tensor, value: Tensor, layer: int, *_: Any) -> tuple[Tensor, Tensor]:
        """Write one token's key and value, and return those of all slots; as transformers' caches."""
        self.keys[layer].index_copy_(2, self.slot, key)
        self.values[layer].index_copy_(2, self.slot, value)
        return self.keys[layer], self.values[layer]

    def get_seq_length(self, layer: int = 0) -> int:
        """Not known to the CPU; positions and mask are given to the pass."""
        return 0


@dataclass(slots=True)
class _State:
    """Where the answers of a batch stand, in tensors of fixed place."""

    tokens: Tensor  # (rows), the last of each answer
    positions: Tensor  # (rows), of the last token
    done: Tensor  # (rows)
    mask: Tensor  # (rows, 1, 1, slots), 0 where a slot is seen, else -inf
    written: Tensor  # (rows, most tokens), the answers
    count: Tensor  # (1), how many tokens they have


class GraphedSampler:
    """Samples answers with the present weights of a network in training.

    `network` is a Qwen2.5-VL, or a PEFT model around one, with weights of 4, 16 or 32 bits. On a CPU
    nothing is recorded, and the same pass runs token by token.
    """

    def __init__(self, network: Any) -> None:
        self.base = base_model(network)
        self.source = self.base.model.language_model
        self.config = self.source.config
        self.adapted: list[tuple[Any, Any]] = []  # a layer with an adapter, and its copy
        self.text = self._copied()
        self._recorded: dict[tuple[int, int, int], tuple[_State, FixedCache, Any]] = {}
        self._sampling: Sampling | None = None
        self._room: list[Tensor] = []

    def _copied(self) -> Any:
        """The language model with buffers of its own for the layers that change."""
        with torch.device("meta"):
            text = type(self.source)(self.config)
        kind = self.source.embed_tokens.weight.dtype
        for name, module in list(text.named_modules()):
            original = self.source.get_submodule(name)
            layer = getattr(original, "base_layer", original)
            if not isinstance(module, nn.Linear):
                for own, parameter in layer.named_parameters(recurse=False):
                    setattr(module, own, nn.Parameter(parameter.data, requires_grad=False))
                continue
            if layer is original and type(layer) is nn.Linear:
                weight = layer.weight.data
            else:
                shape = (module.out_features, module.in_features)
                weight = torch.empty(shape, dtype=kind, device=self.base.device)
                self.adapted.append((original, module))
            module.weight = nn.Parameter(weight, requires_grad=False)
            if layer.bias is not None:
                module.bias = nn.Parameter(layer.bias.data, requires_grad=False)
        text.rotary_emb = self.source.rotary_emb
        return text.eval()

    @torch.no_grad()
    def refresh(self) -> None:
        """Take over the weights as they are now."""
        for original, copied in self.adapted:
            layer = getattr(original, "base_layer", original)
            weight = _plain_weight(layer).to(copied.weight.dtype)
            copied.weight.copy_(weight if layer is original else with_adapters(original, weight))

    # ---- prompts --------------------------------------------------------------------------------

    def _prompts(self, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor, DynamicCache]:
        """Logits after each prompt, the position after it, and its keys and values."""
        base, device = self.base, self.base.device
        inputs = {name: tensor.to(device) for name, tensor in inputs.items()}
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        features = base.model.get_image_features(
            inputs["pixel_values"], inputs["image_grid_thw"], return_dict=True
        ).pooler_output
        embedded = self.source.embed_tokens(ids)
        visual = ids == base.config.image_token_id
        embedded[visual] = torch.cat(list(features)).to(embedded.dtype)
        merge = base.model.visual.spatial_merge_size
        places = torch.zeros((3, *ids.shape), dtype=torch.long)
        for row, (_, rows, columns) in enumerate(inputs["image_grid_thw"].tolist()):
            start = int((mask[row] == 0).sum())
            before = int(visual[row].nonzero()[0]) - start
            after = ids.shape[1] - start - before - rows * columns // merge**2
            positions = prompt_positions(before, rows // merge, columns // merge, after)
            places[:, row, start:] = torch.from_numpy(positions)
        cache = DynamicCache(config=self.config)
        hidden = self.text(
            inputs_embeds=embedded,
            attention_mask=mask,
            position_ids=places.to(device),
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        return self.base.lm_head(hidden[:, -1]), places.amax(dim=(0, 2)).to(device) + 1, cache

    # ---- one token ------------------------------------------------------------------------------

    def _choose(self, logits: Tensor, state: _State, sampling: Sampling) -> None:
        """Sample the next token of each answer, and write it."""
        logits = logits.float()
        for token in sampling.forbidden_tokens:
            logits[:, token] = float("-inf")
        probabilities = torch.softmax(logits / sampling.temperature, dim=-1)
        if sampling.top_p < 1:
            probabilities = _likeliest(probabilities, sampling.top_p)
        # The largest of p / e with exponential e is a sample, and needs no number on the CPU.
        tokens = (probabilities / torch.empty_like(probabilities).exponential_()).argmax(-1)
        ends = torch.zeros_like(state.done)
        for token in sampling.end_tokens:
            ends |= tokens == token
        tokens = torch.where(state.done, sampling.end_tokens[0], tokens)
        state.written.index_copy_(1, state.count, tokens[:, None])
        state.tokens.copy_(tokens)
        state.done |= ends
        state.count += 1

    def _advance(self, state: _State, cache: FixedCache, sampling: Sampling) -> None:
        """The pass over the last token of each answer, and the choice of the next."""
        state.mask.index_fill_(3, cache.slot, 0.0)
        hidden = self.text(
            inputs_embeds=self.source.embed_tokens(state.tokens[:, None]),
            attention_mask={"full_attention": state.mask},
            position_ids=state.positions.expand(3, -1)[..., None],
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        cache.slot += 1
        state.positions += 1
        self._choose(self.base.lm_head(hidden[:, -1]), state, sampling)

    def _slots_for(
        self, rows: int, slots: int, sampling: Sampling
    ) -> tuple[_State, FixedCache, Any]:
        """State, cache and recorded pass for a number of rows and slots."""
        if self._sampling != sampling:
            self._recorded.clear()
            self._sampling = sampling
        weight, device = self.source.embed_tokens.weight, self.base.device
        size = rows * slots * self.config.num_key_value_heads * _head_width(self.config)
        if not self._room or len(self._room[0]) < size:
            self._recorded.clear()  # they use the old memory
            self._room.clear()
            size = int(size * _SPARE) if self._records else size
            count = 2 * self.config.num_hidden_layers
            self._room = [weight.new_zeros(size) for _ in range(count)]
        key = (rows, slots, sampling.max_new_tokens)
        if key not in self._recorded:
            cache = FixedCache(self.config, rows, slots, self._room)
            state = _State(
                tokens=torch.zeros(rows, dtype=torch.long, device=device),
                positions=torch.zeros(rows, dtype=torch.long, device=device),
                done=torch.zeros(rows, dtype=torch.bool, device=device),
                mask=weight.new_full((rows, 1, 1, slots), float("-inf")),
                written=torch.zeros(
                    (rows, sampling.max_new_tokens), dtype=torch.long, device=device
                ),
                count=torch.zeros(1, dtype=torch.long, device=device),
            )
            self._recorded[key] = state, cache, self._record(state, cache, sampling)
        return self._recorded[key]

    def _record(self, state: _State, cache: FixedCache, sampling: Sampling) -> Any:
        """The pass as a function without arguments: a CUDA graph, on a CPU the pass itself."""

        def advance() -> None:
            self._advance(state, cache, sampling)

        if not self._records:
            return advance
        stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
        # A resumed run records again, and must sample the same answers.
        with torch.random.fork_rng([state.tokens.device]):
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(2):  # libraries prepare themselves at the first calls
                    advance()
            torch.cuda.current_stream().wait_stream(stream)
            # NCCL's watchdog uses the GPU from another thread, wherever there are several processes.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                advance()
        return graph.replay

    # ---- a batch --------------------------------------------------------------------------------

    @property
    def _records(self) -> bool:
        """Whether passes are recorded: on a GPU."""
        return bool(self.base.device.type == "cuda")

    def _rows_for(self, answers: int) -> int:
        """The rows of a batch for so many answers."""
        return 1 << (answers - 1).bit_length() if self._records else answers

    @torch.no_grad()
    def sample(
        self, inputs: dict[str, Tensor], repeats: Sequence[int], sampling: Sampling
    ) -> list[list[int]]:
        """Sample answers with the device's global generator; as `sampler.Sampler`."""
        self.refresh()
        logits, positions, prompts = self._prompts(inputs)
        width = inputs["input_ids"].shape[1]
        slots = -(-(width + sampling.max_new_tokens) // _SLOTS) * _SLOTS
        size = self._rows_for(len(repeats))
        filled = [*repeats, *[repeats[0]] * (size - len(repeats))]
        rows = torch.tensor(filled, device=self.base.device)
        state, cache, advance = self._slots_for(size, slots, sampling)
        for layer, (keys, values) in enumerate(zip(cache.keys, cache.values, strict=True)):
            found: Any = prompts.layers[layer]
            keys[:, :, :width], values[:, :, :width] = found.keys[rows], found.values[rows]
        cache.slot.fill_(width)
        state.positions.copy_(positions[rows])
        state.done.fill_(False)
        state.count.zero_()
        state.mask.fill_(float("-inf"))
        seen = inputs["attention_mask"].to(self.base.device)[rows].bool()
        state.mask[:, 0, 0, :width].masked_fill_(seen, 0.0)
        self._choose(logits[rows], state, sampling)
        state.done[len(repeats) :] = True  # they only fill the batch

        places = list(range(len(repeats)))  # the answer of each row
        answers: list[list[int]] = [[] for _ in repeats]
        for count in range(1, sampling.max_new_tokens):
            if count % _CHECK == 0:
                going = (~state.done).nonzero()[:, 0]
                if not len(going):
                    break
                size = self._rows_for(len(going))
                if size <= len(state.done) // 2:
                    self._collect(state, places, answers, sampling)
                    places = [places[row] for row in going.tolist()]
                    going = torch.cat([going, going[:1].expand(size - len(going))])
                    # Copies: the next cache is in the same memory, and recording writes into it.
                    rows_going = [tensor[going] for tensor in _by_row(state, cache)]
                    count_now, slot = state.count, cache.slot
                    state, cache, advance = self._slots_for(size, slots, sampling)
                    for tensor, values in zip(_by_row(state, cache), rows_going, strict=True):
                        tensor.copy_(values)
                    state.count.copy_(count_now)
                    cache.slot.copy_(slot)
                    state.done[len(places) :] = True
            advance()
        self._collect(state, places, answers, sampling)
        return answers

    def _collect(
        self, state: _State, places: Sequence[int], answers: list[list[int]], sampling: Sampling
    ) -> None:
        """Take the answers as they are now, each up to its end token."""
        written = state.written[: len(places), : int(state.count)].tolist()
        for place, tokens in zip(places, written, strict=True):
            answers[place] = up_to_end(tokens, sampling.end_tokens)


def _by_row(state: _State, cache: FixedCache) -> list[Tensor]:
    """All that a batch holds for each row."""
    own = [state.tokens, state.positions, state.done, state.mask, state.written]
    return own + list(cache.keys) + list(cache.values)


def _head_width(config: Any) -> int:
    width: int | None = getattr(config, "head_dim", None)
    return width or config.hidden_size // config.num_attention_heads


def _plain_weight(layer: Any) -> Tensor:
    """The matrix (out, in) of a linear layer, unpacked if it has 4 bits."""
    weight = layer.weight
    if type(weight).__name__ == "Params4bit":
        from bitsandbytes.functional import dequantize_4bit

        unpacked: Tensor = dequantize_4bit(weight.data, weight.quant_state)
        return unpacked
    data: Tensor = weight.data
    return data


def _likeliest(probabilities: Tensor, top_p: float) -> Tensor:
    """Probabilities (rows, tokens) with 0 for all but the likeliest tokens that together have `top_p`."""
    ordered, places = probabilities.sort(dim=-1, descending=True)
    kept = ordered.cumsum(dim=-1) - ordered < top_p
    return torch.zeros_like(probabilities).scatter(-1, places, ordered * kept)
