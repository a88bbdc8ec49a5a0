"""Greedy decoding of a batch of pictures, by the lean forward pass where it fits the model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from texlens.reading import lean
from texlens.reading.answers import Answer

_COMPACT_BELOW = 0.8  # finished rows leave the batch when less than this share is still running


class GreedyDecoder:
    """Greedy decoding with a Qwen2.5-VL, or a PEFT model around one.

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

    def decode(self, inputs: dict[str, Tensor]) -> list[Answer]:
        """One answer a row of a processor's batch: one picture a row, padded on the left."""
        with torch.inference_mode():
            return self._write(inputs) if self.is_lean else self.generate(inputs)

    def generate(self, inputs: dict[str, Tensor]) -> list[Answer]:
        """The same by the stock class."""
        output = self.model.generate(
            **inputs,
            max_new_tokens=self.max_new_tokens,
            do_sample=False,
            num_beams=1,
            repetition_penalty=1.0,
            output_logits=True,
            return_dict_in_generate=True,
        )
        written = output.sequences[:, inputs["input_ids"].shape[1] :]
        scores = torch.stack(output.logits, dim=1).float().log_softmax(-1)
        logprobs = scores.gather(-1, written[..., None])[..., 0].tolist()
        answers = []
        for tokens, row in zip(written.tolist(), logprobs, strict=True):
            ends = [i for i, token in enumerate(tokens) if token in self.end_tokens]
            length = ends[0] if ends else len(tokens)
            answers.append(Answer(tuple(tokens[:length]), tuple(row[: length + bool(ends)])))
        return answers

    def _write(self, inputs: dict[str, Tensor]) -> list[Answer]:
        logits, cache, position = self.read_prompts(inputs)
        tokens: list[list[int]] = [[] for _ in position]
        logprobs: list[list[float]] = [[] for _ in position]
        rows = list(range(len(position)))  # the answers that the rows of the batch belong to
        running = [True] * len(rows)
        for _ in range(self.max_new_tokens):
            best, chosen = logits.max(-1)
            scores = (best - logits.logsumexp(-1)).tolist()
            for place, token in enumerate(chosen.tolist()):
                if not running[place]:
                    continue
                logprobs[rows[place]].append(scores[place])
                if token in self.end_tokens:
                    running[place] = False
                else:
                    tokens[rows[place]].append(token)
            if not any(running):
                break
            if sum(running) < _COMPACT_BELOW * len(running):
                kept = torch.tensor([place for place, on in enumerate(running) if on])
                kept = kept.to(chosen.device)
                cache.keep(kept)
                chosen, position = chosen[kept], position[kept]
                rows = [row for row, on in zip(rows, running, strict=True) if on]
                running = [True] * len(rows)
            logits = self.step(chosen, position, cache)
            position = position + 1
        return [Answer(tuple(t), tuple(p)) for t, p in zip(tokens, logprobs, strict=True)]

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
