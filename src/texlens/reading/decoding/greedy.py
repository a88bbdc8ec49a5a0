"""Decoding a batch of pictures, by the lean forward pass where it fits the model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from texlens.reading.answers import Answer
from texlens.reading.decoding import lean_forward as lean
from texlens.reading.decoding.token_loop import GREEDY, DecodingConfig, Drafts


class Decoder:
    """Decoding with a Qwen2.5-VL, or a PEFT model around one.

    A model that the lean pass does not support goes through the stock `generate`.
    """

    def __init__(self, model: Any, *, max_new_tokens: int) -> None:
        self.model = model
        self.max_new_tokens = max_new_tokens
        ends = model.generation_config.eos_token_id
        self.end_tokens = tuple(ends) if isinstance(ends, list | tuple) else (ends,)
        self.is_lean = lean.is_supported(model)
        if self.is_lean:
            with torch.inference_mode():
                self._vision, self._text = lean.Vision(model), lean.Text(model)

    def decode(self, inputs: dict[str, Tensor], decoding: DecodingConfig = GREEDY) -> list[Answer]:
        """One answer a row of a processor's batch: one picture a row, padded on the left."""
        with torch.inference_mode():
            return (
                self._write(inputs, decoding) if self.is_lean else self.generate(inputs, decoding)
            )

    def generate(
        self, inputs: dict[str, Tensor], decoding: DecodingConfig = GREEDY
    ) -> list[Answer]:
        """The same by the stock class."""
        drafts = self._drafts(len(inputs["input_ids"]), decoding)
        self.model.generate(
            **inputs,
            max_new_tokens=self.max_new_tokens,
            do_sample=False,
            num_beams=1,
            repetition_penalty=1.0,
            logits_processor=[_Writer(drafts, self.end_tokens[0])],
        )
        return drafts.answers()

    def _write(self, inputs: dict[str, Tensor], decoding: DecodingConfig) -> list[Answer]:
        logits, cache, position = self.read_prompts(inputs)
        drafts = self._drafts(len(position), decoding)
        while True:
            chosen = torch.tensor(_written(drafts, logits), device=logits.device)
            if all(drafts.done):
                return drafts.answers()
            if (kept := drafts.leave()) is not None:
                places = torch.tensor(kept, device=logits.device)
                cache.keep(places)
                chosen, position = chosen[places], position[places]
            logits = self.step(chosen, position, cache)
            position = position + 1

    def _drafts(self, count: int, decoding: DecodingConfig) -> Drafts:
        return Drafts(
            count, decoding, end_tokens=self.end_tokens, max_new_tokens=self.max_new_tokens
        )

    def read_prompts(self, inputs: dict[str, Tensor]) -> tuple[Tensor, lean.Cache, Tensor]:
        """Take in a processor's batch, one picture a row, by the lean pass.

        Returns the logits (rows, vocabulary) of each row's first token, the cache, and the
        position (rows) of that token.
        """
        states, positions = self._prompts(inputs)
        logits, cache = self._text.read_prompts(states, positions)
        return logits, cache, torch.stack([place.max() + 1 for place in positions])

    def step(self, tokens: Tensor, positions: Tensor, cache: lean.Cache) -> Tensor:
        """The logits (rows, vocabulary) after these tokens (rows) at these positions (rows)."""
        return self._text.step(tokens, positions, cache)

    def _prompts(self, inputs: dict[str, Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Each row's prompt, embedded (length, width), and its positions (3, length).

        A text token's position is the same in all three axes; a picture's tokens stand at the row
        and column of their grid, and what follows begins after the longer side (Qwen2-VL).
        """
        merge = self._vision.merge
        grids = [(rows, columns) for _, rows, columns in inputs["image_grid_thw"].tolist()]
        pictures = self._vision.encode(inputs["pixel_values"], grids)
        states, positions = [], []
        is_real = inputs["attention_mask"].bool()
        for row, picture in enumerate(pictures):
            ids = inputs["input_ids"][row][is_real[row]]
            height, width = (side // merge for side in grids[row])
            places = (ids == self.model.config.image_token_id).nonzero()
            first, last = int(places[0]), int(places[-1]) + 1
            state = self._text.embedding[ids]
            state[first:last] = picture
            device = ids.device
            across = torch.stack(
                [
                    torch.zeros(height, width, dtype=torch.long, device=device),
                    torch.arange(height, device=device)[:, None].expand(-1, width),
                    torch.arange(width, device=device).expand(height, -1),
                ]
            ).flatten(1)
            before = torch.arange(first, device=device).expand(3, -1)
            after = torch.arange(len(ids) - last, device=device) + first + max(height, width)
            states.append(state)
            positions.append(torch.cat([before, across + first, after.expand(3, -1)], dim=1))
        return states, positions


class _Writer:
    """Tells the stock `generate` the tokens that the drafts have chosen."""

    def __init__(self, drafts: Drafts, end_token: int) -> None:
        self._drafts, self._end_token = drafts, end_token

    def __call__(self, _: Tensor, logits: Tensor) -> Tensor:
        was_done = self._drafts.done
        chosen = torch.tensor(_written(self._drafts, logits.float()), device=logits.device)
        # An answer that was cut has no end token of its own.
        chosen[torch.tensor(was_done, device=logits.device)] = self._end_token
        return torch.full_like(logits, float("-inf")).scatter_(1, chosen[:, None], 0.0)


def _written(drafts: Drafts, logits: Tensor) -> list[int]:
    """The next token of each row, from its logits (rows, vocabulary)."""
    best, likeliest = logits.max(-1)
    total = logits.logsumexp(-1)
    return drafts.write(
        likeliest.tolist(),
        (best - total).tolist(),
        lambda row: (logits[row] - total[row]).cpu().numpy(),
    )
